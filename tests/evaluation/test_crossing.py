"""One system enrols, another verifies, recomputed a trial at a time."""

import numpy as np
import pytest

from speechbrain_kd.evaluating.crossing import cross_matrix, find_maps, through
from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluating.systems import System
from speechbrain_kd.evaluation.cohort import Cohort
from speechbrain_kd.evaluation.mapping import SHRINKAGE, SpaceMap
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


def turned(seed, dim=6):
    """A system that hears the same voices, and has them elsewhere."""
    voices = np.random.default_rng(0).normal(size=(8, 6))
    others = np.random.default_rng(9).normal(size=(40, 6))
    rng = np.random.default_rng(seed)
    elsewhere = rng.normal(size=(6, dim))

    def embed(rows):
        noise = 0.3 * rng.normal(size=(len(rows), dim))
        return (rows @ elsewhere + noise + 1).astype(np.float32)

    heard = embed(np.repeat(others, 4, axis=0))
    speakers = [f"s{number // 4:02}" for number in range(160)]
    places = {name: row for row, name in enumerate(NAMES)}
    return System(
        *(None, None, [], places, embed(np.repeat(voices, 3, axis=0))),
        Cohort.from_utterances(heard, speakers),
        heard=heard,
        heard_speakers=speakers,
    )


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


def test_enrolments_are_mapped_between_dimensions():
    systems = {"a": turned(1), "b": turned(2, 9)}
    maps = find_maps(systems)
    assert set(maps) == {("a", "b"), ("b", "a")}
    plain = cross_matrix("all", systems, TRIALS, Scoring())
    assert "b" not in plain.eer["a"] and not plain.mapped
    found = cross_matrix("all", systems, TRIALS, Scoring(), maps)
    assert found.mapped and not found.skipped
    assert {one: set(row) for one, row in found.eer.items()} == {
        "a": {"b"},
        "b": {"a"},
    }
    for one, other in maps:
        enrols, verifies = systems[one], systems[other]
        # By hand: ridge regression as least squares with rows that draw to 0.
        source, target = unit(enrols.heard), unit(verifies.heard)
        mean, its = source.mean(0), target.mean(0)
        dim = source.shape[1]
        ridge = SHRINKAGE * ((source - mean) ** 2).sum() / dim
        above = np.concatenate([source - mean, np.sqrt(ridge) * np.eye(dim)])
        below = np.concatenate([target - its, np.zeros((dim, target.shape[1]))])
        matrix = np.linalg.lstsq(above, below)[0]
        moved = unit((unit(enrols.rows) - mean) @ matrix)
        scores = (moved[ONE] * unit(unit(verifies.rows) - its)[TWO]).sum(1)
        rate = eer(*TRIALS.split(scores))
        assert found.eer[one][other] == pytest.approx(rate)
        assert found.eer[one][other] < 0.25
    alike = {"a": turned(1), "c": turned(3)}  # of one dimension, elsewhere
    assert cross_matrix("all", alike, TRIALS, Scoring()).eer["a"]["c"] > 0.3


def test_mapped_scores_have_mapped_cohorts():
    systems = {"a": turned(1), "b": turned(2, 9)}
    maps = find_maps(systems)
    scoring = Scoring("as", 5)
    found = cross_matrix("all", systems, TRIALS, scoring, maps)
    one, other = through(maps["a", "b"], systems["a"], systems["b"])
    scores = by_hand(one, other, 5, False)
    assert found.eer["a"]["b"] == pytest.approx(eer(*TRIALS.split(scores)))
    centred = Scoring("as", 5, centre=True)
    assert cross_matrix("all", systems, TRIALS, centred, maps) == found


@pytest.mark.parametrize(
    "rows, others, names, message",
    [
        (np.eye(3)[:1], np.eye(3)[:1], ["a"], "two or more; got 1"),
        (np.ones((4, 3)), np.eye(4), list("abcd"), "one and the same embed"),
        (np.eye(3), np.zeros((3, 2)), list("abc"), "embedding of 'a' is zero"),
        (np.eye(3), np.eye(2), list("abc"), r"expected embeddings \[3, dim"),
    ],
)
def test_no_map(rows, others, names, message):
    with pytest.raises(ValueError, match=message):
        SpaceMap.fit(rows, others, names)
