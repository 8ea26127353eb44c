"""Every bad input in every way in: the same sentence, the same remedy, nothing left over; docs/errors.md says so."""

import io
import json
import subprocess
import sys

import httpx
import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

import axonlab
from axonlab_core.backends.model_header import read_card
from axonlab_core.backends.transfer import describe
from axonlab_core.contract.base import shortened
from axonlab_core.contract.dataset import DatasetImage, DatasetManifest
from axonlab_core.contract.errors import BadInput, ErrorAnswer, UserError
from axonlab_core.imaging.read import read_image, read_labels

from .. import bundles  # noqa: TID252 (a package of tests has no absolute name)
from ..service import MACHINE  # noqa: TID252
from . import containers, corpus, document, errors_document, requests

HERE = ("--steps", "1", "--out", "out", "--here")
ANA = "ana-token"
OPTIONS = {"minutes", "steps", "preset", "seed"}


def refusal(call):
    """The error; it says what is wrong in a sentence and what to do in another."""
    with pytest.raises(UserError) as caught:
        call()
    error = caught.value
    for text in (error.message, error.remedy):
        assert text.endswith("."), text
        assert "Traceback" not in text
        assert "\n" not in text
    return error


@pytest.fixture
def folders(tmp_path):
    """Folders with one good image, its labels and a model."""
    for name, pixels in (("images", corpus.PIXELS), ("labels", corpus.CLASSES), ("good", corpus.CLASSES)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cells.png").write_bytes(imagecodecs.png_encode(pixels))
    bundles.write_model(tmp_path / "good.safetensors", bundles.card())
    return tmp_path


def put(folder, case):
    """The case's file, in place of the good one."""
    (folder / "cells.png").unlink()
    path = folder / case.file
    case.write(path)
    return path


@pytest.mark.parametrize("case", corpus.IMAGES, ids=str)
def test_images(case, folders, refuses, errors):
    put(folders / "images", case)
    error = refusal(lambda: axonlab.dataset("images", "labels"))
    assert case.file in error.message
    refuses("train", "--images", "images", "--labels", "labels", *HERE, error=error)
    refuses("segment", "images", "--model", "good.safetensors", "--out", "out", "--here", error=error)
    errors.row(errors_document.IMAGES, case.title, case.file, error.message, error.remedy)


@pytest.mark.parametrize("case", corpus.LABELS, ids=str)
def test_labels(case, folders, refuses, errors):
    put(folders / "labels", case)
    error = refusal(lambda: axonlab.dataset("images", "labels"))
    assert case.file in error.message
    refuses("train", "--images", "images", "--labels", "labels", *HERE, error=error)
    refuses("evaluate", "--truth", "labels", "--prediction", "good")
    errors.row(errors_document.LABELS, case.title, case.file, error.message, error.remedy)


@pytest.mark.parametrize("case", corpus.MODELS, ids=str)
def test_models(case, folders, refuses, errors, client, running, data):  # noqa: PLR0917 (fixtures)
    path = folders / case.file
    case.write(path)
    sent = len(running[1].seen)
    error = refusal(lambda: client.segment("images", path))
    assert len(running[1].seen) == sent
    refuses("segment", "images", "--model", path, "--out", "out", "--here", error=error)
    client._send([path])
    client._send_dataset(data)
    sha256 = describe(path).sha256
    spec = {"kind": "infer", "dataset": data.sha256, "model": {"source": "upload", "sha256": sha256}}
    answer = refused(running, "POST", "jobs", {"spec": spec}, status=422)
    reason = error.message.removeprefix(case.file)
    assert (answer.message, answer.remedy) == (f"The model {sha256[:12]}…{reason}", error.remedy)
    errors.row(errors_document.MODELS, case.title, case.file, error.message, error.remedy)


@pytest.mark.parametrize("title", corpus.NAMES)
def test_names(title, folders, errors, client, running):
    name = corpus.NAMES[title]
    error = refusal(lambda: axonlab.dataset({name: corpus.PIXELS}))
    if name and not set(name) & {"/", "\0"}:
        path = folders / f"{name}.png"
        path.write_bytes(imagecodecs.png_encode(corpus.PIXELS))
        assert refusal(lambda: axonlab.dataset(path)).message == error.message
    answer = refused(running, "POST", "jobs", {"spec": train_spec(send_manifest(client, name))}, status=422)
    assert answer.message.endswith(error.message)
    errors.row(errors_document.NAMES, title, f"`{shortened(name)}`", error.message, error.remedy)


def test_names_that_are_fine(client, running):
    for name in corpus.GOOD_NAMES:
        assert axonlab.dataset({name: corpus.PIXELS}).names == (name,)
        assert post(running, "POST", "jobs", {"spec": train_spec(send_manifest(client, name))}).status_code == 201


@pytest.mark.parametrize("title", corpus.VALUES)
def test_values(title, folders, refuses, errors, client, running, data):  # noqa: PLR0917 (fixtures)
    values = corpus.VALUES[title]
    budget = {} if "minutes" in values or "steps" in values else {"steps": 3}
    sent = len(running[1].seen)
    error = refusal(lambda: client.train(data, **budget, **values))
    assert len(running[1].seen) == sent
    if values.keys() <= OPTIONS:
        options = [part for key, value in (budget | values).items() for part in (f"--{key}", value)]
        shown = refuses("train", "--images", "images", "--labels", "labels", *options, "--out", "out", "--here")
        assert error.message in shown or "Give either --minutes or --steps" in shown
    fields = OPTIONS | {"name", "course"}
    spec = {"dataset": data.sha256} | budget | {key: value for key, value in values.items() if key in fields}
    spec["parameters"] = {key: value for key, value in values.items() if key not in fields}
    client._send_dataset(data)
    answer = refused(running, "POST", "jobs", {"spec": {"kind": "train", **spec}}, status=422)
    assert answer.message.removeprefix("spec.").removeprefix("spec: ").casefold() == error.message.casefold()
    written = ", ".join(f"{shortened(key)[1:-1]}={value if key != 'name' else shortened(value)}"
                        for key, value in values.items())  # fmt: skip
    errors.row(errors_document.VALUES, title, f"`{written}`", error.message, error.remedy)


@pytest.mark.parametrize("case", requests.REQUESTS, ids=str)
def test_requests(case, errors, client, running, data):
    job_id = client.train(data, steps=3).id if "{job}" in case.path else "{job}"
    path = case.path.replace("{job}", job_id)
    token = claim(running, job_id) if case.by_runner else ANA
    status = post(running, case.method, path, case.body, token=token).status_code
    answer = refused(running, case.method, path, case.body, token=token)
    assert answer.message[-1] == answer.remedy[-1] == "."
    shown = case.path if len(case.path) < 60 else case.path[:40] + "…"
    errors.row(errors_document.REQUESTS, case.title, f"`{case.method} {shown}`", str(status),
               answer.message.replace(job_id, "{job}"), answer.remedy)  # fmt: skip


@pytest.mark.parametrize("start", [("train", "--images"), ("segment",)])
def test_the_command_itself_ends_with_2(start, folders):
    put(folders / "images", corpus.IMAGES[0])
    rest = {
        "train": ["--labels", "labels", *HERE],
        "segment": ["--model", "good.safetensors", "--out", "out", "--here"],
    }
    ended = subprocess.run(
        [sys.executable, "-c", "from axonlab_core.cli import main; main()", *start, "images", *rest[start[0]]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Error: cells.tif is empty (0 bytes).\n  → Copy it again" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (folders / "out").exists()


def test_an_image_beyond_this_machines_memory_is_refused_in_words(tmp_path):
    (tmp_path / "cells.png").write_bytes(containers.black_png(19_000, 20_000))
    script = """
import resource
from pathlib import Path
from axonlab_core.contract.errors import BadInput
from axonlab_core.imaging.read import read_image
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 200 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    read_image("cells.png")
except BadInput as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "cells.png does not fit into this machine's memory. Cut it into smaller images." in ended.stdout, ended


def test_a_file_whose_name_looks_like_an_option(folders, refuses):
    (folders / "-rf.png").write_bytes(imagecodecs.png_encode(corpus.PIXELS))
    options = ("--model", "good.safetensors", "--out", "out", "--here")
    assert "No such option" in refuses("segment", "-rf.png", *options)
    assert "'-rf' cannot be an image's name: it starts with '-'" in refuses("segment", *options, "--", "-rf.png")


def test_the_document_is_whole(errors):
    if document.WRITING:
        pytest.skip("the document is being written")
    errors.check_whole()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_model_file_is_refused_or_its_card_is_read(tmp_path_factory, data):
    path = bundles.write_model(tmp_path_factory.mktemp("damaged") / "model.safetensors", bundles.card())
    damaged = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, min(len(damaged) - 1, 200)), min_size=1, max_size=4)):
        damaged[at] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        card = read_card(path)
    except BadInput as error:
        assert path.name in error.message  # noqa: PT017 (either outcome is right)
        assert error.remedy  # noqa: PT017
    else:
        assert card.preset == "tiny"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_headers_are_refused_or_read(tmp_path_factory, data):
    files = {
        "tiff": (containers.tiff_of_pages(3), range(4, 8), range(24, 24 + 3 * 114)),
        "big": (tiff_bytes(bigtiff=True), range(4, 300)),
        "png": (containers.png_of_rows(corpus.PIXELS, 4), range(8, 60)),
        "jpeg": (containers.with_exif(imagecodecs.jpeg8_encode(corpus.PIXELS), 6), range(2, 60)),
        "bmp": (containers.bmp(corpus.COLOURS, bits=24), range(2, 54)),
        "json": (corpus._shape(), range(150)),
    }
    whole, *places = files[data.draw(st.sampled_from(sorted(files)))]
    damaged = bytearray(whole)
    for at in data.draw(st.lists(st.sampled_from([at for place in places for at in place]), min_size=1, max_size=4)):
        damaged[at] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "cells"
    path.write_bytes(damaged)
    for call in (
        lambda: read_image(path, max_pixels=100_000).pixels,
        lambda: read_labels(path, shape=corpus.SHAPE, palette=bundles.AXON_PALETTE),
    ):
        try:
            found = call()
        except BadInput as error:
            assert path.name in error.message  # noqa: PT017 (either outcome is right)
            assert error.remedy  # noqa: PT017
        else:
            assert found.dtype in (np.uint8, np.uint16)


def tiff_bytes(**options):
    out = io.BytesIO()
    tifffile.imwrite(out, corpus.PIXELS, metadata=None, **options)
    return out.getvalue()


def train_spec(sha256):
    return {"kind": "train", "dataset": sha256, "steps": 3}


def send_manifest(client, name):
    """Hash of an uploaded manifest that has an image of that name."""
    pixels, labels = (client._cache.add(data) for data in (b"pixels", b"labels"))
    image = DatasetImage(name="cells", image=pixels, labels=labels, width_px=3, height_px=2, channels=1, dtype="uint8")
    manifest = DatasetManifest(palette=bundles.AXON_PALETTE, images=(image,)).model_dump(mode="json")
    manifest["images"][0]["name"] = name
    listing = client._cache.add(json.dumps(manifest).encode())
    client._send([client._cache.path(blob.sha256) for blob in (pixels, labels, listing)])
    return listing.sha256


def claim(running, job_id):
    """Token of a run of the job."""
    body = {"capabilities": MACHINE.model_dump(mode="json")}
    return post(running, "POST", f"runner/jobs/{job_id}/claim", body, token="runner-token").json()["token"]


def post(running, method, path, body, *, token=ANA):
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return httpx.request(method, f"{running[0]}/api/v1/{path}", content=content, headers=headers, timeout=30)


def refused(running, method, path, body, *, status=None, token=ANA):
    """The answer, which is a 4xx in our form."""
    answer = post(running, method, path, body, token=token)
    assert 400 <= answer.status_code < 500, answer.text
    assert status in (None, answer.status_code), answer.text
    return ErrorAnswer.model_validate_json(answer.content)
