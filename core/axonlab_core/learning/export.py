"""A model for other programs: as an ONNX network, or as a package that bioimage.io describes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.model_card import ModelCard
from axonlab_core.learning.bioimageio_package import write_bioimageio
from axonlab_core.learning.card_text import card_markdown
from axonlab_core.learning.model_file import load_model
from axonlab_core.learning.onnx_network import make_test_tensors, write_onnx
from axonlab_core.learning.presets import find_preset
from axonlab_core.learning.quality_report import environment


class ExportFormat(StrEnum):
    """What a model may be exported as."""

    onnx = "onnx"
    bioimageio = "bioimageio"


def export_model(model_file: Path, folder: Path, *, to: ExportFormat) -> None:
    """Fill the empty `folder` with the model in that format, with tensors to test it by, and how to use it.

    Raises
    ------
    BadInput
        If the model file is not ours, or the exported network does not answer as the model does.
    ModuleNotFoundError
        If a package of the extra `export` is not installed.
    """
    model = load_model(model_file)
    tensors = make_test_tensors(model)
    if to == ExportFormat.onnx:
        write_onnx(folder / "model.onnx", model, check_with=tensors)
        tensors.save(folder)
        (folder / "README.md").write_text(_how_to_use(model.card), encoding="utf-8")
        (folder / "card.json").write_text(model.card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    elif to == ExportFormat.bioimageio:
        write_onnx(folder / "weights.onnx", model, check_with=tensors)
        tensors.save(folder)
        (folder / "README.md").write_text(_how_to_use(model.card), encoding="utf-8")
        write_bioimageio(folder, model.card, tensors)
    else:
        raise BadInput(f"There is no format {to!r}.", remedy=f"Choose one of: {', '.join(ExportFormat)}.")


def _how_to_use(card: ModelCard) -> str:
    return (
        environment()
        .get_template("export.md")
        .render(
            card=card,
            kind={1: "grey", 3: "colour"}[card.input.channels],
            limits=card.input.normalisation,
            preset=find_preset(card.preset),
            model_card=card_markdown(card).replace("\n#", "\n##").removeprefix("# ").partition("\n")[2].strip(),
        )
    )
