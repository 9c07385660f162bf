"""Validation trials: complete, fair, deterministic."""

import itertools

import numpy as np
import pytest

from speechbrain_kd.evaluation import validation_trials


def corpus(*sizes):
    """Speakers with so many utterances each."""
    return zip(
        *[
            (f"s{speaker}", f"s{speaker}/{number}")
            for speaker, size in enumerate(sizes)
            for number in range(size)
        ],
        strict=True,
    )


def as_pairs(trials):
    """Trials as label and pair of names."""
    names = trials.utterances
    return [
        (bool(label), names[enrol], names[test])
        for label, enrol, test in zip(
            trials.labels, trials.enrol, trials.test, strict=True
        )
    ]


def test_all_pairs_of_a_small_corpus():
    speakers, utterances = corpus(3, 1, 2, 4)
    pairs = as_pairs(validation_trials(speakers, utterances))
    speaker_of = dict(zip(utterances, speakers, strict=True))
    expected = {
        (speaker_of[one] == speaker_of[other], one, other)
        for one, other in itertools.combinations(sorted(utterances), 2)
    }
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == expected


@pytest.mark.parametrize("max_trials", [2, 3, 50, 301])
def test_sample_is_within_bounds_true_and_without_repeats(max_trials):
    speakers, utterances = corpus(20, 30, 2, 1, 7)
    speaker_of = dict(zip(utterances, speakers, strict=True))
    trials = validation_trials(speakers, utterances, max_trials)
    pairs = as_pairs(trials)
    assert len(pairs) == max_trials
    assert trials.labels.sum() == max_trials // 2
    assert len({frozenset(pair[1:]) for pair in pairs}) == len(pairs)
    for label, enrol, test in pairs:
        assert enrol != test
        assert label == (speaker_of[enrol] == speaker_of[test])
    used = {name for pair in pairs for name in pair[1:]}
    assert used == set(trials.utterances)


def test_every_pair_can_be_drawn():
    speakers, utterances = corpus(4, 3)
    drawn = set()
    for seed in range(200):
        trials = validation_trials(speakers, utterances, 4, seed)
        drawn.update(as_pairs(trials))
    assert len(drawn) == 7 * 6 // 2


def test_two_held_out_utterances_a_speaker():
    speakers, utterances = corpus(*[2] * 50)
    trials = validation_trials(speakers, utterances, impostors_per_target=8)
    assert trials.labels.sum() == 50
    assert len(trials) == 50 * 9


def test_depends_on_the_seed_alone():
    speakers, utterances = corpus(*[5] * 40)
    first = validation_trials(speakers, utterances, 100, seed=1)
    again = validation_trials(speakers[::-1], utterances[::-1], 100, seed=1)
    other = validation_trials(speakers, utterances, 100, seed=2)
    assert as_pairs(first) == as_pairs(again)
    assert as_pairs(first) != as_pairs(other)


def test_large_corpus_is_not_enumerated():
    # 2e9 pairs: a list of them would not fit.
    speakers = np.repeat(["a", "b"], 32_000).tolist()
    utterances = [f"{number:05}" for number in range(64_000)]
    trials = validation_trials(speakers, utterances, 1000)
    assert len(trials) == 1000


def test_what_cannot_be_made():
    with pytest.raises(ValueError, match="none of the 2 speakers has two"):
        validation_trials(["a", "b"], ["1", "2"])
    with pytest.raises(ValueError, match="all utterances are of speaker 'a'"):
        validation_trials(["a", "a"], ["1", "2"])
    with pytest.raises(ValueError, match="utterance '1' comes twice"):
        validation_trials(["a", "a", "b"], ["1", "1", "2"])
    with pytest.raises(ValueError, match="2 speakers and 1 utterances"):
        validation_trials(["a", "a"], ["1"])
    with pytest.raises(ValueError, match="got 1 and 20"):
        validation_trials(["a", "a", "b"], ["1", "2", "3"], max_trials=1)
    with pytest.raises(ValueError, match="got 20000 and 0"):
        validation_trials(
            ["a", "a", "b"], ["1", "2", "3"], impostors_per_target=0
        )
