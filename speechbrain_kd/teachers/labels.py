"""Which class of the teacher is which class of the student, by speaker."""

from collections.abc import Sequence

import torch


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
            "matched to the student's speakers: remove the label-level terms "
            "from the distillation, or use a teacher with a label encoder"
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
            f"{_some(teacher_labels)}, the student {_some(student_labels)}. "
            "Remove the label-level terms from the distillation (embedding-"
            "level terms need no shared speakers)"
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
