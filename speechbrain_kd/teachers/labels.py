"""Which class of the teacher is which class of the student, by speaker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

#: The way out where a teacher has no class of a training speaker.
GIVE_CLASSES = (
    "give it the training speakers as classes "
    "(!new:speechbrain_kd.teachers.PrototypeTeacher, see hparams/teachers/"
    "campplus_prototypes.yaml), or remove the label-level terms "
    "(--distillation=hparams/distillation/embedding.yaml)"
)


@dataclass(frozen=True)
class Coverage:
    """For how much of a training set a teacher has label-level targets.

    Arguments
    ---------
    speakers, utterances : int
        All of the training set.
    known_speakers, known_utterances : int
        Those whose speaker is a class of the teacher.
    """

    speakers: int
    utterances: int
    known_speakers: int
    known_utterances: int

    def __str__(self) -> str:
        share = self.known_utterances / max(1, self.utterances)
        return (
            f"{self.known_speakers} of {self.speakers} training speakers, "
            f"{self.known_utterances} of {self.utterances} utterances "
            f"({share:.1%})"
        )


def coverage(
    teacher_labels: Sequence[str] | None, utterances: Mapping[str, int]
) -> Coverage:
    """Counts what a teacher can give label-level targets for.

    Arguments
    ---------
    teacher_labels : Sequence[str] | None
        The teacher's class names; None knows nobody.
    utterances : Mapping[str, int]
        Utterances of each training speaker.

    Returns
    -------
    Coverage
        In speakers and utterances.

    Example
    -------
    >>> print(coverage(["ann", "cat"], {"ann": 30, "bob": 10}))
    1 of 2 training speakers, 30 of 40 utterances (75.0%)
    """
    known = set(teacher_labels or ()) & set(utterances)
    return Coverage(
        len(utterances),
        sum(utterances.values()),
        len(known),
        sum(utterances[speaker] for speaker in known),
    )


def align_classes(
    teacher_labels: Sequence[str] | None, student_labels: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds the speakers that teacher and student share.

    Posteriors are compared over these classes alone (and renormalised over
    them): a student trained on VoxCeleb1 has 1211 of the 7205 speakers of the
    published teachers.

    Arguments
    ---------
    teacher_labels : Sequence[str] | None
        The teacher's class names in the order of its logits.
    student_labels : Sequence[str]
        The student's class names in the order of its logits.

    Returns
    -------
    teacher_index : torch.Tensor
        ``[shared]`` indices into the teacher's classes, int64.
    student_index : torch.Tensor
        ``[shared]`` indices into the student's classes, int64, ascending.

    Raises
    ------
    ValueError
        If no speaker is shared, or a name stands for two classes.

    Example
    -------
    >>> teacher, student = ["ann", "bob", "cat"], ["cat", "dan", "ann"]
    >>> teacher_index, student_index = align_classes(teacher, student)
    >>> [teacher[i] for i in teacher_index] == [
    ...     student[i] for i in student_index
    ... ]
    True
    """
    if teacher_labels is None:
        raise ValueError(
            "The teacher has no class labels, so its posteriors cannot be "
            f"matched to the student's speakers: {GIVE_CLASSES}"
        )
    _refuse_duplicates("teacher", teacher_labels)
    _refuse_duplicates("student", student_labels)
    place = {label: index for index, label in enumerate(teacher_labels)}
    pairs = [
        (place[label], index)
        for index, label in enumerate(student_labels)
        if label in place
    ]
    if not pairs:
        raise ValueError(
            "Teacher and student share no speaker: the teacher knows "
            f"{_some(teacher_labels)}, the student {_some(student_labels)}: "
            f"{GIVE_CLASSES}"
        )
    teacher_index, student_index = torch.tensor(pairs).unbind(dim=1)
    return teacher_index.contiguous(), student_index.contiguous()


def _refuse_duplicates(whose: str, labels: Sequence[str]) -> None:
    """Raises where one name stands for two classes."""
    if len(set(labels)) == len(labels):
        return
    seen: set[str] = set()
    for index, label in enumerate(labels):
        if label in seen:
            raise ValueError(
                f"The {whose}'s label {label!r} stands for two classes "
                f"({list(labels).index(label)} and {index}): each speaker "
                "must have one"
            )
        seen.add(label)


def _some(labels: Sequence[str]) -> str:
    """Names the first three labels and the number of all."""
    return f"{', '.join(map(repr, labels[:3]))} … ({len(labels)} in all)"
