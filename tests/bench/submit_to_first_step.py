"""From submit to the first training step: how long a student waits, cold and warm. Run on an idle machine.

    python tests/bench/submit_to_first_step.py [--jobs 5]

A real classroom on this machine (hub, service, runner), the shipped sample, steps instead of minutes. `cold` is the
first job of a runner that has just been started and has no warm parent yet; `warm` are later ones. What the platform
adds is the time between submit and the end of the job, less the time that the notebook itself took.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from statistics import median

import axonlab
from axonlab_core.contract.events import MetricEvent, ProgressEvent, StepEvent
from axonlab_hub.settings import Settings, child_environment
from axonlab_hub.up import open_classroom, runner_command
from axonlab_hub.visit import Visit

SAMPLE = Path(__file__).parents[2] / "notebooks" / "data" / "axon_sem"
STEPS = 9


def measure(job: axonlab.Job) -> dict[str, float]:
    """Seconds from submit to the first step, to the end, and of the notebook alone."""
    submitted_at = job.details.created_at
    first = ended = notebook_s = 0.0
    for event in job.events():
        passed_s = (event.at - submitted_at).total_seconds()
        body = event.body
        if not first and (isinstance(body, MetricEvent) or (isinstance(body, ProgressEvent) and body.done > 0)):
            first = passed_s
        if isinstance(body, StepEvent) and body.name == "execute" and body.status == "done":
            notebook_s = body.duration_s or 0.0
        ended = passed_s
    return {"first_step_s": first, "job_s": ended, "notebook_s": notebook_s, "platform_s": ended - notebook_s}


def main() -> None:
    """Print the figures as a table and as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=5)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AXONLAB_CACHE_DIR"] = f"{folder}/cache"
        settings = Settings(state=Path(folder) / "state", bind_url="http://127.0.0.1:18431")
        with open_classroom(settings, with_runner=False) as room:
            cold = [run(room, settings, Path(folder), 0)[0] for _ in range(jobs)]
            warm = run(room, settings, Path(folder), jobs)[1:]
    for kind, found in (("cold", cold), ("warm", warm)):
        middle = {name: round(median(row[name] for row in found), 2) for name in found[0]}
        print(kind, len(found), json.dumps(middle))


def run(room, settings, folder: Path, jobs: int) -> list[dict[str, float]]:
    """Figures of so many jobs, one after another, by one runner that starts with the first."""
    with Visit(room.url, "ana", room.passwords["student"]) as visit:
        client = axonlab.connect(room.service_url, visit.token)
        data = axonlab.dataset(SAMPLE / "images", SAMPLE / "masks", manifest=SAMPLE / "manifest.csv")
        data = data.select(split=["train", "val"])
        first = client.train(data, steps=STEPS)
        runner = subprocess.Popen(
            [*runner_command(room), "--work-dir", f"{folder}/work"], env=child_environment(settings)
        )
        try:
            found = [measure(first.wait())]
            found += [measure(client.train(data, steps=STEPS).wait()) for _ in range(jobs)]
        finally:
            runner.terminate()
            runner.wait(60)
        client.session.close()
    return found


if __name__ == "__main__":
    main()
