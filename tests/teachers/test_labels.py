"""Classes are matched by speaker name."""

import pytest
import torch

from speechbrain_kd.teachers import align_classes


def test_order_of_the_student():
    teacher, student = align_classes(["a", "b", "c", "d"], ["d", "x", "b"])
    assert teacher.tolist() == [3, 1]
    assert student.tolist() == [0, 2]
    assert teacher.dtype == student.dtype == torch.int64


def test_none_shared():
    with pytest.raises(ValueError) as info:
        align_classes(["a", "b", "c", "d"], ["w", "x"])
    message = str(info.value)
    assert "share no speaker" in message
    assert "'a', 'b', 'c' … (4 in all)" in message
    assert "'w', 'x' … (2 in all)" in message
    assert "PrototypeTeacher" in message


def test_duplicates():
    with pytest.raises(ValueError, match="teacher's label 'b' .*1 and 2"):
        align_classes(["a", "b", "b"], ["a"])
    with pytest.raises(ValueError, match="student's label 'a' .*0 and 1"):
        align_classes(["a", "b"], ["a", "a"])


def test_no_labels():
    with pytest.raises(ValueError, match="teacher has no class labels"):
        align_classes(None, ["a"])
