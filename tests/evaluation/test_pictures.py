"""Pictures of the page: what is drawn, and that both forms are whole."""

import re
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest

from speechbrain_kd.evaluation import figures
from speechbrain_kd.evaluation.breakdown import Breakdown
from speechbrain_kd.evaluation.figures import COLOURS, series_style
from speechbrain_kd.evaluation.histories import History, read_history
from speechbrain_kd.evaluation.maps import speaker_maps
from speechbrain_kd.evaluation.pictures import (
    det_picture,
    histogram_picture,
    history_pictures,
    map_picture,
)
from speechbrain_kd.evaluation.rate_pictures import (
    breakdown_picture,
    pareto_front,
    pareto_picture,
)

INTERVAL = SimpleNamespace(low=0.02, high=0.07)


def scores(shift, seed=0):
    """Target and impostor scores of a system."""
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, 300), rng.normal(0, 1, 5000)


def facts(name, size, time):
    """As much of a system as a picture needs."""
    return SimpleNamespace(name=name, bytes=size, ms_per_second=time)


def texts(picture):
    """The words in a picture."""
    root = ElementTree.fromstring(picture.svg.replace("&", "and"))
    return ["".join(one.itertext()).strip() for one in root.iter("text")]


def test_a_picture_is_png_and_svg(tmp_path):
    systems = {"teacher": scores(4.0), "a < b": scores(3.0)}
    picture = det_picture(systems, tmp_path / "new", "det", "list O")
    image = matplotlib.image.imread(tmp_path / "new" / "det.png")
    assert min(image.shape[:2]) > 500 and (image[0, 0, :3] == 1).all()
    assert any(text.startswith("teacher (EER 2.") for text in texts(picture))
    assert "False alarm rate (%)" in texts(picture)
    assert picture.svg.startswith('<svg viewBox="0 0 ')
    assert not re.search(r"https?:|<metadata|xmlns", picture.svg)
    # The page gives all colours: nothing black or white is left.
    assert not re.search(r"#(000000|ffffff|0072b2)", picture.svg)
    assert {"var(--series-0)", "var(--series-1)", "currentColor"} <= set(
        re.findall(r"var\([a-z0-9-]+\)|currentColor", picture.svg)
    )
    assert "teacher" in picture.alt and "list O" in picture.caption


def test_ids_of_two_pictures_differ(tmp_path):
    two = [
        histogram_picture(scores(3.0), 1.5, tmp_path, name, "a", "O").svg
        for name in ("one", "two")
    ]
    ids = [set(re.findall(r'\bid="([^"]*)"', svg)) for svg in two]
    assert ids[0] and not ids[0] & ids[1]
    for svg, own in zip(two, ids):
        asked = re.findall(r'(?:url\(#|href="#)([^")]*)', svg)
        assert asked and set(asked) <= own


def test_the_pareto_picture_shows_who_is_beaten(tmp_path):
    systems = [
        facts("teacher", 28e6, None),
        facts("baseline", 187e3, None),
        facts("distilled", 187e3, None),
    ]
    results = {
        name: SimpleNamespace(eer=eer, eer_interval=INTERVAL)
        for name, eer in (
            ("teacher", 0.02), ("baseline", 0.06), ("distilled", 0.05),
        )
    }  # fmt: skip
    picture = pareto_picture(systems, results, "bytes", tmp_path, "p", "O")
    assert {"teacher", "baseline", "distilled", "10 M"} <= set(texts(picture))
    assert "Size" in picture.alt
    assert (
        pareto_picture(systems, results, "ms_per_second", tmp_path, "q", "O")
        is None
    )
    front = pareto_front(
        [(187e3, 0.06), (28e6, 0.02), (187e3, 0.05), (5e7, 0.02)]
    )
    assert front == [(187e3, 0.05), (28e6, 0.02)]


def test_groups_without_a_rate_are_written(tmp_path):
    groups = [f"g{number}" for number in range(18)]
    rates = {"a": dict.fromkeys(groups, 0.05) | {"g3": None}}
    breakdown = Breakdown(
        "Nation", "…", groups, dict.fromkeys(groups, 9), rates,
        {"a": dict.fromkeys(groups, INTERVAL)},
    )  # fmt: skip
    picture = breakdown_picture(breakdown, ["b", "a"], tmp_path, "where")
    words = texts(picture)
    assert words.count("too few trials") == 1
    assert "g15" in words and "g16" not in words
    assert "2 smaller groups" in picture.caption
    # Its colour is that of the second system, as in all other pictures.
    assert "var(--series-1)" in picture.svg
    assert "var(--series-0)" not in picture.svg


def test_every_term_has_a_curve(tmp_path):
    histories = {
        "student": History([1, 2], {"train loss": [2.0, 1.0], "lr": [1, None]}),
        "baseline": History([1, 2, 3], {"train loss": [2.0, 1.0, 0.5]}),
    }
    found = history_pictures(histories, ["teacher", *histories], tmp_path)
    assert [one.name for one in found] == ["training_train_loss", "training_lr"]
    assert {"student", "baseline", "Epoch"} <= set(texts(found[0]))
    assert "baseline" not in texts(found[1])


def test_a_log_of_a_run_that_was_resumed(tmp_path):
    (tmp_path / "train_log.txt").write_text(
        "epoch: 1, lr: 8.33e-03 - train loss: 64.24, train posteriors: 18.90"
        " - valid loss: 6.21, valid EER: 3.33e-02\n"
        "epoch: 2, lr: 6e-04 - train loss: nan - valid EER: 9.0e-02\n"
        "epoch: 2, lr: 6e-04 - train loss: 47.95 - valid EER: 0.00e+00\n"
        "Epoch loaded: 2 - test loss: 5.17\n"
    )
    history = read_history(tmp_path)
    assert history.epochs == [1, 2]
    assert history.series == {
        "lr": [8.33e-3, 6e-4],
        "train loss": [64.24, 47.95],
        "train posteriors": [18.9, None],
        "valid loss": [6.21, None],
        "valid EER": [0.0333, 0.0],
    }
    with pytest.raises(FileNotFoundError, match="no such training log"):
        read_history(tmp_path / "nothing.txt")
    (tmp_path / "train_log.txt").write_text("hello\n")
    with pytest.raises(ValueError, match="line 'epoch: 1"):
        read_history(tmp_path)


def test_a_map_keeps_speakers_together_and_repeats(tmp_path):
    rng = np.random.default_rng(0)
    speakers = [f"s{number:02}" for number in np.repeat(np.arange(24), 5)]
    speakers += ["alone", "alone"]
    centres = {name: rng.normal(size=32) for name in dict.fromkeys(speakers)}
    rows = [centres[name] + 0.2 * rng.normal(size=32) for name in speakers]
    names = [str(number) for number in range(len(rows))]
    given = ({"a": np.array(rows), "b": np.array(rows)}, names, speakers)
    maps = speaker_maps(*given)
    first = maps["a"]
    assert len(set(first.speakers)) == 20 and "alone" not in first.speakers
    assert first.utterances == maps["b"].utterances
    assert [speakers[int(one)] for one in first.utterances] == first.speakers
    np.testing.assert_array_equal(first.points, maps["b"].points)
    np.testing.assert_array_equal(
        first.points, speaker_maps(*given)["a"].points
    )
    apart = ((first.points[:, None] - first.points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    of = np.array(first.speakers)
    assert (of[apart.argmin(axis=1)] == of).mean() > 0.95
    picture = map_picture(first, tmp_path, "map", "a & b")
    assert (tmp_path / "map.png").is_file() and "20 speakers" in picture.caption
    assert speaker_maps({"a": np.ones((2, 3))}, ["x", "y"], ["x", "y"]) == {}
    with pytest.raises(ValueError, match="each of 2 utterances, got 1"):
        speaker_maps({}, ["x", "y"], ["x"])


def test_series_differ_without_colour_too():
    looks = [series_style(number) for number in range(12)]
    assert len({str(look) for look in looks}) == 12
    for one in range(6):
        assert looks[one]["color"] == looks[one + 6]["color"]
        assert looks[one]["linestyle"] != looks[one + 6]["linestyle"]
        assert looks[one]["marker"] != looks[one + 6]["marker"]
    mapped = set(figures.PAGE_COLOURS.values())
    assert {f"var(--series-{n})" for n in range(len(COLOURS))} <= mapped
