"""What a file really is, by its first bytes; its name is not asked."""

from __future__ import annotations

import codecs
from enum import StrEnum

from axonlab_core.contract.errors import BadInput

HEAD_BYTES = 512


class Container(StrEnum):
    """File formats that are read."""

    png = "PNG"
    tiff = "TIFF"
    jpeg = "JPEG"
    bmp = "BMP"
    json = "JSON"


_KNOWN = (
    (b"\x89PNG\r\n\x1a\n", Container.png),
    (b"II\x2a\x00", Container.tiff),
    (b"MM\x00\x2a", Container.tiff),
    (b"II\x2b\x00", Container.tiff),
    (b"MM\x00\x2b", Container.tiff),
    (b"\xff\xd8\xff", Container.jpeg),
    (b"BM", Container.bmp),
)

# Formats that people have, with what to do; the first match counts.
_FOREIGN = (
    (0, b"GIF8", "a GIF image", "Save it as PNG."),
    (8, b"WEBP", "a WebP image", "Save it as PNG."),
    (4, b"ftyp", "a HEIF or AVIF image, or a film", "Save one picture as PNG."),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image", "Save it as TIFF."),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image", "Save it as TIFF."),
    (0, b"ZISRAWFILE", "a Zeiss CZI file", "Export one plane as OME-TIFF, e.g. with Fiji or ZEN."),
    (0, b"\xda\xce\xbe\x0a", "a Nikon ND2 file", "Export one plane as OME-TIFF, e.g. with Fiji."),
    (0, b"\x70\x00\x00\x00", "a Leica LIF file", "Export one plane as OME-TIFF, e.g. with Fiji."),
    (0, b"\x89HDF", "an HDF5 file", "Export one plane as TIFF."),
    (0, b"\x93NUMPY", "a NumPy array", "Save it as TIFF, e.g. with tifffile.imwrite."),
    (0, b"PK\x03\x04", "a ZIP archive or an office document", "Unpack it, and save the picture in it as PNG or TIFF."),
    (0, b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (0, b"%PDF", "a PDF document", "Save the picture in it as PNG or TIFF."),
    (0, b"\xd0\xcf\x11\xe0", "an old office document or a Zeiss/Olympus file", "Export one plane as OME-TIFF."),
    (128, b"DICM", "a DICOM file", "Export it as TIFF."),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Fetch it with `git lfs pull`."),
)

READ_FORMATS = "Images are read from PNG, TIFF, JPEG and BMP files."


def identify(name: str, head: bytes) -> Container:
    """The format of a file that begins with `head`.

    Raises
    ------
    BadInput
        If it is empty or none that is read; names what it is where that can be told.
    """
    if not head:
        raise BadInput(f"{name} is empty (0 bytes).", remedy="Copy it again from where it came from.")
    for magic, container in _KNOWN:
        if head.startswith(magic):
            return container
    for offset, magic, what, remedy in _FOREIGN:
        if head[offset:].startswith(magic):
            raise BadInput(f"{name} is {what}, whatever its name says.", remedy=f"{remedy} {READ_FORMATS}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"["):
        return Container.json
    if text[:1] == b"<":
        raise BadInput(
            f"{name} is a web page or XML, not an image.", remedy="Download the image itself. " + READ_FORMATS
        )
    if _is_text(text):
        raise BadInput(f"{name} is a text file, not an image.", remedy=READ_FORMATS)
    raise BadInput(f"{name} is in a format that is not known here.", remedy=f"Save it as PNG or TIFF. {READ_FORMATS}")


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16, as spreadsheets write it
        return True
    try:
        # The last character may be cut in two.
        text = codecs.getincrementaldecoder("utf-8")().decode(head.translate(None, b"\t\r\n\f"))
    except UnicodeDecodeError:
        return False
    return text.isprintable()
