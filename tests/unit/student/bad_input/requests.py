"""Requests that no client of ours would send."""

from dataclasses import dataclass

_SPEC = {"kind": "train", "dataset": "0" * 64, "steps": 3}


@dataclass(frozen=True)
class BadRequest:
    """A request: its title, method and path under `/api/v1/`, and its body as an object or as bytes."""

    title: str
    method: str
    path: str
    body: object = None
    by_runner: bool = False
    """Whether a run sends it, with its own token."""

    def __str__(self):
        return self.title.replace(" ", "_")


def _job(title, spec=None, **more):
    return BadRequest(title, "POST", "jobs", {"spec": _SPEC | (spec or {}), **more})


def _upload(title, **blob):
    return BadRequest(title, "POST", "uploads", {"blobs": [{"sha256": "0" * 64, "size_bytes": 1} | blob]})


def _result(title, path):
    blob = {"sha256": "0" * 64, "size_bytes": 1, "path": path}
    return BadRequest(title, "POST", "runs/{job}/1/outputs", {"files": [blob]}, by_runner=True)


REQUESTS = [
    BadRequest("no body", "POST", "jobs"),
    BadRequest("a body that is not JSON", "POST", "jobs", b"{"),
    BadRequest("a body that is not UTF-8", "POST", "jobs", b'{"spec": "\xff"}'),
    BadRequest("a body nested 100,000 deep", "POST", "jobs", b"[" * 100_000),
    BadRequest("a number of 5,000 digits", "POST", "jobs", b'{"spec": {"steps": ' + b"9" * 5000 + b"}}"),
    BadRequest("half a surrogate pair", "POST", "jobs",
               b'{"spec": {"kind": "train", "dataset": "' + b"0" * 64 + b'", "steps": 3, "name": "\\ud800"}}'),
    BadRequest("a list for an object", "POST", "jobs", []),
    BadRequest("text for an object", "POST", "jobs", {"spec": "train"}),
    _job("an unknown field", {"minuets": 2}),
    _job("an unknown kind", {"kind": "dance"}),
    _job("a data set that climbs", {"dataset": "../../etc/passwd"}),
    _job("a data set that is not there"),
    _job("a key with a space", idempotency_key="my key"),
    _job("an empty key", idempotency_key=""),
    _job("a key with an emoji", idempotency_key="🧠"),
    _job("a key of 250 characters", idempotency_key="k" * 250),
    _job("a model's id that climbs", {"kind": "infer", "steps": None, "model": {"source": "job", "job_id": "../x"}}),
    _upload("a blob whose name climbs", sha256="../" * 20 + "etc/"),
    _upload("a blob of negative size", size_bytes=-1),
    BadRequest("a thousand and one blobs", "POST", "uploads",
               {"blobs": [{"sha256": "0" * 64, "size_bytes": 1}] * 1001}),
    BadRequest("a job's id that climbs", "GET", "jobs/..%2F..%2Fetc"),
    BadRequest("a job's id with a quote", "GET", "jobs/%27%20or%201=1%20--"),
    BadRequest("a job's id with an emoji", "GET", "jobs/%F0%9F%A7%A0"),
    BadRequest("a job's id of 250 characters", "GET", "jobs/" + "j" * 250),
    BadRequest("a job that is not there", "GET", "jobs/abcdefgh12345678"),
    BadRequest("a file that climbs", "GET", "jobs/{job}/artifacts/..%2F..%2Fjob.json/ticket"),
    BadRequest("a file with a leading dash", "GET", "jobs/{job}/artifacts/-rf/ticket"),
    BadRequest("a file of 250 characters", "GET", "jobs/{job}/artifacts/" + "f" * 250 + "/ticket"),
    BadRequest("events after number -1", "GET", "jobs/{job}/events?after=-1"),
    _result("a result's path that climbs", "../../x"),
    _result("a result's absolute path", "/etc/passwd"),
    _result("a result's path with a leading dash", "model/-rf"),
    _result("a result's path with quotes", 'model/"x"'),
    _result("a result's path with an emoji", "🧠/x"),
    _result("a result's path of 600 characters", "x/" * 299 + "xx"),
    BadRequest("a link that nobody signed", "GET", "storage/..%2F..%2Fetc%2Fpasswd"),
    BadRequest("a route that is not there", "GET", "jbos"),
    BadRequest("another method", "DELETE", "jobs"),
]  # fmt: skip
