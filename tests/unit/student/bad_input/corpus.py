"""What people hand in and cannot be used: each case writes its file, none is stored."""

import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from axonlab_core.contract.model_card import CARD_KEY

from .. import bundles  # noqa: TID252 (a package of tests has no absolute name)
from . import containers

SHAPE = (23, 31)
_RANDOM = np.random.default_rng(0)
PIXELS = _RANDOM.integers(0, 256, SHAPE, np.uint8)
COLOURS = _RANDOM.integers(0, 256, (*SHAPE, 3), np.uint8)
CLASSES = np.where(np.hypot(*np.mgrid[-11:12, -15:16]) < 9, np.where(np.hypot(*np.mgrid[-11:12, -15:16]) < 6, 2, 1), 0)
CLASSES = CLASSES.astype(np.uint8)


@dataclass(frozen=True)
class Case:
    """A bad file: what it is, what it is called, and how it is written."""

    title: str
    file: str
    write: Callable[[Path], None]

    def __str__(self):
        return self.title.replace(" ", "_")


def case(into, title, file):
    """Enters a function that writes a file into a list of cases."""

    def enter(write):
        into.append(Case(title, file, write))
        return write

    return enter


IMAGES: list[Case] = []
LABELS: list[Case] = []
MODELS: list[Case] = []


def _bytes(into, title, file, make):
    into.append(Case(title, file, lambda path: path.write_bytes(make())))


def _flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _tiff(into, title, make, file="cells.tif", **options):
    into.append(Case(title, file, lambda path: tifffile.imwrite(path, make(), **({"metadata": None} | options))))


def tiff_bytes(pixels):
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, metadata=None)
    return out.getvalue()


# --- images ---

_bytes(IMAGES, "no content", "cells.tif", bytes)
_bytes(IMAGES, "text named .tif", "cells.tif", "cell,µm\n1,0.18\n".encode)
_bytes(IMAGES, "a web page named .png", "cells.png", lambda: b"<!doctype html><title>Sign in</title>")
_bytes(IMAGES, "JSON named .tif", "cells.tif", lambda: b'{"cells": 3}')
_bytes(IMAGES, "an archive named .tif", "cells.tif", lambda: b"PK\x03\x04" + bytes(60))
_bytes(IMAGES, "a microscope's own format", "cells.tif", lambda: b"ZISRAWFILE" + bytes(60))
_bytes(IMAGES, "unknown bytes", "cells.bmp", lambda: b"\x07\x99\xfe" * 40)
_bytes(IMAGES, "PNG, cut off", "cells.png", lambda: imagecodecs.png_encode(PIXELS)[:-300])
_bytes(IMAGES, "PNG, cut off within its header", "cells.png", lambda: imagecodecs.png_encode(PIXELS)[:20])
_bytes(IMAGES, "TIFF, cut off", "cells.tif", lambda: tiff_bytes(PIXELS)[:400])
_bytes(IMAGES, "TIFF, cut off within its directory", "cells.tif", lambda: tiff_bytes(PIXELS)[:40])
_bytes(IMAGES, "JPEG, cut off", "cells.jpg", lambda: imagecodecs.jpeg8_encode(PIXELS)[:-40])
_bytes(IMAGES, "BMP, cut off", "cells.bmp", lambda: containers.bmp_header(31, 23) + bytes(100))
_bytes(IMAGES, "PNG, wrong CRC", "cells.png", lambda: _flipped(imagecodecs.png_encode(PIXELS), 400))
_bytes(IMAGES, "PNG, a part of 2 GB in a small file", "cells.png", lambda: containers.png_that_promises(2**31 - 1))
_bytes(IMAGES, "PNG, wrong CRC in its header", "cells.png", lambda: _flipped(imagecodecs.png_encode(PIXELS), 30))
_bytes(
    IMAGES,
    "PNG, fewer rows than it says",
    "cells.png",
    lambda: containers.png(31, 23, 8, containers.GREY, b"x\x9c\x03\x00\x00\x00\x00\x01"),
)
_bytes(
    IMAGES,
    "PNG header of 200,000 × 200,000 px",
    "cells.png",
    lambda: containers.png(200_000, 200_000, 8, containers.GREY, b""),
)
_bytes(
    IMAGES,
    "TIFF header of 200,000 × 200,000 px",
    "cells.tif",
    lambda: containers.tiff_of_pages(1, width=200_000, height=200_000),
)
_bytes(IMAGES, "BMP header of 200,000 × 200,000 px", "cells.bmp", lambda: containers.bmp_header(200_000, 200_000))
_bytes(
    IMAGES, "JPEG header of the format's largest size", "cells.jpg", lambda: containers.jpeg_that_claims(65535, 65535)
)
_bytes(IMAGES, "valid PNG of 900 megapixels under 1 MB", "cells.png", lambda: containers.black_png(30_000, 30_000))
_bytes(IMAGES, "TIFF page that leads to itself", "cells.tif", lambda: containers.tiff_of_pages(1, last_leads_to=0))
_bytes(IMAGES, "TIFF pages that lead in a circle", "cells.tif", lambda: containers.tiff_of_pages(3, last_leads_to=1))
_bytes(IMAGES, "TIFF of 5,000 pages in a circle", "cells.tif", lambda: containers.tiff_of_pages(5000, last_leads_to=9))


@case(IMAGES, "float TIFF with NaN", "cells.tif")
def _nan(path):
    pixels = PIXELS.astype(np.float32)
    pixels[3, 4:7] = np.nan
    tifffile.imwrite(path, pixels)


@case(IMAGES, "float TIFF with infinite values", "cells.tif")
def _infinite(path):
    pixels = PIXELS.astype(np.float64)
    pixels[0, 0], pixels[0, 1], pixels[1, 1] = np.inf, -np.inf, np.nan
    tifffile.imwrite(path, pixels)


_tiff(IMAGES, "float TIFF of NaN alone", lambda: np.full(SHAPE, np.nan, np.float32))
_tiff(IMAGES, "complex numbers", lambda: PIXELS.astype(np.complex64))
_tiff(IMAGES, "signed 16-bit numbers", lambda: PIXELS.astype(np.int16))


@case(IMAGES, "image that is transparent in places", "cells.png")
def _transparent(path):
    alpha = np.full((*SHAPE, 1), 255, np.uint8)
    alpha[3, 4] = 128
    path.write_bytes(imagecodecs.png_encode(np.concatenate([COLOURS, alpha], -1)))


# --- label files: the image is 31 × 23 px, grey, the classes are background, myelin, axon ---


def _labels(title, make, file="cells.png"):
    _bytes(LABELS, title, file, lambda: imagecodecs.png_encode(make()))


_bytes(LABELS, "labels without content", "cells.png", bytes)
_labels("labels of another size", lambda: CLASSES[:10])
_labels("labels turned by 90°", lambda: np.ascontiguousarray(CLASSES.T))
_labels("a class that the palette lacks", lambda: np.where(CLASSES == 2, 3, CLASSES).astype(np.uint8))
_labels("classes counted from 1", lambda: CLASSES + np.uint8(1))
_labels("0/127/255 coding", lambda: np.array([0, 127, 255], np.uint8)[CLASSES])
_labels("0/255 coding of two classes", lambda: np.array([0, 255, 254], np.uint8)[CLASSES])
_labels("unknown written as 65535", lambda: np.where(CLASSES == 0, np.uint16(65535), CLASSES))
_labels("an instance mask", lambda: np.arange(23 * 31).reshape(SHAPE).astype(np.uint16) // 9)
_labels("colours", lambda: np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)[CLASSES])
_bytes(LABELS, "labels as JPEG", "cells.png", lambda: imagecodecs.jpeg8_encode(CLASSES))


@case(LABELS, "JPEG ringing in a mask saved as PNG", "cells.png")
def _ringing(path):
    tones = np.array([0, 127, 255], np.uint8)[CLASSES]
    path.write_bytes(imagecodecs.png_encode(imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(tones, level=90))))


_tiff(LABELS, "probabilities", lambda: CLASSES.astype(np.float32) / 2)
_tiff(LABELS, "labels with NaN", lambda: np.where(CLASSES == 1, np.nan, CLASSES).astype(np.float32))
_tiff(LABELS, "32-bit instance mask", lambda: CLASSES.astype(np.uint32))
_tiff(LABELS, "a stack of label images", lambda: np.stack([CLASSES, CLASSES, CLASSES]), photometric="minisblack")
_bytes(LABELS, "GeoJSON, cut off", "cells.geojson", lambda: b'{"type": "FeatureCollection", "features": [')
_bytes(LABELS, "GeoJSON without shapes", "cells.geojson", lambda: b'{"type": "FeatureCollection", "features": []}')


def _shape(*, name="axon", corners=((2, 2), (9, 2), (9, 9), (2, 2))):
    return json.dumps(
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [corners]},
            "properties": {"classification": {"name": name}},
        }
    ).encode()


_bytes(LABELS, "GeoJSON of a class that the palette lacks", "cells.geojson", lambda: _shape(name="glia"))
_bytes(
    LABELS,
    "GeoJSON with NaN",
    "cells.geojson",
    lambda: _shape(corners=((2, 2), (9, float("nan")), (9, 9), (2, 2))),
)
_bytes(
    LABELS,
    "GeoJSON in µm, beside the image",
    "cells.geojson",
    lambda: _shape(corners=((200, 200), (900, 200), (900, 900), (200, 200))),
)

# --- models ---

_WEIGHT = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


def _card():
    return {CARD_KEY: bundles.card().model_dump_json()}


def _model(title, make, file="model.safetensors"):
    _bytes(MODELS, title, file, make)


def _header(**tensors):
    return json.dumps({"__metadata__": _card(), **tensors}).encode()


_model("model without content", bytes)
_model("a pickle named .safetensors", lambda: pickle.dumps({"weight": [0.0] * 4}))
_model("a PyTorch archive named .safetensors", lambda: b"PK\x03\x04" + bytes(200))
_model("header length beyond the file", lambda: containers.safetensors(b"{}", length=10_000))
_model("header of 8 EiB", lambda: containers.safetensors(b"{}", length=2**63))
_model("huge header", lambda: containers.safetensors(b"{" + b" " * (5 * 2**20) + b"}"))
_model("header that is not UTF-8", lambda: containers.safetensors(b'{"we\xffght": {}}'))
_model("header that is not JSON", lambda: containers.safetensors(b"weight: 4 floats"))
_model("header nested 100,000 deep", lambda: containers.safetensors(b"[" * 100_000))
_model("header that is a list", lambda: containers.safetensors(b"[]"))
_model("metadata that are not text", lambda: containers.safetensors(b'{"__metadata__": {"axonlab.card": 1}}'))
_model(
    "tensors that overlap",
    lambda: containers.safetensors(_header(a=_WEIGHT, b={**_WEIGHT, "data_offsets": [8, 24]}), bytes(24)),
)
_model(
    "a gap between tensors",
    lambda: containers.safetensors(_header(a=_WEIGHT, b={**_WEIGHT, "data_offsets": [20, 36]}), bytes(36)),
)
_model(
    "shape and length that do not agree",
    lambda: containers.safetensors(_header(a={**_WEIGHT, "shape": [5]}), bytes(16)),
)
_model(
    "negative offsets",
    lambda: containers.safetensors(_header(a={**_WEIGHT, "data_offsets": [-16, 0]}), bytes(16)),
)
_model("unknown type of numbers", lambda: containers.safetensors(_header(a={**_WEIGHT, "dtype": "PICKLE"}), bytes(16)))
_model("model, cut off", lambda: containers.safetensors(_header(a=_WEIGHT), bytes(9)))
_model("somebody else's model", lambda: containers.safetensors(json.dumps({"a": _WEIGHT}).encode(), bytes(16)))
_model(
    "a model card that is none",
    lambda: containers.safetensors(
        json.dumps({"__metadata__": {CARD_KEY: '{"preset": "tiny"}'}, "a": _WEIGHT}).encode(), bytes(16)
    ),
)

# --- names of images, of files and of keys ---

NAMES = {
    "climbs out of its folder": "../cells",
    "an absolute path": "/etc/passwd",
    "a backslash": "..\\cells",
    "a leading dash": "-rf",
    "a leading dot": ".cells",
    "a leading space": " cells",
    "quotes": 'cells "5\'"',
    "an emoji": "cells 🧠",
    "a line break": "cells\nrm",
    "a NUL character": "cells\0",
    "250 characters": "c" * 250,
    "no character": "",
}
GOOD_NAMES = ("rat 1 (left), 5 µm", "ratte_ä+b=c@d.1", "鼠_1", "c" * 100)

# --- parameters and values of a training: what is wrong, and what is given ---

VALUES = {
    "a parameter that does not exist": {"lerning_rate": 0.1},
    "code as a parameter's name": {"lr = 5; pwn": 1},
    "a path as a parameter's name": {"../lr": 1},
    "a dash in front of a parameter's name": {"--seed": 1},
    "an emoji as a parameter's name": {"🧠": 1},
    "a parameter's name of 250 characters": {"l" * 250: 1},
    "a name that Python uses": {"print": 1},
    "a parameter of another type": {"learning_rate": "fast"},
    "half a pixel": {"tile_px": 0.5},
    "a parameter that is a list": {"batch": [1, 2]},
    "a parameter that is no number": {"learning_rate": float("nan")},
    "no time at all": {"minutes": 0},
    "two budgets": {"minutes": 1, "steps": 5},
    "too many steps": {"steps": 10**9},
    "a preset that does not exist": {"preset": "huge"},
    "a negative seed": {"seed": -1},
    "a name of 250 characters": {"name": "n" * 250},
    "a course that climbs": {"course": "../axons"},
}
