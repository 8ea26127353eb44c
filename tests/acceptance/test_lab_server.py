"""A lab server as `axonlab up --lan` starts it: real system users, real passwords, TLS; as root only."""

import csv
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import nbformat
import psutil
import pytest

import system_python
from axonlab_core.contract.errors import NotSignedIn
from axonlab_hub.visit import Visit, text_of
from classroom import free_port

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may start servers under system users of their own"),
]

_PEOPLE = "id;role\nana;\nben;student\ntea;Instructor\n"
_UP_S = 120
_CELL_S = 120

# In a student's kernel: who am I, what can I see?
_LOOK = """
import json, os, pathlib, pwd, subprocess, sys
def attempt(path):
    path = pathlib.Path(path)
    try:
        return "read: " + repr((sorted(os.listdir(path)) if path.is_dir() else path.read_bytes()[:40]))
    except PermissionError:
        return "refused"
def connection():
    import ipykernel
    return json.loads(pathlib.Path(ipykernel.get_connection_file()).read_text())["transport"]
print(json.dumps({{
    "uid": os.getuid(), "groups": os.getgroups(), "home": os.path.expanduser("~"), "umask": os.umask(0o077),
    "root_again": subprocess.run(["setpriv", "--reuid=0", "true"], capture_output=True).returncode,
    "transport": connection(),
    "service": os.environ["AXONLAB_SERVICE_URL"],
    "attempts": {{path: attempt(path) for path in {paths!r}}},
}}))
"""

_TRAIN = """
import sys
import numpy as np, axonlab
rng = np.random.default_rng(0)
image = rng.integers(0, 255, (128, 128), dtype=np.uint8)
labels = (image > 128).astype(np.uint8)
job = axonlab.train(axonlab.dataset({"a": image, "b": image.T.copy()}, {"a": labels, "b": labels.T.copy()}), steps=3)
job.wait(timeout_s=100)
print(job.id, job.state, job.details.course, job.page_url, job.result().folder.is_dir())
"""

_STAY = """
import subprocess
left = subprocess.Popen(["setsid", "nohup", "sleep", "3600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(left.pid)
"""


class LabServer:
    """A lab server on this machine, in folders of its own, with system users of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.python = system_python.make(folder / "python")
        self.prefix = f"x{secrets.token_hex(2)}-"
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.state, self.homes, self.roster = folder / "state", folder / "homes", folder / "roster.csv"
        self.roster.write_text("\ufeff" + _PEOPLE)  # as a spreadsheet saves it
        self.said = ""

    def command(self, *words):
        return [str(self.python.with_name("axonlab")), *map(str, words)]

    def run(self, *words, status=0):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return (done.stdout + done.stderr).strip()

    @property
    def options(self):
        return [
            *("--lan", "--course", "bio301", "--roster", self.roster, "--state", self.state, "--homes", self.homes),
            *("--user-prefix", self.prefix, "--host", "127.0.0.1", "--port", self.port),
        ]

    @contextmanager
    def up(self):
        with subprocess.Popen(
            self.command("up", *self.options), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            self.process = process
            killer = threading.Timer(_UP_S, process.kill)
            killer.start()
            try:
                self.said = ""
                for line in process.stdout:
                    self.said += line
                    if "logs" in line:
                        break
                killer.cancel()
                assert "is up at" in self.said, self.said
                rest = threading.Thread(target=process.stdout.read)
                rest.start()
                yield
            finally:
                killer.cancel()
                process.send_signal(signal.SIGTERM)
                process.wait(90)
            rest.join()
            assert process.returncode == 0

    def uid(self, who):
        return pwd.getpwnam(self.prefix + who).pw_uid

    def processes(self, who):
        return [process for process in psutil.process_iter(["uids"]) if process.info["uids"].real == self.uid(who)]

    def first_passwords(self):
        with (self.state / "hub" / "first-passwords.csv").open() as file:
            return {row["id"]: row["password"] for row in csv.DictReader(file)}

    def visit(self, name, password=None):
        return Visit(self.url, name, password or self.first_passwords()[name])


@pytest.fixture(scope="module")
def folder():
    # Not pytest's own temporary folder: nobody but its owner may enter that.
    path = Path(tempfile.mkdtemp(prefix="axonlab-lab-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def lab(folder):
    server = LabServer(folder)
    try:
        with pytest.MonkeyPatch.context() as patch, server.up():
            # What a person does who was told the fingerprint: they trust this certificate, and no other one.
            certificate = str(server.state / "proxy" / "certificate.pem")
            patch.setenv("SSL_CERT_FILE", certificate)
            patch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", certificate)
            yield server
    finally:
        for user in [user.pw_name for user in pwd.getpwall() if user.pw_name.startswith(server.prefix)]:
            subprocess.run(["userdel", user], check=True)
        shutil.rmtree(f"/run/{server.prefix}servers", ignore_errors=True)


def run(visit, code):
    """What that code printed in a kernel of that visitor's own server."""
    cell = nbformat.v4.new_code_cell(code)
    with visit.kernel("new.ipynb") as kernel:
        kernel.execute(cell, timeout_s=_CELL_S)
    return text_of(cell)


def test_two_students_at_once_cannot_see_one_another(lab):
    """Own uids; neither reads the other's home, nor a file of hub, service, runner or proxy."""
    others = {"ana": "ben", "ben": "ana"}
    theirs = [lab.state / "hub", lab.state / "service", lab.state / "runner", lab.state / "proxy"]
    files = [
        *(
            lab.state / "hub" / name
            for name in ("jupyterhub.sqlite", "cookie-secret", "first-passwords.csv", "hub.log")
        ),
        lab.state / "service" / "axonlab.sqlite",
        lab.state / "service" / "link-secret",
        lab.state / "runner" / "runner-token",
        lab.state / "runner" / "work",
        lab.state / "proxy" / "key.pem",
        lab.state,
    ]
    assert all(path.exists() for path in [*theirs, *files])
    daemons = [process.pid for who in ("service", "runner", "proxy") for process in lab.processes(who)]
    assert len(daemons) >= 5
    environments = [f"/proc/{pid}/environ" for pid in (*daemons, lab.process.pid)]
    ready = threading.Barrier(2)

    def work(name):
        with lab.visit(name) as visit:
            visit.start_server()
            ready.wait(60)
            own = lab.homes / name / "secret.txt"
            run(visit, f"open({str(own)!r}, 'w').write('mine')")
            ready.wait(60)
            servers = [f"/proc/{process.pid}/environ" for process in lab.processes(others[name])]
            assert len(servers) >= 1
            paths = [*theirs, *files, lab.homes / others[name], lab.homes / others[name] / "secret.txt"]
            paths = [str(path) for path in paths] + environments + servers
            seen = json.loads(run(visit, _LOOK.format(paths=paths)))
            own_view = run(visit, f"print(open({str(own)!r}).read())").strip()
            ready.wait(60)  # both were there all the time
            return seen, own_view

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(others, pool.map(work, others), strict=True))
    for name, (seen, own_view) in found.items():
        account = pwd.getpwnam(lab.prefix + name)
        assert (seen["uid"], seen["home"]) == (account.pw_uid, str(lab.homes / name))
        assert set(seen["groups"]) <= {account.pw_gid}
        assert seen["umask"] == 0o077
        assert seen["root_again"] != 0
        assert own_view == "mine"
        assert set(seen["attempts"].values()) == {"refused"}, seen["attempts"]
        assert seen["transport"] == "ipc", "over TCP everybody could listen to what a kernel prints"
    assert found["ana"][0]["uid"] != found["ben"][0]["uid"]


def test_every_part_is_a_system_user_of_its_own(lab):
    def programs(who):
        return " ".join(" ".join(process.cmdline()) for process in lab.processes(who))

    assert "axonlab_hub.serve" in programs("service")
    assert "jupyterhub_idle_culler" in programs("service")
    assert "axonlab runner" in programs("runner")
    assert "configurable-http-proxy" in programs("proxy")
    as_root = {
        " ".join(process.cmdline()[1:3])
        for process in psutil.Process(lab.process.pid).children(recursive=True)
        if process.uids().real == 0
    }
    assert as_root == {"-m jupyterhub"}, "and the lab's own process, which starts all this"


def test_a_job_goes_all_the_way(lab):
    with lab.visit("ana") as visit:
        visit.start_server()
        job, state, course, page, there = run(visit, _TRAIN).split()[-5:]
        assert (state, course, there) == ("succeeded", "bio301", "True")
        assert page == f"{lab.url}/services/axonlab/jobs/{job}", "what a browser can open"
        log = json.loads((next((lab.homes / "ana").rglob("job.json"))).read_text())
        assert log["steps"]
    with lab.visit("tea") as teacher:
        answer = httpx.get(
            f"{lab.url}/services/axonlab/api/v1/jobs?course=bio301",
            headers={"Authorization": f"Bearer {teacher.token}"},
            verify=ssl.create_default_context(cafile=str(lab.state / "proxy" / "certificate.pem")),
        )
        assert {entry["owner"] for entry in answer.json()["jobs"]} == {"ana"}, "staff of the course, by the roster"


def test_a_link_that_a_student_has_put_there_leads_nowhere(lab):
    trap = lab.folder / "not-for-students"
    trap.mkdir(mode=0o700)
    with lab.visit("ben") as visit:
        visit.start_server()
        folder = lab.homes / "ben" / "lessons"
        assert (folder / "01_first_model.ipynb").stat().st_uid == lab.uid("ben")
        run(visit, f"import shutil, os; shutil.rmtree({str(folder)!r}); os.symlink({str(trap)!r}, {str(folder)!r})")
        visit.stop_server()
        visit.start_server()
        assert list(trap.iterdir()) == []
        assert run(visit, "print('my server')").strip() == "my server"
        run(visit, f"import os; os.unlink({str(folder)!r})")


def test_stopping_a_server_ends_what_it_has_started(lab):
    with lab.visit("ben") as visit:
        visit.start_server()
        pid = int(run(visit, _STAY))
        assert pid in {process.pid for process in lab.processes("ben")}
        visit.stop_server()
        assert lab.processes("ben") == []


def test_everybody_has_a_password_of_their_own(lab):
    assert "3 new ones" in lab.said
    passwords = lab.first_passwords()
    assert set(passwords) == {"ana", "ben", "tea"}
    assert len(set(passwords.values())) == 3
    for name, password in [("ana", passwords["ben"]), ("ana", "wrong"), ("eve", passwords["ana"]), ("root", "x")]:
        with pytest.raises(NotSignedIn):
            Visit(lab.url, name, password)
    assert (lab.state / "hub" / "first-passwords.csv").stat().st_mode & 0o077 == 0
    new = lab.run("lab", "password", "--state", lab.state, "ben")
    with pytest.raises(NotSignedIn):
        lab.visit("ben")
    with lab.visit("ben", new):
        pass
    assert "has no password" in lab.run("lab", "password", "--state", lab.state, "nobody", status=2)
    log = (lab.state / "hub" / "hub.log").read_text()
    assert not any(password in log for password in [*passwords.values(), new])


def test_a_password_can_be_changed_in_the_browser(lab):
    first = lab.first_passwords()["tea"]
    context = ssl.create_default_context(cafile=str(lab.state / "proxy" / "certificate.pem"))
    with httpx.Client(base_url=lab.url, verify=context, follow_redirects=True, timeout=30) as browser:

        def send(path, **form):
            page = browser.get(path)
            xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
            assert xsrf, page.text
            return browser.post(path, data={**form, "_xsrf": xsrf.group(1)}).text

        send("/hub/login?next=/hub/home", username="tea", password=first)
        change = {"old_password": first, "new_password_confirmation": "short", "new_password": "short"}
        assert "has at least 10 characters" in send("/hub/change-password", **change)
        change |= {"new_password_confirmation": "long enough 7", "new_password": "long enough 7"}
        assert "changed successfully" in send("/hub/change-password", **change)
        assert browser.get("/hub/signup").status_code == 404
    with pytest.raises(NotSignedIn):
        lab.visit("tea")
    lab.visit("tea", "long enough 7").__exit__()


def test_the_roster_may_change_while_it_runs(lab):
    lab.roster.write_text(_PEOPLE.replace("ben;student\n", "") + "cleo;\n")
    said = lab.run("lab", "admit", "--state", lab.state)
    assert "1 let in: cleo" in said
    with lab.visit("cleo") as cleo:
        cleo.start_server()
        assert int(run(cleo, "import os; print(os.getuid())")) == lab.uid("cleo")
        cleo.stop_server()
    password = lab.run("lab", "password", "--state", lab.state, "ben")
    with pytest.raises(NotSignedIn):
        lab.visit("ben", password)  # has left the course, and keeps the files
    assert (lab.homes / "ben").is_dir()
    lab.roster.write_text(_PEOPLE)
    lab.visit("ben", password).__exit__()


def test_it_speaks_tls_only_and_tells_its_fingerprint(lab, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{lab.port}/hub/login")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{lab.url}/hub/login")
    pem = ssl.get_server_certificate(("127.0.0.1", lab.port))
    digest = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=pem, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert digest.partition("=")[2] in lab.said
    assert "self-signed" in lab.said


def test_backup_while_it_runs_and_restore_after_all_is_lost(lab, folder):
    with lab.visit("ana") as visit:
        visit.start_server()
        run(visit, "import os; open('kept.log', 'w').write('my work'); os.symlink('/etc/shadow', 'shadow')")
    archive = folder / "backup.tar.gz"
    assert "MB" in lab.run("backup", "--lan", "--state", lab.state, archive)
    assert archive.stat().st_mode & 0o077 == 0
    assert "exists already" in lab.run("backup", "--lan", "--state", lab.state, archive, status=2)
    assert "is there already" in lab.run("restore", archive, status=2)
    with lab.visit("ana") as visit:
        visit.stop_server()
    again = LabServer.__new__(LabServer)
    again.__dict__ = {**lab.__dict__, "port": free_port(), "state": folder / "state-again"}
    again.url = f"https://127.0.0.1:{again.port}"
    lab.homes.rename(folder / "homes-lost")
    try:
        assert "is back" in lab.run("restore", archive, "--state", again.state)
        for path in (lab.homes / "ana" / "kept.log", lab.homes / "ana"):
            assert path.stat().st_uid == lab.uid("ana")
            assert path.stat().st_mode & 0o077 == 0
        assert (lab.homes / "ana" / "shadow").readlink() == Path("/etc/shadow"), (
            "the link itself, not what it points at"
        )
        with again.up(), pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(again.state / "proxy" / "certificate.pem"))
            assert "new ones" not in again.said, "passwords are as before"
            with again.visit("ana", lab.first_passwords()["ana"]) as visit:
                answer = httpx.get(
                    f"{again.url}/services/axonlab/api/v1/jobs", headers={"Authorization": f"Bearer {visit.token}"}
                )
                assert [job["state"] for job in answer.json()["jobs"]] == ["succeeded"]
    finally:
        shutil.rmtree(lab.homes)
        (folder / "homes-lost").rename(lab.homes)
