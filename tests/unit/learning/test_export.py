"""Exports are used as a stranger would: the files alone, with onnxruntime and bioimage.io's own checks."""

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from bioimageio.spec import load_description
from click.testing import CliRunner

from axonlab.commands_export import export
from axonlab_core.learning.model_file import load_model
from axonlab_core.learning.normalise import measure, normalise
from axonlab_core.learning.onnx_network import normalise_as_described
from axonlab_core.learning.unet import folded

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # bioimageio.spec leaves what it reads open
]


@pytest.fixture(scope="module", params=["onnx", "bioimageio"])
def exported(request, small_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / request.param
    answer = CliRunner().invoke(export, [str(small_model), "--format", request.param, "--to", str(folder)])
    assert answer.exception is None, answer.output
    assert [path.name for path in folder.parent.iterdir()] == [request.param], "nothing is left beside it"
    return request.param, folder


def test_the_network_answers_as_the_model_does(exported, small_model):
    _, folder = exported
    (weights,) = folder.glob("*.onnx")
    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    normalised, expected = np.load(folder / "test_normalised.npy"), np.load(folder / "test_output.npy")
    (answer,) = session.run(None, {"image": normalised})
    assert np.allclose(answer, expected, atol=1e-4)

    net = folded(load_model(small_model).net)
    other = np.random.default_rng(1).normal(size=(2, 1, 48, 80)).astype(np.float32)
    with torch.inference_mode():
        ours = net(torch.from_numpy(other)).softmax(dim=1).numpy()
    assert np.allclose(session.run(None, {"image": other})[0], ours, atol=1e-4), "any number and size of images"


def test_from_image_to_probability_as_described(exported):
    _, folder = exported
    image, normalised = np.load(folder / "test_input.npy"), np.load(folder / "test_normalised.npy")
    assert image.shape == (1, 1, 128, 128)
    assert (image.min(), image.max()) >= (0, 100)
    low, high = np.percentile(image, [0.5, 99.5])
    by_hand = np.clip((image - low) / (high - low), 0, 1)
    assert np.allclose((by_hand - by_hand.mean()) / by_hand.std(), normalised, atol=1e-4)


def test_the_description_passes_the_checks_of_bioimageio(exported):
    kind, folder = exported
    if kind != "bioimageio":
        pytest.skip("of the package alone")
    found = load_description(folder / "rdf.yaml")
    assert found.validation_summary.status == "valid-format", found.validation_summary.errors
    assert found.outputs[0].axes[1].channel_names == ["background", "myelin", "axon"]
    assert found.inputs[0].axes[2].scale == pytest.approx(0.18), "the pixel size goes along"
    assert found.config.model_dump()["axonlab"]["card"]["preset"] == "tiny"


def test_the_described_normalisation_is_that_of_the_training(sample, small_model):
    pixels = sample["rat2_data5"][0]
    card = load_model(small_model).card
    ours = normalise(pixels, measure(pixels, card.input.normalisation))[:, :, 0]
    described = normalise_as_described(pixels[None, None].astype(np.float32), card.input.normalisation)[0, 0]
    assert np.abs(ours - described).max() < 0.02


def test_nothing_is_overwritten_and_a_wrong_model_leaves_nothing(small_model, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    answer = CliRunner().invoke(export, [str(small_model), "--format", "onnx", "--to", str(tmp_path / "full")])
    assert "not empty" in str(answer.exception)
    wrong = tmp_path / "x.safetensors"
    wrong.write_bytes(b"nonsense")
    answer = CliRunner().invoke(export, [str(wrong), "--format", "onnx", "--to", str(tmp_path / "new")])
    assert "not a model" in str(answer.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "x.safetensors"]


@pytest.mark.parametrize("missing", ["torch", "onnxruntime"])
def test_where_a_package_is_missing_it_says_what_to_install(small_model, tmp_path, missing):
    """As in a student's kernel, which has no torch."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from axonlab_core.cli import main\n"
        f"sys.argv = ['axonlab', 'export', {str(small_model)!r}, '--format', 'onnx', '--to', {str(tmp_path / 'x')!r}]\n"
        "main()"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 2, answer.stderr
    assert f"needs {missing}" in answer.stderr
    assert "axonlab[learning,export]" in answer.stderr
    assert list(tmp_path.iterdir()) == []
