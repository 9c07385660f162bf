"""Whom a system has met of a list's speakers, and what is said of it."""

import pytest

from speechbrain_kd.evaluation.named_speakers import (
    NAMES,
    Speaker,
    named_set,
    speaker_of,
    trial_speakers,
)
from speechbrain_kd.evaluation.seen import (
    Exposure,
    Learner,
    check_unseen,
    exposure,
    learner,
)
from speechbrain_kd.evaluation.speaker_files import read_manifest, read_set
from speechbrain_kd.evaluation.trials import TrialList

PUBLISHED = ["voxceleb1-dev", "voxceleb2-dev"]


def voxceleb_list(numbers, recording="5r0dWxy17C8"):
    """A list of two utterances a speaker, in VoxCeleb's layout."""
    names = [
        f"id{number:05d}/{recording}/{utterance:05d}.wav"
        for number in numbers
        for utterance in (1, 2)
    ]
    half = len(numbers)
    enrol = [2 * at for at in range(half)] * 2
    test = [2 * at + 1 for at in range(half)]
    test += [2 * ((at + 1) % half) + 1 for at in range(half)]
    return TrialList([True] * half + [False] * half, enrol, test, names)


E = voxceleb_list(range(10001, 11252))
O_LIST = voxceleb_list(range(10270, 10310))


def met(trials, trained_on):
    return exposure(trial_speakers(trials), [learner("itself", trained_on)])


def test_e_is_contaminated_by_the_published_teachers_and_o_is_not():
    found = met(E, PUBLISHED)
    assert (found.speakers, found.shared) == (1251, 1211)
    assert found.names == [f"id{number}" for number in range(10001, 10011)]
    assert found.mark == "contaminated"
    clean = met(O_LIST, PUBLISHED)
    assert not clean.contaminated and clean.mark == ""
    assert clean.label == "none of 40"
    assert met(O_LIST, ["voxceleb1"]).shared == 40
    vox2 = voxceleb_list([12, 9272, 17])
    assert met(vox2, PUBLISHED).shared == 3 and not met(vox2, NAMES[:3]).shared


def test_refusal_names_ten_of_the_speakers_who_met_them_and_the_way_out():
    found = {"cam": met(E, ["3dspeaker-200k"]), "ecapa": met(E, PUBLISHED)}
    with pytest.raises(ValueError) as refused:
        check_unseen("E", found, "--allow-contaminated")
    said = str(refused.value)
    assert "ecapa: 1,211 of 1,251 test speakers seen by itself" in said
    assert "cam" not in said.replace("contaminated", "")
    names = said.split("Shared speakers: ")[1].split(" and 1,201 more")[0]
    assert names.split(", ") == found["ecapa"].names
    assert said.endswith("give --allow-contaminated")
    check_unseen("E", {"cam": found["cam"]}, "")  # not known, but not refused


def test_what_is_not_known_is_never_called_clean():
    for trained_on in ([], ["our calls"], ["voxceleb2-dev", "our calls"]):
        found = met(O_LIST, trained_on)
        assert not found.contaminated and found.label.startswith("not known")
        assert found.mark
    assert "nothing is stated" in met(O_LIST, []).label
    without_names = TrialList([True, False], [0, 0], [1, 2], ["x", "y", "z"])
    assert "does not name" in met(without_names, PUBLISHED).label


def test_an_id_is_one_of_its_corpus():
    minivox = voxceleb_list(range(10001, 10004), recording="rec01")
    assert trial_speakers(minivox) == {
        Speaker("minivox", f"id{number}") for number in range(10001, 10004)
    }
    assert not met(minivox, PUBLISHED).contaminated
    assert met(minivox, ["minivox-dev"]).shared == 3
    assert not met(minivox, ["minivox-test"]).contaminated
    # Of a corpus that nobody knows, it may be the same.
    own = voxceleb_list(range(10001, 10004), recording="monday")
    assert met(own, PUBLISHED).shared == 3


def test_sizes_of_the_named_sets():
    sizes = {name: len(named_set(name).ids) for name in NAMES}
    assert sizes["voxceleb1"] == 1251 and sizes["voxceleb1-dev"] == 1211
    assert sizes["voxceleb1-test"] == 40
    assert named_set("voxceleb3") is None


@pytest.mark.parametrize(
    ("utterance", "speaker"),
    [
        ("wav/id10270/5r0dWxy17C8/00001.wav", ("voxceleb1", "id10270")),
        ("id10270-5r0dWxy17C8-00001", ("voxceleb1", "id10270")),
        ("id10270---r0dWxy17C8--00001", ("voxceleb1", "id10270")),
        ("/a/dev/aac/id00012/21Uxsk56VDQ/00001.m4a", ("voxceleb2", "id00012")),
        ("id19001/rec02/00001.wav", ("minivox", "id19001")),
        ("id11252/5r0dWxy17C8/00001.wav", (None, "id11252")),
        ("id20002/an4/00001.flac", (None, "id20002")),
        ("ann/1.wav", (None, "ann")),
    ],
)
def test_speaker_and_corpus_by_name(utterance, speaker):
    assert speaker_of(utterance) == speaker


def test_speakers_of_enrolled_models_are_those_of_their_utterances():
    trials = TrialList(
        None, [0], [1], ["model", "bob/x/1.wav"], {"model": ["ann/x/1.wav"]}
    )
    assert {one.id for one in trial_speakers(trials)} == {"ann", "bob"}


def test_files_of_speakers(tmp_path):
    table = tmp_path / "speakers.csv"
    table.write_text("id,set\nann,dev\nbob,test\n")
    assert read_set(table)[0].ids == {"ann"}
    manifest = tmp_path / "train.csv"
    manifest.write_text(
        "ID,duration,wav,start,stop,spk_id\n"
        "id10001--1z--whmdeo4--00001,1,a,0,1,id10001\n"
        "id10001--1z--whmdeo4--00002,1,a,0,1,id10001\n"
        "ann--x--1,1,a,0,1,ann\n"
    )
    expected = {("voxceleb1", "id10001"), ("mine", "ann")}
    found = read_manifest(manifest, "mine")
    assert {(one.name, *one.ids) for one in found} == expected
    assert {one.corpus for one in found} == {"voxceleb1", None}
    one = learner("itself", [str(table), "voxceleb1-dev"])
    assert len(one.sets) == 2 and not one.unknown


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("gone.txt", None, "no file of speakers .*gone.txt"),
        ("empty.txt", b"\n# nobody\n", "empty.txt: expected ids"),
        ("odd.csv", b"name,age\nann,3\n", "column `id` or `spk_id`"),
        ("image.txt", b"\xff\xfe\x00", "image.txt: expected text"),
    ],
)
def test_a_file_that_says_nothing_is_refused(tmp_path, name, content, problem):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=problem):
        learner("itself", [str(tmp_path / name)])


def test_shared_speakers_are_counted_once_and_by_whom():
    learners = [
        learner("itself", ["voxceleb1-test"]),
        learner("its teacher x", ["voxceleb1"]),
        Learner("the cohort", []),
    ]
    found = exposure(trial_speakers(O_LIST), learners)
    assert found.shared == 40 and len(found.names) == 10
    assert found.by == {"itself": 40, "its teacher x": 40}
    assert found.label.endswith("seen by itself and its teacher x")
    assert Exposure(3).label == "none of 3"
