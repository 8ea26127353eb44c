"""What a student imports: data in, jobs out, results back.

    import axonlab
    data = axonlab.dataset("images", labels="labels")
    job = axonlab.train(data, minutes=2)
    axonlab.show_overlay(axonlab.segment("new.tif", model=job).result())

Everything is imported when it is first used, so that `import axonlab` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from axonlab.client import Client, connect, job, jobs, models, segment, train
    from axonlab.datasets import Dataset, dataset
    from axonlab.evaluation import Evaluation, evaluate
    from axonlab.job_handle import Job
    from axonlab.pictures import show_image, show_overlay
    from axonlab.result import Result
    from axonlab.samples import Sample, sample

__all__ = [
    "Client",
    "Dataset",
    "Evaluation",
    "Job",
    "Result",
    "Sample",
    "connect",
    "dataset",
    "evaluate",
    "job",
    "jobs",
    "models",
    "sample",
    "segment",
    "show_image",
    "show_overlay",
    "train",
]

# No module is called like a public function: importing it would put the module in the function's place.
_HOMES = {
    "Client": "client",
    "connect": "client",
    "job": "client",
    "jobs": "client",
    "models": "client",
    "segment": "client",
    "train": "client",
    "Dataset": "datasets",
    "dataset": "datasets",
    "Evaluation": "evaluation",
    "evaluate": "evaluation",
    "Job": "job_handle",
    "show_image": "pictures",
    "show_overlay": "pictures",
    "Result": "result",
    "Sample": "samples",
    "sample": "samples",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'axonlab' has no attribute {name!r}")
    value = getattr(import_module(f"axonlab.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
