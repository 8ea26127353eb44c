"""The command line: what it prints where, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

import axonlab
import axonlab.commands
from axonlab_core.cli import main
from axonlab_core.contract.errors import UserError

from . import bundles
from .service import bring, claimed_run

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments, **environment):
    """The whole command in a process of its own, as a person runs it."""
    return subprocess.run(
        [sys.executable, "-c", "from axonlab_core.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def folders(write, grey, classes):
    write("images/a.tif", grey)
    write("images/b.tif", grey + 1)
    write("labels/a.tif", classes)
    write("labels/b.tif", classes)


def test_help_names_every_option():
    for command, options in (
        (
            "train",
            "--images --labels --palette --minutes --steps --preset --seed --manifest --pixel-size-um --here --out",
        ),
        ("segment", "IMAGE... --model --manifest --pixel-size-um --here --out"),
        ("evaluate", "--truth --prediction --palette --json"),
    ):
        shown = CliRunner().invoke(getattr(axonlab.commands, command), ["--help"]).output
        for option in options.split():
            assert option in shown, (command, option)


def test_evaluate_prints_a_table_or_json(folders, tmp_path):
    table = run("evaluate", "--truth", "labels", "--prediction", "labels")
    assert table.returncode == 0
    header = [
        "image",
        "class",
        "Dice",
        "IoU",
        "F1",
        "at",
        "0.5",
        "AP",
        "at",
        "0.5",
        "F1",
        "at",
        "0.3",
        "AP",
        "at",
        "0.3",
    ]
    assert table.stdout.splitlines()[0].split() == header
    (myelin,) = (line.split() for line in table.stdout.splitlines() if line.startswith("a      myelin"))
    assert myelin[2:] == ["1.000"] * 6
    (tmp_path / "labels/b.tif").rename(tmp_path / "images/b_elsewhere.tif")
    write_more = np.zeros((40, 50), np.uint8)
    (tmp_path / "p").mkdir()
    tifffile.imwrite(tmp_path / "p/a.tif", write_more)
    tifffile.imwrite(tmp_path / "p/extra.tif", write_more)
    answer = run("evaluate", "--truth", "labels", "--prediction", "p", "--json")
    assert answer.returncode == 0
    found = json.loads(answer.stdout)
    assert set(found) == {"images", "mean"}
    axon = found["images"]["a"]["axon"]
    assert (axon["dice"], axon["iou"], [entry["iou"] for entry in axon["objects"]]) == (0.0, 0.0, [0.3, 0.5])
    assert found["images"]["a"]["background"]["dice"] == 0.0
    assert (found["mean"]["myelin"]["dice"], found["mean"]["myelin"]["iou"]) == (0.0, 0.0)
    assert "extra" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train --images images --labels labels --out out", "--minutes or --steps"),
        ("train --images images --labels labels --out out --minutes 1 --steps 1", "--minutes or --steps"),
        ("train --images images --labels labels --steps 1", "--out"),
        ("train --images images --labels labels --steps 1 --out images --here", "not empty"),
        ("train --images nowhere --labels labels --steps 1 --out out --here", "nowhere"),
        ("train --images images --labels images --steps 1 --out out --here", "2 problems in 2 images"),
        ("train --images images --labels labels --steps 0 --out out --here", "steps"),
        ("train --images images --labels labels --steps 1 --preset huge --out out --here", "preset"),
        ("train --images images --labels labels --steps 1 --palette one --out out --here", "palette"),
        ("train --images images --labels labels --steps 1 --pixel-size-um -1 --out out --here", "pixel_size_um"),
        ("train --images images --labels labels --steps 1 --manifest gone.csv --out out --here", "gone.csv"),
        ("train --images images --labels labels --steps 1 --out out", "--here"),
        ("segment images --model gone.safetensors --out out --here", "no model"),
        ("segment images --model images/a.tif --out out --here", "not a model of Axonlab"),
        ("segment images --out out --here", "--model"),
        ("segment --model m.safetensors --out out", "IMAGE"),
        ("segment images --model m.safetensors --out out", "AXONLAB_SERVICE_URL"),
        ("evaluate --truth labels --prediction nowhere", "nowhere"),
        ("evaluate --truth labels --prediction images", "no class"),
    ],
)
def test_what_a_person_can_change_ends_with_2(folders, monkeypatch, capsys, arguments, said):
    bundles.write_model(Path("m.safetensors"), bundles.card())
    monkeypatch.setattr(sys, "argv", ["axonlab", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""
    assert not Path("out").exists()


def test_a_hub_that_does_not_answer_is_said_with_both_ways(folders):
    ended = run(
        *["train", "--images", "images", "--labels", "labels", "--steps", "1", "--out", "out"],
        AXONLAB_SERVICE_URL="http://127.0.0.1:9/services/axonlab",
        AXONLAB_TOKEN="very-secret",
    )
    assert ended.returncode == 2
    assert "cannot be reached" in ended.stderr
    assert "--here" in ended.stderr
    assert "/hub/token" in ended.stderr
    assert "very-secret" not in ended.stderr


def test_a_disk_that_takes_nothing_ends_with_1(folders, tmp_path):
    (tmp_path / "no-folder").write_text("a file where the cache should be")
    ended = run(
        *["train", "--images", "images", "--labels", "labels", "--steps", "1", "--out", "out", "--here"],
        AXONLAB_CACHE_DIR=str(tmp_path / "no-folder"),
    )
    assert ended.returncode == 1
    assert "cache" in ended.stderr


def test_here_without_the_runner_says_what_to_install(monkeypatch):
    monkeypatch.setattr(axonlab.commands, "entry_points", lambda **_: ())
    with pytest.raises(UserError, match=r"axonlab\[runner,learning\]"):
        axonlab.commands._runner()


def test_out_is_checked_before_any_work(folders, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        CliRunner().invoke(
            axonlab.commands.train,
            ["--images", "images", "--labels", "labels", "--steps", "1", "--here", "--out", "file"],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_train_and_segment_through_the_hub(url, folders, tmp_path):
    environment = {"AXONLAB_SERVICE_URL": url, "AXONLAB_TOKEN": "ana-token"}
    brought = []

    def runner(fill):
        with claimed_run(url) as claimed:
            fill(tmp_path / f"brought{len(brought)}", claimed.claim.spec.dataset)
            brought.append(claimed.claim.spec)
            bring(claimed, tmp_path / f"brought{len(brought) - 1}")

    worker = threading.Thread(target=runner, args=(bundles.train_bundle,))
    worker.start()
    command = "train --images images --labels labels --steps 7 --seed 5 --pixel-size-um 0.1 --out new/out --json"
    ended = run(*command.split(), **environment)
    worker.join(30)
    assert ended.returncode == 0, ended.stderr
    assert (brought[0].steps, brought[0].seed) == (7, 5)
    found = json.loads(ended.stdout)
    assert found["model"] == str(tmp_path / "new/out/model/model.safetensors")
    assert Path(found["model"]).is_file()
    assert "succeeded" in ended.stderr

    def masks(folder, _):
        bundles.infer_bundle(folder, {"a": (np.zeros((40, 50), np.uint8), np.ones((40, 50), np.uint8))})

    worker = threading.Thread(target=runner, args=(masks,))
    worker.start()
    ended = run(*["segment", "images/a.tif", "--out", "seg", "--model"], found["model"], **environment)
    worker.join(30)
    assert ended.returncode == 0, ended.stderr
    assert str(tmp_path / "seg/masks/a.labels.ome.tif") in ended.stdout
    assert "seg/overlays/a.overlay.png" in ended.stdout


def test_a_failing_job_ends_with_2(url, folders):
    def runner():
        with claimed_run(url) as claimed:
            claimed.fail("timeout", "It took too long.", [])

    worker = threading.Thread(target=runner)
    worker.start()
    ended = run(
        *["train", "--images", "images", "--labels", "labels", "--steps", "7", "--out", "out"],
        AXONLAB_SERVICE_URL=url,
        AXONLAB_TOKEN="ana-token",
    )
    worker.join(30)
    assert ended.returncode == 2
    assert "It took too long." in ended.stderr
    assert ended.stdout == ""


def test_ctrl_c_ends_the_command_and_not_the_job(service, folders):
    url, traffic = service
    command = "train --images images --labels labels --steps 7 --out out"
    process = subprocess.Popen(
        [sys.executable, "-c", "from axonlab_core.cli import main; main()", *command.split()],
        env={**os.environ, "AXONLAB_SERVICE_URL": url, "AXONLAB_TOKEN": "ana-token"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert traffic.wait_for("GET", "jobs/")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    job_id = err.partition("axonlab.job('")[2].partition("'")[0]
    client = axonlab.connect(url, "ana-token")
    assert client.job(job_id).state == "queued"
    client.session.close()
