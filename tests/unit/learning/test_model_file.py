import json
import struct
from contextlib import suppress

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import binary, integers
from safetensors.torch import load_file, save_file

import cards
from axonlab_core.backends.model_header import read_card, read_header
from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import CARD_KEY
from axonlab_core.learning.model_file import load_model, save_model
from axonlab_core.learning.presets import PRESETS
from axonlab_core.learning.unet import new_unet

CARD = cards.untrained("tiny")
NET = new_unet(1, 3, PRESETS["tiny"].widths, 5)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, NET.state_dict(), CARD)
    return path


def test_weights_and_card_come_back(model):
    net, card = load_model(model)
    assert card == CARD == read_card(model)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), NET.parameters(), strict=True))
    assert [path.name for path in model.parent.iterdir()] == ["model.safetensors"]
    assert not any(value.is_meta for value in net.state_dict().values())


def test_a_loaded_model_answers_as_the_saved_one(model):
    tile = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(load_model(model).net(tile), NET.eval()(tile), atol=1e-5)


def test_loading_leaves_the_random_state_alone_and_the_file_as_it_is(model):
    before, state = model.read_bytes(), torch.get_rng_state()
    net, _ = load_model(model)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        net.head.bias.add_(1)
    assert model.read_bytes() == before


def rewritten(path, change, card=CARD):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={CARD_KEY: card.canonical_json().decode()})
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("head.weight"),
        lambda t: t.update(extra=torch.zeros(2)),
        lambda t: t.update({"head.bias": torch.zeros(4)}),
        lambda t: t.update({"head.bias": torch.zeros(3, dtype=torch.float64)}),
    ],
)
def test_a_tensor_too_few_too_many_or_of_another_shape_or_type_is_refused(model, change):
    with pytest.raises(BadInput, match="does not fit the preset"):
        load_model(rewritten(model, change))


def test_a_file_without_a_card_is_refused(model):
    save_file(load_file(model), model)
    with pytest.raises(BadInput, match="no model card"):
        load_model(model)


def test_a_card_that_is_not_ours_is_refused(model):
    save_file(load_file(model), model, metadata={CARD_KEY: json.dumps({"preset": "enormous"})})
    with pytest.raises(BadInput, match="card cannot be read"):
        load_model(model)


def header_only(path, header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def tensor(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (b"[1]", b""),
        (b"{", b""),
        (b"[" * 100_000, b""),
        ({"a": tensor([2], 0, 8)}, b"1234"),
        ({"a": tensor([2], 0, 8)}, b"12345678 and more"),
        ({"a": tensor([2], 0, 4)}, b"1234"),
        ({"a": tensor([-2], 0, -8)}, b""),
        ({"a": tensor([1], 0, 4), "b": tensor([1], 0, 4)}, b"12345678"),
        ({"a": tensor([1], 4, 8)}, b"12345678"),
        ({"a": tensor([1], 0, 4, "O32")}, b"1234"),
        ({"a": {"dtype": "F32"}}, b""),
        ({"__metadata__": {"a": 1}}, b""),
        ({"a": 3}, b""),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(tmp_path, header, data):
    with pytest.raises(BadInput, match="is not a model"):
        read_header(header_only(tmp_path / "x", header, data))


@pytest.mark.parametrize("start", [b"", b"\x01", struct.pack("<Q", 2**63), struct.pack("<Q", 100) + b"{}"])
def test_a_length_that_cannot_be_is_refused(tmp_path, start):
    (tmp_path / "x").write_bytes(start)
    with pytest.raises(BadInput, match="is not a model"):
        read_header(tmp_path / "x")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_header(tmp_path / "none")


def test_our_own_header_and_any_other_valid_one_are_read(model, tmp_path):
    assert set(read_header(model).tensors) == set(load_file(model))
    save_file({"x": torch.zeros(3, dtype=torch.bfloat16), "empty": torch.zeros(0, 4)}, tmp_path / "x")
    assert read_header(tmp_path / "x").tensors["empty"].shape == (0, 4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(place=integers(0, 5000), noise=binary(min_size=1, max_size=8))
def test_noise_in_the_header_is_refused_or_harmless(model, tmp_path, place, noise):
    data = bytearray(model.read_bytes()[:40_000])
    data[place : place + len(noise)] = noise
    (tmp_path / "x").write_bytes(data + model.read_bytes()[40_000:])
    with suppress(BadInput):  # anything else fails the test
        assert read_card(tmp_path / "x").schema_version == 1
