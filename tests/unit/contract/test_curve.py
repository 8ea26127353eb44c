"""The one picture of a training: card and page show the same."""

import xml.etree.ElementTree as ET

import pytest

from axonlab_core.contract.curve import Curves, curves_html, figure
from axonlab_core.contract.events import MetricEvent

SVG = "{http://www.w3.org/2000/svg}"


def parsed(markup):
    return ET.fromstring(f"<div>{markup}</div>")  # noqa: S314 (our own)


def points(line):
    return [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]


def lines(markup):
    return parsed(markup).findall(f".//{SVG}polyline")


def test_two_pictures_with_words_and_legends():
    curves = Curves()
    assert curves_html(curves) == ""
    curves.add(MetricEvent(step=0, values={"loss": 2.0, "learning_rate": 0.1}))
    assert len(lines(curves_html(curves))) == 1
    for step in range(2000):
        curves.add(MetricEvent(step=step, values={"loss": 1 / (1 + step)}))
        if step % 100 == 0:
            curves.add(MetricEvent(step=step, values={'val_dice_<axon> & "more"': step / 2000}))
    loss, dice = parsed(curves_html(curves)).findall("figure")
    assert [one.findtext("figcaption") for one in (loss, dice)] == ["Loss", "Dice on the validation images"]
    said = dice.find(f"{SVG}svg").attrib["aria-label"]
    assert said == 'Dice on the validation images over training steps: <axon> & "more" 0.950 after step 1900'
    (entry,) = dice.findall("ul/li")
    assert "".join(entry.itertext()).split() == ["<axon>", "&", '"more"', "0.950"]
    (line,) = loss.findall(f".//{SVG}polyline")
    assert len(points(line)) <= 301
    assert len(curves.points("loss")) <= 1000
    assert (curves.points("loss")[0], curves.points("loss")[-1]) == ((0, 1.0), (1999, 1 / 2000))


def test_lines_stay_in_their_frame():
    drawn = figure("Dice", {"axon": [(0, -1.0), (50, 0.5), (100, 7.0)], "odd": [(1, float("nan"))]}, highest=1.0)
    (line,) = lines(drawn)
    (left, bottom), (middle, half), (right, top) = points(line)
    assert left < middle < right
    assert half == pytest.approx((top + bottom) / 2, abs=0.1)
    texts = {text.text: text.attrib for text in parsed(drawn).iter(f"{SVG}text")}
    assert {"0", "25", "50", "75", "100", "0.25", "0.5", "0.75", "1", "steps"} == set(texts)
    assert float(texts["50"]["x"]) == middle
    assert float(texts["0.5"]["y"]) == pytest.approx(half + 4, abs=0.1)
    svg = parsed(drawn).find(f".//{SVG}svg").attrib["viewBox"].split()
    for x, y in points(line):
        assert 0 < x < float(svg[2])
        assert 0 < y < float(svg[3])


def test_what_there_is_not_is_not_drawn():
    assert figure("Loss", {}) == ""
    assert figure("Loss", {"loss": [(3, float("inf"))]}) == ""
    assert len(lines(figure("Loss", {"loss": [(0, 0.0)]}))) == 1


def test_no_two_classes_look_the_same():
    names = ["background", "myelin", "axon", "a", "b", "c"]
    drawn = lines(figure("Dice", {name: [(1, 0.5)] for name in names}, highest=1))
    assert len({(line.attrib["stroke"], line.attrib.get("stroke-dasharray")) for line in drawn}) == len(names)
    assert len({line.attrib.get("stroke-dasharray") for line in drawn}) == len(names), "nor without colours"
    many = {f"class {n}": [(1, 0.5)] for n in range(20)}
    assert len(lines(figure("Dice", many, highest=1))) == 20
