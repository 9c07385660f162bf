"""The teacher's memory: asked once, saved and restored."""

import torch

from speechbrain_kd.teachers.memory import TeacherMemory


def counting(asked):
    """A teacher whose embedding is the row's number; notes what it hears."""

    def ask(rows):
        asked.append(list(rows))
        return torch.tensor([[float(row), -1.0] for row in rows])

    return ask


def test_only_new_views_are_asked_for():
    memory, asked = TeacherMemory(), []
    first = memory.recall(["a", "b", "c"], counting(asked))
    assert first.tolist() == [[0, -1], [1, -1], [2, -1]]
    second = memory.recall(["c", "d", "a"], counting(asked))
    assert asked == [[0, 1, 2], [1]]
    assert second.tolist() == [[2, -1], [1, -1], [0, -1]]


def test_a_view_twice_in_a_batch():
    memory = TeacherMemory()
    both = memory.recall(["a", "a"], lambda rows: torch.ones(len(rows), 2))
    assert both.shape == (2, 2)


def test_saved_and_restored_bit_for_bit(tmp_path):
    memory = TeacherMemory()
    embeddings = torch.randn(3, 4)
    memory.recall(["a", "b", "c"], lambda rows: embeddings[rows])
    memory.save(tmp_path / "memory.ckpt")
    restored = TeacherMemory()
    restored.load(tmp_path / "memory.ckpt", end_of_epoch=False)
    again = restored.recall(["c", "a"], ask=None)
    assert torch.equal(again, embeddings[[2, 0]])


def test_an_empty_memory_is_saved_too(tmp_path):
    TeacherMemory().save(tmp_path / "memory.ckpt")
    restored = TeacherMemory()
    restored.load(tmp_path / "memory.ckpt", end_of_epoch=True)
    assert not restored.embeddings
