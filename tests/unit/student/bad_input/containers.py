"""Image files byte by byte, in kinds that no encoder would write."""

import struct
import zlib

import imagecodecs
import numpy as np

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, INDEXED = 0, 2, 3


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, bits, colour_type, body, *, before=()):
    """A PNG file around a zlib stream."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    parts = [png_chunk(kind, data) for kind, data in before]
    return b"".join([PNG_SIGNATURE, header, *parts, png_chunk(b"IDAT", body), png_chunk(b"IEND", b"")])


def png_of_rows(rows, bits, *, colour_type=GREY, before=()):
    """A PNG file of an array of samples, each of that many bits (at most 8)."""
    height, width = rows.shape
    flat = (rows[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint8)) & 1
    packed = np.packbits(flat.reshape(height, width * bits), axis=1)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
    return png(width, height, bits, colour_type, body, before=before)


def black_png(width, height):
    """A valid PNG of zeros, whose stream is put together without ever having its pixels in memory."""
    rows, row_bytes = 100, width + 1
    assert height % rows == 0
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = squeeze.compress(bytes(rows * row_bytes)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    # Adler-32 of zeros: the first sum stays 1, the second counts the bytes.
    check = ((height * row_bytes) % 65521) << 16 | 1
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    return png(width, height, 8, GREY, b"\x78\xda" + block * (height // rows) + end + struct.pack(">I", check))


def png_that_promises(size):
    """A PNG file whose compressed pixels are said to have that many bytes, and have ten."""
    whole = png(31, 23, 8, GREY, bytes(10))
    at = whole.index(b"IDAT") - 4
    return whole[:at] + struct.pack(">I", size) + whole[at + 4 :]


def bmp_header(width, height, bits=24):
    """A BMP file without any pixels."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def jpeg_that_claims(width, height):
    """A JPEG file of a few pixels whose frame header says otherwise."""
    data = bytearray(imagecodecs.jpeg8_encode(np.zeros((8, 8), np.uint8)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def with_exif(jpeg, orientation, *, order=">"):
    """The JPEG file with an EXIF orientation."""
    body = b"Exif\0\0" + exif(orientation, order=order)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def tiff_of_pages(count, *, width=4, height=4, last_leads_to=None):
    """A TIFF file of grey pages that share their pixels; the last may lead to an earlier one."""
    data = b"\x55" * 16
    first = 8 + len(data)
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
            (278, 4, height), (279, 4, len(data))]  # fmt: skip
    entries = b"".join(
        struct.pack("<HHI", tag, kind, 1) + (struct.pack("<I", value) if kind == 4 else struct.pack("<HH", value, 0))
        for tag, kind, value in tags
    )
    size = 2 + len(entries) + 4
    out = b"II*\0" + struct.pack("<I", first) + data
    for number in range(count):
        following = first + (number + 1) * size
        if number + 1 == count:
            following = 0 if last_leads_to is None else first + last_leads_to * size
        out += struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return out


def safetensors(header, data=b"", *, length=None):
    """A SafeTensors file; `header` is its JSON, or bytes instead of it."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def interlaced_png(pixels):
    """An 8-bit grey PNG in Adam7's seven passes."""
    starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    passes = [pixels[top::down, left::right] for top, left, down, right in starts]
    rows = [b"\0" + row.tobytes() for part in passes if part.size for row in part]
    height, width = pixels.shape
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, GREY, 0, 0, 1))
    body = png_chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return PNG_SIGNATURE + header + body + png_chunk(b"IEND", b"")


def bmp(pixels, *, bits, colours=b""):
    """An uncompressed BMP of stored samples, its last row first."""
    height, width = pixels.shape[:2]
    row_bytes = (width * bits + 31) // 32 * 4
    rows = [row.tobytes().ljust(row_bytes, b"\0") for row in pixels[::-1]]
    data_at = 54 + len(colours)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 2835, 2835, len(colours) // 4, 0)
    return b"BM" + struct.pack("<IHHI", data_at + row_bytes * height, 0, 0, data_at) + info + colours + b"".join(rows)


def exif(orientation, *, order=">"):
    """EXIF data with an orientation and nothing else."""
    mark = b"MM\0*" if order == ">" else b"II*\0"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)
