"""One system enrols, another verifies, recomputed a trial at a time."""

import numpy as np
import pytest

from speechbrain_kd.evaluating.crossing import cross_matrix
from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluating.systems import System
from speechbrain_kd.evaluation.cohort import Cohort
from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.trials import TrialList

ONE, TWO = np.triu_indices(24, 1)
NAMES = [f"id{number // 3}/{number % 3}" for number in range(24)]
TRIALS = TrialList(ONE // 3 == TWO // 3, ONE, TWO, NAMES)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def system(seed, dim=6):
    """Speakers in noise, the same speakers for every seed."""
    voices = np.random.default_rng(0).normal(size=(8, 6))[:, :dim]
    rng = np.random.default_rng(seed)
    rows = np.repeat(voices, 3, axis=0) + rng.normal(size=(24, dim))
    places = {name: row for row, name in enumerate(NAMES)}
    cohort = Cohort(0.2 + rng.normal(size=(15, dim)))
    return System(None, None, [], places, rows.astype(np.float32), cohort)


def by_hand(enrols, verifies, top, centred):
    sides = []
    for one in (enrols, verifies):
        mean = one.cohort.embeddings.mean(0) if centred else 0
        others = unit(one.cohort.embeddings - mean)
        sides.append((unit(unit(one.rows) - mean), others))
    (rows, its), (tests, theirs) = sides
    scores = []
    for at, other in zip(ONE, TWO, strict=True):
        score = rows[at] @ tests[other]
        parts = (rows[at], theirs), (tests[other], its)
        seen = [np.sort(cohort @ row)[-top:] for row, cohort in parts]
        own = [(score - each.mean()) / each.std(ddof=1) for each in seen]
        scores.append(score if top == 0 else np.mean(own))
    return np.array(scores)


@pytest.mark.parametrize("top", [0, 4])
@pytest.mark.parametrize("centred", [False, True])
def test_each_side_has_its_own_cohort(top, centred):
    systems = {"a": system(1), "b": system(2)}
    scoring = Scoring("as" if top else None, top or 300, centred)
    found = cross_matrix("all", systems, TRIALS, scoring)
    for one, enrols in systems.items():
        for other, verifies in systems.items():
            expected = by_hand(enrols, verifies, top, centred)
            scores = enrols.score(TRIALS, scoring, verifies)
            np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
            rate = eer(*TRIALS.split(expected))
            assert found.eer[one][other] == pytest.approx(rate)
    own = systems["a"].score(TRIALS, scoring)
    itself = systems["a"].score(TRIALS, scoring, systems["a"])
    np.testing.assert_allclose(own, itself, rtol=1e-5)


def test_other_dimensions_are_skipped():
    systems = {"a": system(1), "small": system(2, 4)}
    found = cross_matrix("all", systems, TRIALS, Scoring())
    assert found.skipped == ["a (6 dimensions) with small (4)"]
    assert {one: set(row) for one, row in found.eer.items()} == {
        "a": {"a"},
        "small": {"small"},
    }
