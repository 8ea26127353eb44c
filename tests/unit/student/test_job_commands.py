"""`axonlab job`, `axonlab models` and `axonlab doctor` against the real service."""

import json
import os
import shutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import axonlab
from axonlab import doctor_machine
from axonlab_core.cli import axonlab as command
from axonlab_core.cli import main
from axonlab_core.contract.events import LogEvent, MetricEvent, StepEvent
from axonlab_core.contract.jobs import Job
from axonlab_core.contract.states import Reason
from axonlab_hub.auth import Person

from . import bundles
from .service import bring, claimed_run

MAIN = [sys.executable, "-c", "from axonlab_core.cli import main; main()"]


@pytest.fixture
def signed_in(url, monkeypatch):
    monkeypatch.setenv("AXONLAB_SERVICE_URL", url)
    monkeypatch.setenv("AXONLAB_TOKEN", "ana-token")


@pytest.fixture
def run(signed_in, monkeypatch, capsys):
    """The command in this process: its exit code, what it printed, and what it said on standard error."""

    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["axonlab", *arguments])
        capsys.readouterr()
        before = axonlab.client._latest.get("client")
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        client = axonlab.client._latest.pop("client", None)
        if client is not None and client is not before:
            client.session.close()
        if before is not None:
            axonlab.client._latest["client"] = before
        return ended.value.code, shown.out, shown.err

    return run_command


@pytest.fixture
def data(grey, classes):
    return axonlab.dataset({"a": grey}, {"a": classes})


@pytest.fixture
def trained(url, ana, data, tmp_path):
    job = ana.train(data, steps=5, name="first")
    with claimed_run(url) as claimed:
        bring(claimed, bundles.train_bundle(tmp_path / "brought", data.sha256))
    return job


def test_jobs_are_listed_shown_stopped_and_repeated(run, ana, data):
    job = ana.train(data, steps=5, name="first")
    code, out, _ = run("job", "list")
    assert code == 0
    assert out.splitlines()[0].split()[:4] == ["id", "kind", "name", "state"]
    assert job.id in out
    assert "queued (next" in out
    assert run("job", "list", "--state", "failed")[1] == "No jobs.\n"
    listed = json.loads(run("job", "list", "--json", "--state", "queued", "--kind", "train")[1])
    assert [Job.model_validate(found).id for found in listed["jobs"]] == [job.id]
    assert (listed["more"], listed["left_out"]) == (False, 0)

    code, out, err = run("job", "resubmit", job.id)
    assert code == 2
    assert "queued" in err
    assert out == ""
    code, out, _ = run("job", "cancel", job.id)
    assert "state       cancelled\n" in out
    assert "Submit it again if that was a mistake." in run("job", "show", job.id)[1]
    again = json.loads(run("job", "resubmit", job.id, "--json")[1])
    assert again["resubmitted_from"] == job.id
    assert json.loads(run("job", "show", again["id"], "--json")[1])["state"] == "queued"
    assert f"jobs/{again['id']}" in run("job", "show", again["id"])[1]


@pytest.mark.parametrize("verb", ["show", "logs", "cancel", "resubmit"])
def test_a_job_that_is_not_there_ends_with_2(run, verb):
    code, out, err = run("job", verb, "0123456789abcdef")
    assert (code, out) == (2, "")
    assert "Error" in err
    assert run("job", verb, "../x")[0] == 2


def test_a_list_is_read_page_by_page_and_says_if_there_is_more(ana, data):
    made = [ana.train(data, steps=1).cancel().id for _ in range(5)]
    table = ana.jobs(limit=3)
    assert [job.id for job in table] == made[:1:-1]
    assert table.more
    assert "There are older ones" in repr(table)
    assert "There are older ones" in table._repr_html_()
    assert len(ana.jobs(limit=500)) == 5
    assert ana.jobs(limit=500).more is False
    assert table[0].id == made[-1]
    assert len(table[:2]) == 2
    assert len(axonlab.jobs(state=("queued", "cancelled"), kind="train")) == 5
    with pytest.raises(axonlab.client.BadInput, match="'sleeping' is no state"):
        ana.jobs(state="sleeping")
    with pytest.raises(axonlab.client.BadInput):
        ana.jobs(limit=0)


def test_names_cannot_break_the_table(ana, data):
    ana.train(data, steps=1, name="<b>\nx")
    assert "&lt;b&gt; x" in ana.jobs()._repr_html_()
    assert "<b> x" in repr(ana.jobs())


def test_the_log_is_printed_and_followed_to_the_end(url, signed_in, run, ana, data):
    job = ana.train(data, steps=5)
    follower = subprocess.Popen(
        [*MAIN, "job", "logs", "-f", job.id], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with claimed_run(url) as claimed:
        claimed.send_events(0, [StepEvent(name="execute", status="started"), LogEvent(stream="stdout", text="half ")])
        assert follower.stdout is not None
        while "execute: started" not in follower.stdout.readline():
            pass
        claimed.send_events(2, [MetricEvent(step=1, values={"loss": 1.0}), LogEvent(stream="stdout", text="a line\n")])
        claimed.send_events(4, [LogEvent(stream="stdout", text="no end")])
        claimed.fail(Reason.timeout, "Too slow.", [])
    out = follower.stdout.read()
    assert follower.stderr is not None
    assert (follower.wait(30), follower.stderr.read()) == (0, "")
    follower.stdout.close()
    follower.stderr.close()
    assert out.startswith("half a line\nno end\n[")
    assert "failed (timeout): Too slow.\n" in out
    code, whole, _ = run("job", "logs", job.id)
    assert code == 0
    assert whole.endswith(out)
    assert whole == job.log()
    events = [json.loads(line) for line in run("job", "logs", "--json", job.id)[1].splitlines()]
    assert [event["n"] for event in events] == list(range(1, len(events) + 1))
    assert {"metric", "log", "state", "step"} <= {event["body"]["type"] for event in events}


def test_models_are_listed_and_used_without_fetching_them(service, run, trained, grey):
    _, traffic = service
    code, out, _ = run("models")
    assert code == 0
    assert f"job {trained.id}" in out
    assert "axon 0.90" in out
    assert json.loads(run("models", "--json")[1])["mine"][0]["job_id"] == trained.id
    table = axonlab.models()
    assert "background, myelin, axon" in table._repr_html_()
    fetched = traffic.count("GET", "storage")
    (entry,) = table
    job = axonlab.segment(grey, model=entry)
    assert job.details.spec.model.job_id == trained.id
    assert traffic.count("GET", "storage") == fetched
    with pytest.raises(axonlab.client.BadInput, match="trained on grey"):
        axonlab.segment(grey[..., None].repeat(3, axis=2), model=entry)


def test_a_published_model_is_used_by_its_entry_or_its_name(service, ana, data, trained, grey):
    url, traffic = service
    people = traffic.app.state.identities.people
    everything = people["ana-token"].scopes | {"custom:axonlab:teach"}
    people["ana-token"] = Person(name="ana", groups=frozenset({"formgrade-bio"}), scopes=everything)
    people["ben-token"] = Person(name="ben", groups=frozenset({"nbgrader-bio"}), scopes=people["ben-token"].scopes)
    body = axonlab.client.contract.JobModel(job_id=trained.id)
    from axonlab_core.contract.models import PublishedModelEntry, PublishModelRequest

    ana.session.call(
        "POST", "courses/bio/models", PublishedModelEntry, body=PublishModelRequest(name="Base <1>", model=body)
    )
    ben = axonlab.connect(url, "ben-token")
    try:
        table = ben.models("bio")
        assert "course bio" in repr(table)
        assert "Base &lt;1&gt;" in table._repr_html_()
        for model in (table[0], table[0].source):
            assert ben.segment(grey, model).details.spec.model == table[0].source
        unknown = table[0].source.model_copy(update={"sha256": "0" * 64})
        with pytest.raises(axonlab.client.NotFound, match="does not offer"):
            ben.segment(grey, unknown)
    finally:
        ben.session.close()


# -- doctor ----------------------------------------------------------------------------------------------


def examined(run, *arguments):
    code, out, err = run("doctor", "--json", *arguments)
    found = json.loads(out)
    assert found["exit_code"] == code
    assert err == ""
    return code, {check["name"]: check for check in found["checks"]}


def test_the_doctor_finds_all_well(run, ana, data, trained):
    from axonlab_runner.source import ServiceSource

    from .service import MACHINE

    source = ServiceSource(ana.session.url, "runner-token", patience_s=1)
    source.next_job(MACHINE, wait_s=0)
    source.close()
    code, checks = examined(run, "--only", "connection")
    assert code == 0, checks
    assert {name: check["status"] for name, check in checks.items()} == {
        "cache": "ok",
        "address and token": "ok",
        "hub": "note",  # there is none in this test
        "service": "ok",
        "token and scopes": "ok",
        "courses": "note",
        "storage": "ok",
        "runners for train": "ok",
        "runners for infer": "ok",
    }
    assert f"of job {trained.id} came back whole" in checks["storage"]["said"]
    assert all(check["remedy"] for check in checks.values() if check["status"] == "note")


def test_the_doctor_says_what_to_do_without_a_runner(run):
    code, checks = examined(run, "--only", "connection")
    assert code == 1
    assert checks["runners for train"]["status"] == "failed"
    assert "axonlab runner --service http" in checks["runners for train"]["remedy"]
    assert "no result yet" in checks["storage"]["said"]
    code, out, _ = run("doctor", "--only", "connection")
    assert code == 1
    assert "FAILED   runners for train" in out


def test_the_doctor_knows_what_a_token_lacks(run, service, monkeypatch):
    people = service[1].app.state.identities.people
    people["ana-token"] = Person(name="ana", scopes=frozenset({"access:services!service=axonlab"}))
    code, checks = examined(run, "--only", "connection")
    assert code == 2
    assert "custom:axonlab:submit" in checks["token and scopes"]["said"]
    assert checks["token and scopes"]["remedy"]
    assert "storage" not in checks
    monkeypatch.setenv("AXONLAB_TOKEN", "nobodys")
    code, checks = examined(run, "--only", "connection")
    assert code == 2
    assert "does not know this token" in checks["token and scopes"]["said"]


def test_the_doctor_without_address_token_service_or_cache(run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AXONLAB_SERVICE_URL", "http://127.0.0.1:9/services/axonlab")
    monkeypatch.setenv("AXONLAB_CACHE_DIR", str(tmp_path / "file"))
    code, checks = examined(run, "--only", "connection")
    assert code == 1
    assert "cannot be reached" in checks["service"]["said"]
    assert checks["cache"]["status"] == "failed"
    assert "AXONLAB_CACHE_DIR" in checks["cache"]["remedy"]
    assert checks["the rest"]["status"] == "skipped"
    monkeypatch.delenv("AXONLAB_TOKEN")
    code, checks = examined(run, "--only", "connection")
    assert code == 2
    assert "AXONLAB_TOKEN_FILE" in checks["address and token"]["remedy"]
    monkeypatch.setenv("AXONLAB_TOKEN_FILE", str(tmp_path / "gone"))
    assert examined(run, "--only", "connection")[1]["settings"]["status"] == "failed"


def program(folder, name, script):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_the_doctor_looks_at_an_operators_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def look():
        return {check.name: check for check in doctor_machine.check_machine(tmp_path)}

    found = look()
    assert (found["node"].status, found["proxy"].status, found["GPU"].status) == ("failed", "failed", "note")
    assert all(found[name].remedy for name in ("node", "proxy"))
    assert found["torch"].status == "ok"
    assert found["disk"].name == "disk"
    program(tmp_path / "bin", "node", "echo v16.1.0")
    assert "v16.1.0" in look()["node"].said
    program(tmp_path / "bin", "node", "echo v20.1.0")
    program(tmp_path / "bin", "configurable-http-proxy", "exit 0")
    program(tmp_path / "bin", "nvidia-smi", "exit 9")
    found = look()
    assert (found["node"].status, found["proxy"].status, found["GPU"].status) == ("ok", "ok", "failed")
    program(tmp_path / "bin", "nvidia-smi", "echo 'Tesla T4, 4000'")
    assert look()["GPU"].status == "note"
    program(tmp_path / "bin", "nvidia-smi", "echo 'Tesla T4, 14900'")
    found = look()
    assert found["GPU"].status == "ok"
    assert "a training on cuda needs 93.1 GiB" in found["disk"].said
    monkeypatch.setattr(doctor_machine, "version", lambda _: "2.6.0+cpu")
    assert "built for CPUs" in look()["torch"].said
    monkeypatch.setattr(doctor_machine, "version", lambda _: "2.1.0")
    assert "too old" in look()["torch"].said
    monkeypatch.setattr(doctor_machine, "find_spec", lambda _: None)
    assert look()["machine"].status == "skipped"


# -- help and completion ---------------------------------------------------------------------------------


def commands(group, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        yield (*path, name), found
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))


@pytest.mark.parametrize("name", ["train", "segment", "evaluate", "job", "models", "doctor"])
def test_every_command_has_help_with_an_example(name):
    found = {path: one for path, one in commands(command) if path[0] == name}
    assert found
    for path, one in found.items():
        shown = CliRunner().invoke(one, ["--help"]).output
        assert f"axonlab {' '.join(path)}" in shown.partition("Example")[2], shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_complete(shell):
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("click asks bash for its version, and there is no bash here")
    said = subprocess.run(
        MAIN_AS_AXONLAB,
        env={**os.environ, "_AXONLAB_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    assert f"{shell}_complete" in said
    offered = subprocess.run(
        MAIN_AS_AXONLAB,
        env={
            **os.environ,
            "_AXONLAB_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": "axonlab job list --state ",
            "COMP_CWORD": "" if shell == "fish" else "4",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    assert "queued" in offered
    assert f"_AXONLAB_COMPLETE={shell}_source" in CliRunner().invoke(command, ["--help"]).output


MAIN_AS_AXONLAB = [
    sys.executable,
    "-c",
    "import sys; sys.argv[0] = 'axonlab'; from axonlab_core.cli import main; main()",
]


def test_a_reader_that_goes_away_leaves_no_traceback(signed_in, ana, data):
    ana.train(data, steps=1)
    read, write = os.pipe()
    os.close(read)
    try:
        ended = subprocess.run(
            [*MAIN, "job", "list"], stdout=write, stderr=subprocess.PIPE, text=True, timeout=30, check=False
        )
    finally:
        os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")
