"""SpeechBrain's features and ours: what is compared, and what is said."""

import json
from pathlib import Path

import pytest

from speechbrain_kd.bench import features
from speechbrain_kd.bench.common import Options
from speechbrain_kd.bench.student_step import Learner, student_step

STUDENTS = Path(__file__).parents[2] / "hparams" / "students"
SECONDS = {"speechbrain": 0.08, "speechbrain_kd": 0.04, "step": 0.16}


@pytest.fixture
def options(tiny_corpus, tmp_path):
    return Options(
        data_folder=str(tiny_corpus),
        work=tmp_path,
        batch_size=4,
        students=STUDENTS,
        student="ecapa_c16",
    )


@pytest.fixture
def called(monkeypatch):
    """What the clock was given to time."""
    functions = {}

    def best_of_each(given, device, repeats):
        functions.update(given)
        return SECONDS

    monkeypatch.setattr(features, "best_of_each", best_of_each)
    return functions


def test_times_shares_and_difference(options, called):
    facts = json.loads(json.dumps(features.measure(options)))
    assert facts["ms"] == {"speechbrain": 20, "speechbrain_kd": 10, "step": 40}
    assert facts["ratio"] == 2
    assert facts["share"] == pytest.approx(
        {"speechbrain": 1 / 3, "speechbrain_kd": 0.2}
    )
    assert facts["crops_compared"] == 32
    assert facts["equal"] and facts["largest_difference"] < features.LIMIT
    theirs, ours = (called[x]() for x in ("speechbrain", "speechbrain_kd"))
    assert theirs.shape == ours.shape == (4, 201, 80)
    assert float(theirs.std()) > 1
    rows = features.report(facts).splitlines()
    assert rows[3] == "| speechbrain_kd | 10 | 2 | 20.0% |"


def test_other_features_are_not_called_equal(options, called, monkeypatch):
    theirs, ours = features.feature_functions("cpu")
    louder = (theirs, lambda wavs: 1.001 * ours(wavs))
    monkeypatch.setattr(features, "feature_functions", lambda device: louder)
    facts = features.measure(options)
    assert facts["largest_difference"] > features.LIMIT
    assert not facts["equal"]
    assert "TOO MUCH" in features.report(facts)


def test_the_step_goes_back_to_every_weight(options):
    theirs, _ = features.feature_functions("cpu")
    from speechbrain_kd.bench.corpus import real_crops

    step = student_step(options, theirs(real_crops(options, 4)))
    first = float(step())
    parts = next(
        cell.cell_contents
        for cell in step.__closure__
        if isinstance(cell.cell_contents, Learner)
    )
    assert first > 0
    assert all(p.grad is not None for p in parts.parameters())


def test_a_student_that_is_not_there(options):
    missing = Options(students=options.students, student="ecapa_c9")
    with pytest.raises(ValueError, match="ecapa_c9: no file"):
        student_step(missing, None)
