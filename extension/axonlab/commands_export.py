"""`axonlab export`: a model for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from axonlab_core.contract.errors import UserError

_PATH = click.Path(path_type=Path)
_FORMATS = ("onnx", "bioimageio")


@click.command()
@click.argument("model", type=_PATH)
@click.option(
    "--format", "to", type=click.Choice(_FORMATS), required=True, help="ONNX network, or bioimage.io package."
)
@click.option("--to", "folder", type=_PATH, required=True, help="New or empty folder.")
def export(model: Path, to: str, folder: Path) -> None:
    """Write MODEL (a .safetensors file, or the folder of a training's result) for other programs.

    \b
    Examples:
      axonlab export first-model --format bioimageio --to first-model-bioimageio
      axonlab export model.safetensors --format onnx --to first-model-onnx
    """
    from axonlab.model_source import model_from_file
    from axonlab.result import Result, check_free, write_folder

    check_free(folder)
    file = Result(model).model if model.is_dir() else model
    model_from_file(file)  # says what is wrong with it before anything slow is loaded

    def fill(beside: Path) -> Path:
        from axonlab_core.learning.export import ExportFormat, export_model

        export_model(file, beside, to=ExportFormat(to))
        return beside

    try:
        written = write_folder(folder, fill)
    except ModuleNotFoundError as error:
        raise UserError(
            f"Exporting needs {error.name}, which is not installed here.",
            remedy="Install it where the model file is: pip install 'axonlab[learning,export]'.",
        ) from error
    for path in sorted(written.iterdir()):
        click.echo(path)
