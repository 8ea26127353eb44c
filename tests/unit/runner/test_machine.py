"""What a runner finds out about its machine. `nvidia-smi` is a fake here: there is no GPU where the tests run."""

import fcntl
import stat

import pytest

from axonlab_core.contract.errors import PlatformError, Unfit
from axonlab_core.contract.kinds import Kind
from axonlab_runner.machine import check, measure
from axonlab_runner.worker import _own_folder


def fake_nvidia_smi(folder, monkeypatch, body):
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_without_a_gpu_the_cpu_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    machine = measure("m", tuple(Kind), "auto", tmp_path / "work")
    assert machine.device == "cpu"
    assert machine.memory_bytes > 100e6
    assert machine.disk_bytes > 0
    assert machine.cores >= 1
    with pytest.raises(Unfit, match="No GPU"):
        measure("m", tuple(Kind), "cuda", tmp_path)


def test_the_gpu_with_most_free_memory_counts(tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, monkeypatch, "echo 'Tesla T4, 200'; echo 'Tesla T4, 14900'")
    machine = measure("m", (Kind.train,), "auto", tmp_path)
    assert (machine.device, machine.gpu, machine.gpu_memory_bytes) == ("cuda", "Tesla T4", 14900 * 2**20)
    assert measure("m", (Kind.train,), "cpu", tmp_path).gpu_memory_bytes == 0


def test_a_driver_that_is_broken_is_said_so(tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, monkeypatch, "echo 'Driver/library version mismatch' >&2; exit 18")
    with pytest.raises(PlatformError, match="nvidia-smi"):
        measure("m", (Kind.train,), "auto", tmp_path)


def test_a_job_is_refused_with_both_numbers(tmp_path):
    machine = measure("m", tuple(Kind), "cpu", tmp_path)
    with pytest.raises(Unfit, match=r"1\.0 GiB.*needs 3\.7 GiB"):
        check(Kind.train, machine.model_copy(update={"memory_bytes": 2**30}))
    check(Kind.train, machine.model_copy(update={"memory_bytes": 2**33, "disk_bytes": 2**33}))


def test_what_a_killed_runner_left_is_removed_and_a_living_one_is_let_be(tmp_path):
    dead, alive = tmp_path / "runner-dead", tmp_path / "runner-alive"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "lock").touch()
        (folder / "inputs").mkdir()
    with (alive / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _own_folder(tmp_path) as own:
            assert own.is_dir()
            assert not dead.exists()
            assert alive.is_dir()
    assert not own.exists()
