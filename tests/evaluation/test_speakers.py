"""Whose voice each utterance is, by what is there to tell."""

import pytest

from speechbrain_kd.evaluation.speakers import speaker_names, speakers_of
from speechbrain_kd.evaluation.trials import TrialList, read_trials


def make(labels, names):
    """Trials of each utterance with the next."""
    ends = range(len(labels)), range(1, len(labels) + 1)
    return TrialList(labels, *map(list, ends), names)


def test_first_folder_where_it_agrees():
    trials = make([1, 0, 1], ["b/x/1", "b/y/1", "a/x/1", "a/x/2"])
    assert speaker_names(trials) == ["b", "b", "a", "a"]
    assert speakers_of(trials).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("folder", ["wav/", ""])
def test_target_trials_where_folders_do_not_say(folder):
    names = [folder + name for name in "abcde"]
    trials = make([1, 1, 0, 1], names)
    assert speaker_names(trials) == [names[0]] * 3 + [names[3]] * 2


def test_mapping_comes_first():
    trials = make([1, 0], ["s/1", "s/2", "t/1"])
    who = {"s/1": "Ann", "s/2": "Ann", "t/1": "Bob"}
    assert speaker_names(trials, who) == ["Ann", "Ann", "Bob"]
    with pytest.raises(ValueError, match="no speaker given for.*'t/1'"):
        speakers_of(trials, {"s/1": "Ann", "s/2": "Ann"})
    with pytest.raises(ValueError, match="'s/2' with 't/1' is an impostor"):
        speakers_of(trials, dict.fromkeys(who, "Ann"))


def test_labels_that_contradict_each_other():
    trials = TrialList([1, 1, 0], [0, 1, 0], [1, 2, 2], list("abc"))
    with pytest.raises(
        ValueError, match=r"'a' with 'c' is an impostor.*1 of 3"
    ):
        speakers_of(trials)


def test_real_list(realvox):
    trials = read_trials(realvox / "meta" / "veri_test.txt")
    names = speaker_names(trials)
    assert names == [name.split("/")[0] for name in trials.utterances]
    flat = [name.replace("/", "-") for name in trials.utterances]
    apart = TrialList(trials.labels, trials.enrol, trials.test, flat)
    found = speaker_names(apart)
    # Target trials alone join a speaker's utterances, never two speakers'.
    for name, group in zip(names, found, strict=True):
        assert group.startswith(name)
