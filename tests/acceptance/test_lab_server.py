"""A lab server as `axonlab up --lan` starts it: real system users, real passwords, TLS; as root only."""

import csv
import hashlib
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
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
    "no_new_privs": "NoNewPrivs:\\t1" in pathlib.Path("/proc/self/status").read_text(),
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
        found = psutil.process_iter(["uids", "status"])
        alive = [process for process in found if process.info["status"] != psutil.STATUS_ZOMBIE]
        return [process for process in alive if process.info["uids"].real == self.uid(who)]

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
            certificate = str(server.state / "proxy" / "self-signed.pem")
            patch.setenv("SSL_CERT_FILE", certificate)
            patch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", certificate)
            yield server
    finally:
        for user in [user.pw_name for user in pwd.getpwall() if user.pw_name.startswith(server.prefix)]:
            subprocess.run(["userdel", user], check=False)
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
        lab.state / "proxy" / "self-signed.key",
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
        assert seen["no_new_privs"], "a setuid program makes nobody root"
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
            verify=trusting(lab),
        )
        assert {entry["owner"] for entry in answer.json()["jobs"]} == {"ana"}, "staff of the course, by the roster"


def test_a_link_that_a_student_has_put_there_leads_nowhere(lab):
    """And stopping a server ends what it has started, also when the student has killed the server themselves."""
    trap = lab.folder / "not-for-students"
    trap.mkdir(mode=0o700)
    with lab.visit("ben") as visit:
        visit.start_server()
        folder = lab.homes / "ben" / "lessons"
        assert (folder / "01_first_model.ipynb").stat().st_uid == lab.uid("ben")
        run(visit, f"import shutil, os; shutil.rmtree({str(folder)!r}); os.symlink({str(trap)!r}, {str(folder)!r})")
        pid = int(run(visit, _STAY))
        assert pid in {process.pid for process in lab.processes("ben")}
        (server,) = [
            process for process in lab.processes("ben") if "jupyterhub-singleuser" in " ".join(process.cmdline())
        ]
        server.kill()
        visit.stop_server()
        visit.start_server()
        assert pid not in {process.pid for process in lab.processes("ben")}
        assert list(trap.iterdir()) == []
        assert run(visit, f"import os; os.unlink({str(folder)!r}); print('my server')").strip() == "my server"
        pid = int(run(visit, _STAY))
        visit.stop_server()
        assert lab.processes("ben") == []


def test_system_users_are_of_no_use_past_the_hub(lab):
    """Out of date from the first day: a key for SSH or a cron job lets nobody in."""
    for name in ("ana", "ben", "tea"):
        shadow = subprocess.run(
            ["getent", "shadow", lab.prefix + name], capture_output=True, text=True, check=True
        ).stdout.split(":")
        assert shadow[1].startswith("!"), "no password"
        assert shadow[7] == "1", "day 1 of 1970"


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
        lab.visit("ben", passwords["ben"])
    lab.visit("ben", new).__exit__()
    assert set(lab.first_passwords()) == {"ana", "tea"}, "ben's holds no longer"
    assert "has no password" in lab.run("lab", "password", "--state", lab.state, "nobody", status=2)
    log = (lab.state / "hub" / "hub.log").read_text()
    assert not any(password in log for password in [*passwords.values(), new])


def trusting(lab):
    """What a person does who was told the fingerprint: they trust this certificate, and no other one."""
    return ssl.create_default_context(cafile=str(lab.state / "proxy" / "self-signed.pem"))


@contextmanager
def browser(lab, name, password):
    """A browser that has logged in, and a way to send a form."""
    with httpx.Client(base_url=lab.url, verify=trusting(lab), follow_redirects=True, timeout=60) as client:

        def send(path, **form):
            page = client.get(path)
            xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
            assert xsrf, page.text
            return client.post(path, data={**form, "_xsrf": xsrf.group(1)})

        assert send("/hub/login?next=/hub/home", username=name, password=password).url.path == "/hub/home"
        yield client, send


def test_a_password_can_be_changed_in_the_browser(lab):
    first, new = lab.first_passwords()["tea"], "long enough 7"
    with browser(lab, "tea", first) as (client, send), browser(lab, "tea", first) as (other, _):
        assert "/hub/change-password" in client.get("/hub/home").text

        def change(old, new, again=None):
            form = {"old_password": old, "new_password": new, "new_password_confirmation": again or new}
            return send("/hub/change-password", **form).text

        assert "needs 10 to 72 characters" in change(first, "short")
        assert "needs 10 to 72 characters" in change(first, "ä" * 40)
        assert "differ" in change(first, new, "another one")
        assert "was incorrect" in change("wrong", new)
        assert "has been changed" in change(first, new)
        assert client.get("/hub/home").url.path == "/hub/home", "goes on in this browser"
        assert other.get("/hub/home").url.path == "/hub/login", "and in no other one"
        assert client.get("/hub/signup").status_code == 404
        assert client.get("/hub/authorize").status_code == 404
    with pytest.raises(NotSignedIn):
        lab.visit("tea")
    lab.visit("tea", new).__exit__()


def test_passwords_cannot_be_guessed_and_the_hub_goes_on(lab):
    password = lab.run("lab", "password", "--state", lab.state, "ana")
    with browser(lab, "ana", password) as (client, send):
        form = {"old_password": "wrong", "new_password": "long enough 7", "new_password_confirmation": "long enough 7"}

        def guess(_):
            return send("/hub/change-password", **form).status_code

        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(guess, range(30))
            slowest = max(client.get("/hub/health").elapsed.total_seconds() for _ in range(10))
        assert set(answers) == {200, 429}
        # One after another on the hub's own thread they would take 30 times a quarter of a second.
        assert slowest < 5
    lab.visit("ana", password).__exit__()  # and nobody is locked out


def test_the_roster_may_change_while_it_runs(lab):
    """Who comes in gets all, who leaves loses all: tokens, sessions, the running server, and what staff may."""
    password = lab.run("lab", "password", "--state", lab.state, "ben")
    teachers = lab.run("lab", "password", "--state", lab.state, "tea")

    def status(visit, path, method="GET"):
        headers = {"Authorization": f"Bearer {visit.token}"}
        return httpx.request(method, lab.url + path, headers=headers, verify=trusting(lab), timeout=30).status_code

    jobs = "/services/axonlab/api/v1/jobs"
    with lab.visit("ben", password) as ben, lab.visit("tea", teachers) as tea:
        ben.start_server()
        assert status(ben, "/user/ben/api/status") == status(ben, jobs) == 200
        assert status(tea, f"{jobs}?course=bio301&owner=ana") == 200
        lab.roster.write_text("id\nana\ntea\ncleo\n")
        assert "1 let in: cleo" in lab.run("lab", "admit", "--state", lab.state)
        ends_at = time.monotonic() + 60
        while lab.processes("ben") or status(ben, "/hub/api/user") != 403:
            assert time.monotonic() < ends_at
            time.sleep(0.5)  # the hub looks at the roster every few seconds
        assert status(ben, "/hub/api/users/ben/server", "POST") == 403
        while status(ben, jobs) != 401 or status(tea, f"{jobs}?course=bio301&owner=ana") != 403:
            assert time.monotonic() < ends_at
            time.sleep(0.5)  # the service believes an identity for half a minute
    with pytest.raises(NotSignedIn):
        lab.visit("ben", password)
    assert (lab.homes / "ben").is_dir(), "the files stay"
    with lab.visit("cleo") as cleo:
        cleo.start_server()
        assert int(run(cleo, "import os; print(os.getuid())")) == lab.uid("cleo")
        cleo.stop_server()
    lab.roster.write_text(_PEOPLE)
    lab.visit("ben", password).__exit__()


def test_it_speaks_tls_only_and_tells_its_fingerprint(lab, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{lab.port}/hub/login")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{lab.url}/hub/login")
    pem = ssl.get_server_certificate(("127.0.0.1", lab.port))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":").upper()
    assert digest in lab.said
    assert "self-signed" in lab.said


@pytest.fixture(scope="module")
def archive(lab, folder):
    """A backup made while it runs, and while somebody works."""
    with lab.visit("ana", lab.run("lab", "password", "--state", lab.state, "ana")) as visit:
        visit.start_server()
        run(visit, "import os; open('kept.log', 'w').write('my work'); os.symlink('/etc/shadow', 'shadow')")
        path = folder / "backup.tar.gz"
        assert "MB" in lab.run("backup", "--lan", "--state", lab.state, path)
        visit.stop_server()
    return path


@pytest.fixture
def restored(lab, archive, folder):
    """The same lab server, after its folders were lost and came back; on a machine that knows one user less."""
    again = LabServer.__new__(LabServer)
    again.__dict__ = {**lab.__dict__, "port": free_port(), "state": folder / "state-again"}
    again.url = f"https://127.0.0.1:{again.port}"
    lab.homes.rename(folder / "homes-lost")
    subprocess.run(["userdel", f"{lab.prefix}ben"], check=True)
    try:
        assert "is back" in lab.run("restore", archive, "--state", again.state)
        yield again
    finally:
        shutil.rmtree(lab.homes)
        shutil.rmtree(again.state)
        (folder / "homes-lost").rename(lab.homes)


def rows(state, file, query):
    with closing(sqlite3.connect(f"{(state / file).as_uri()}?mode=ro", uri=True)) as database:
        return sorted(database.execute(query).fetchall())


def test_backup_while_it_runs_and_restore_after_all_is_lost(lab, archive, restored):
    assert archive.stat().st_mode & 0o077 == 0
    assert "exists already" in lab.run("backup", "--lan", "--state", lab.state, archive, status=2)
    assert "is there already" in lab.run("restore", archive, status=2)
    for name in ("ana", "ben", "tea"):
        home = lab.homes / name
        assert home.stat().st_uid == lab.uid(name), "to whom it belongs by name"
        assert home.stat().st_mode & 0o077 == 0
        assert all(path.lstat().st_uid == lab.uid(name) for path in home.rglob("*"))
    assert (lab.homes / "ana" / "kept.log").read_text() == "my work"
    assert (lab.homes / "ana" / "shadow").readlink() == Path("/etc/shadow"), "the link itself, not what it points at"
    for file, query in [
        ("hub/jupyterhub.sqlite", "SELECT username, password FROM users_info"),
        ("service/axonlab.sqlite", "SELECT id, owner, state FROM jobs"),
    ]:
        assert rows(restored.state, file, query) == rows(lab.state, file, query)
    assert (restored.state / "service" / "axonlab.sqlite").stat().st_uid == lab.uid("service")
    assert (restored.state / "hub").stat().st_uid == 0
    for secret in ("hub/cookie-secret", "service/link-secret", "proxy/self-signed.key"):
        assert (restored.state / secret).read_bytes() == (lab.state / secret).read_bytes()


@pytest.mark.slow
def test_a_restored_lab_server_goes_on(lab, restored):
    password = lab.run("lab", "password", "--state", restored.state, "ana")
    with restored.up():
        assert "new ones" not in restored.said, "passwords are as before"
        with restored.visit("ana", password) as visit:
            visit.start_server()
            assert run(visit, "print(open('kept.log').read())").strip() == "my work"


def test_it_does_not_start_over_something_else(lab, folder):
    other = folder / "other"
    other.mkdir()
    (other / "precious").write_text("data")
    before = other.stat()
    assert "something else" in lab.run("up", *lab.options, "--state", other, status=2)
    assert (other.stat().st_uid, other.stat().st_mode) == (before.st_uid, before.st_mode)
    assert "running already" in lab.run("up", *lab.options, status=2)
    assert "was started with --homes" in lab.run("up", *lab.options, "--homes", other, status=2)
