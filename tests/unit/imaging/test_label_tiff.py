import numpy as np
import pytest
import tifffile

from axonlab_core.contract.errors import BadInput
from axonlab_core.contract.palette import AXON_PALETTE
from axonlab_core.imaging.label_tiff import read_label_tiff, write_label_tiff

NAMES = AXON_PALETTE.names


def some_labels(shape):
    return np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), shape)


@pytest.mark.parametrize("shape", [(1, 1), (60, 300), (1500, 2300)])
def test_labels_come_back(tmp_path, shape):
    path, labels = tmp_path / "a.labels.ome.tif", some_labels(shape)
    write_label_tiff(path, labels, pixel_size_um=0.093, palette_names=NAMES)
    assert np.array_equal(read_label_tiff(path), labels)
    assert list(tmp_path.iterdir()) == [path]


def test_other_programs_find_tiles_pixel_size_and_class_names(tmp_path):
    path = tmp_path / "a.labels.ome.tif"
    write_label_tiff(path, some_labels((600, 700)), pixel_size_um=0.093, palette_names=NAMES)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        assert file.pages.first.is_tiled
        said = file.ome_metadata
    assert 'PhysicalSizeX="0.093"' in said
    assert 'PhysicalSizeYUnit="µm"' in said
    assert '<M K="2">axon</M>' in said


def test_an_unknown_pixel_size_is_not_made_up(tmp_path):
    path = tmp_path / "a.labels.ome.tif"
    write_label_tiff(path, some_labels((60, 70)), pixel_size_um=None, palette_names=NAMES)
    with tifffile.TiffFile(path) as file:
        assert "PhysicalSize" not in file.ome_metadata


def test_a_large_image_is_a_pyramid_of_real_classes(tmp_path):
    path, labels = tmp_path / "a.labels.ome.tif", some_labels((1500, 2300))
    write_label_tiff(path, labels, pixel_size_um=0.1, palette_names=NAMES)
    with tifffile.TiffFile(path) as file:
        levels = file.series[0].levels
        assert [level.shape for level in levels] == [(1500, 2300), (750, 1150), (375, 575)]
        assert np.array_equal(levels[1].asarray(), labels[::2, ::2])


def test_equal_labels_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_label_tiff(tmp_path / name, some_labels((50, 50)), pixel_size_um=0.1, palette_names=NAMES)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_no_label_image_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"no TIFF at all")
    with pytest.raises(BadInput, match="cannot be read"):
        read_label_tiff(path)
    tifffile.imwrite(path, np.zeros((4, 4), np.uint16))
    with pytest.raises(BadInput, match="no label image"):
        read_label_tiff(path)
