"""A Python with all of Axonlab that every user of this machine may run, as a lab server needs it.

The one that runs the tests may live under root's home. This one is made from the system's, and uses the same packages.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SYSTEM = Path("/usr/bin/python3")
_SOURCES = ("core", "extension", "hub", "gpu_runner", "notebooks")
_PROGRAMS = ("axonlab", "jupyterhub", "jupyterhub-singleuser")


def everybody_may_enter(folder: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def make(folder: Path) -> Path:
    """The `python` of a new environment in `folder`, which everybody must be able to enter."""
    if not SYSTEM.is_file():
        pytest.skip(f"there is no {SYSTEM}, which other users could run")
    version = subprocess.run(
        [SYSTEM, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if version != str(sys.version_info[:2]):
        pytest.skip(f"{SYSTEM} is {version}; our packages are for {sys.version_info[:2]}")
    subprocess.run([SYSTEM, "-m", "venv", "--without-pip", folder], check=True)
    ours = Path(sys.prefix)
    packages, sources = Path(sysconfig.get_path("purelib")), REPOSITORY
    if not everybody_may_enter(packages):
        subprocess.run(["cp", "-a", "--reflink=auto", ours, folder / "ours"], check=True)
        packages = folder / "ours" / packages.relative_to(ours)
        ours = folder / "ours"
    if not everybody_may_enter(REPOSITORY):
        sources = folder / "sources"
        for name in _SOURCES:
            shutil.copytree(REPOSITORY / name, sources / name, symlinks=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    # Sources first, so that an editable install elsewhere is not looked at.
    lines = [*(str(sources / name) for name in _SOURCES), f"import site; site.addsitedir({str(packages)!r})"]
    (site / "axonlab.pth").write_text("\n".join(lines) + "\n")
    for name in ("share", "etc"):
        (folder / name).symlink_to(ours / name)
    (folder / "lib" / "node_modules").symlink_to(ours / "lib" / "node_modules")
    for name in _PROGRAMS:
        _, rest = (ours / "bin" / name).read_text().split("\n", 1)
        (folder / "bin" / name).write_text(f"#!{folder}/bin/python\n{rest}")
        (folder / "bin" / name).chmod(0o755)
    proxy = ours / "bin" / "configurable-http-proxy"
    (folder / "bin" / proxy.name).symlink_to(os.path.relpath(proxy.resolve(), (folder / "bin").resolve()))
    return folder / "bin" / "python"
