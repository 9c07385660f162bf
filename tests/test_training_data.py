"""The record of whom a model has met, written and read back."""

import json

import pytest

from speechbrain_kd import learners
from speechbrain_kd.evaluation.named_speakers import named_set
from speechbrain_kd.evaluation.seen import Learner, learner
from speechbrain_kd.export.model_card import TeacherFacts
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.training_data import FILE, read_learners, training_data

HEADER = "ID,duration,wav,start,stop,spk_id\n"


class Named(Teacher):
    """A teacher of which only its papers matter."""

    def __init__(self, source, trained_on=(), digests=None, teachers=()):
        super().__init__(source, 1, trained_on=trained_on, digests=digests)
        self.teachers = list(teachers)
        for number, teacher in enumerate(teachers):
            self.add_module(f"member{number}", teacher)


@pytest.fixture
def record(tmp_path):
    """Of a run on two speakers, taught by a published teacher."""
    manifest = tmp_path / "train.csv"
    manifest.write_text(
        HEADER
        + "ann--x--1,1,a,0,1,ann\nid10001--rec01--00001,1,a,0,1,id10001\n"
    )
    published = learner("its teacher hub/ecapa", ["voxceleb1-dev", "calls"])
    return training_data(
        manifest,
        "mine",
        [published],
        [
            TeacherFacts(
                "hub/ecapa", "0f99", {"a.ckpt": "ab"}, ["voxceleb1-dev"]
            )
        ],
    )


def write(folder, facts):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(facts))
    return folder / FILE


def test_the_record_comes_back(record, tmp_path):
    itself, teacher = read_learners(write(tmp_path / "run", record))
    ids = {(known.corpus, *known.ids) for known in itself.sets}
    assert ids == {(None, "ann"), ("minivox", "id10001")}
    assert list(teacher.sets) == [named_set("voxceleb1-dev")]
    assert teacher.unknown == ["calls"] and not itself.unknown
    assert record["teachers"][0]["revision"] == "0f99"
    assert record["teachers"][0]["files"] == {"a.ckpt": "ab"}
    # A named set is written by its name, not by a thousand ids.
    assert "id10500" not in json.dumps(record)


def test_a_strangers_record_opens_no_file(record, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("ann\n")
    record["learners"][0]["trained_on"] = [str(secret)]
    itself, _ = read_learners(write(tmp_path, record))
    assert itself.unknown == [str(secret)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda facts: facts.update(format=2), "expected format 1"),
        (lambda facts: facts.pop("learners"), "there is no 'learners'"),
        (lambda facts: facts["learners"].clear(), "record of a training"),
        (lambda facts: facts["learners"].pop(0), "got 1 and 'its teacher"),
        (
            lambda facts: facts["learners"][0]["sets"][0]["ids"].pop(),
            "are not those that were written",
        ),
    ],
)
def test_a_broken_record_is_refused_by_name(record, tmp_path, change, problem):
    change(record)
    path = write(tmp_path, record)
    with pytest.raises(ValueError, match=problem) as refused:
        read_learners(path)
    assert str(path) in str(refused.value)
    path.write_text("{")
    with pytest.raises(ValueError, match="expected JSON"):
        read_learners(path)


def test_a_student_has_met_whom_its_teachers_teacher_has(record, tmp_path):
    write(tmp_path / "run" / "export", record)
    teacher = Named(tmp_path / "run", ["tiny"])
    itself, its_teacher = learners.as_itself(learners.met_by(teacher))
    # The record is exact: a name that nobody knows adds nothing.
    assert itself.who == "itself" and not itself.unknown
    mine, theirs = learners.as_student(learners.met_by(teacher))
    assert mine.who == f"its teacher {tmp_path / 'run'}"
    assert theirs.who == f"its teacher hub/ecapa (by way of {tmp_path / 'run'})"
    assert theirs.sets == its_teacher.sets
    assert learners.described([itself]) == [
        "mine (1 speakers)",
        "minivox (1 speakers)",
    ]


def test_a_wrapper_has_met_whom_its_members_have():
    one = Named("a", ["voxceleb1-dev"], {"a.ckpt": "1"})
    two = Named("b", ["calls"], {"b.ckpt": "2"})
    digests = {"a.ckpt": "1", "b.ckpt": "2", "weights": "3"}
    both = Named("both", ["voxceleb1-dev", "calls"], digests, [one, two])
    met = learners.met_by(both)
    assert [source for source, _ in met] == ["a", "b"]
    assert learners.as_itself(met) == learners.as_student(met)
    assert [part.who for part in learners.as_itself(met)] == [
        "its teacher a",
        "its teacher b",
    ]
    facts = learners.facts_of(both)
    assert [one.source for one in facts] == ["a", "b", "Named"]
    assert facts[2].digests == {"weights": "3"}
    alone = Named(
        "a", ["voxceleb1-dev"], {"a.ckpt": "1", "centres": "4"}, [one]
    )
    (fact,) = learners.facts_of(alone)
    assert fact.source == "a" and set(fact.digests) == {"a.ckpt", "centres"}
    assert learners.as_itself(learners.met_by(alone))[0].who == "itself"
    assert learners.facts_of(None) == learners.met_by(None) == []


def test_a_hub_is_asked_for_what_nobody_states(record, tmp_path, monkeypatch):
    path = write(tmp_path, record)
    asked = []

    class Hub:
        def __init__(self, source, revision):
            asked.append((source, revision))

        def fetch(self, file):
            if "without" in asked[-1][0]:
                raise FileNotFoundError(file)
            return path

    monkeypatch.setattr(learners, "locate", Hub)
    assert learners.met_in("us/student-a", ["voxceleb1-dev"])[0].sets
    assert not asked
    assert len(learners.met_in("us/student-a", [], "0f99")) == 2
    assert asked == [("us/student-a", "0f99")]
    (nobody,) = learners.met_in("us/without", [])
    assert nobody == Learner("itself", [], ["nothing is stated"])
