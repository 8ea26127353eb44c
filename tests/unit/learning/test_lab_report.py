import html
from xml.dom.minidom import parseString

import imagecodecs

from axonlab_core.learning import lab_report
from axonlab_core.learning.train import train


def test_the_report_of_a_training_is_small_and_says_what_was_done(make_workspace, two_animals):
    events = []
    result = train(make_workspace(two_animals), steps=3, batch=2, tile_px=48, threads=1, report=events.append)
    said = lab_report.training_summary(result).data
    for word in ("rat1", "rat3", "other animals", "0.18 µm", "axon", "Otsu"):
        assert word in said
    curve = parseString(lab_report.training_curve(result).data)  # noqa: S318 (our own text)
    assert len(curve.getElementsByTagName("polyline")) >= 3
    assert all(sentence in html.unescape(said) for sentence in result.cautions)
    picture = lab_report.example_picture(result).data
    assert imagecodecs.jpeg_decode(picture).shape[:2] == (128, 256)
    assert len(picture) < 100_000
