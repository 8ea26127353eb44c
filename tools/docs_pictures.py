"""Make the pictures of the documentation from the screenshots that the browser tests have left.

Run `pytest tests/browser` first, slow tests included, on an idle machine; then this. Fewer colours keep them small.
"""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
TAKEN = ROOT / "tests" / "artifacts"
PICTURES = ROOT / "docs" / "pictures"
MAX_BYTES = 150_000


def main() -> None:
    """Write `docs/pictures/<name>.png` for each `tests/artifacts/for-docs-<name>.png`."""
    PICTURES.mkdir(exist_ok=True)
    for source in sorted(TAKEN.glob("for-docs-*.png")):
        target = PICTURES / source.name.removeprefix("for-docs-")
        with Image.open(source) as picture:
            for colours in (256, 128, 64):
                picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(target, optimize=True)
                if target.stat().st_size <= MAX_BYTES:
                    break
            else:
                raise SystemExit(f"{target} is over {MAX_BYTES} bytes: take a smaller screenshot")
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes, {colours} colours")


if __name__ == "__main__":
    main()
