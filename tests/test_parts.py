"""The student hears a part; the teacher hears all of it."""

import pytest
import speechbrain as sb
import torch
from test_brain import FakeTeacher, make_batch, make_brain, objective, step

from speechbrain_kd.parts import StudentParts
from speechbrain_kd.schedules import LargeMarginStage


def drawn(parts, seconds=2.0, steps=200, lens=None):
    """Start and length, in samples, of the parts of many steps."""
    wavs = torch.arange(int(16000 * seconds)).float().expand(3, -1)
    found = []
    for at in range(steps):
        part, left = parts(wavs, lens, epoch=1 + at // 50, step=at % 50)
        assert torch.equal(part[0], part[2])
        assert torch.equal(part[0].diff(), torch.ones(part.shape[1] - 1))
        found.append((int(part[0, 0]), part.shape[1], left))
    return found


def test_lengths_and_places_vary_and_repeat():
    parts = StudentParts([0.5, 1.0], seed=4)
    found = drawn(parts)
    lengths = {length for _, length, _ in found}
    assert lengths == {800 * tenth * 2 for tenth in range(5, 11)}
    starts = [start for start, _, _ in found]
    assert min(starts) < 1600 and max(starts) > 32000 - 16000
    assert all(start + length <= 32000 for start, length, _ in found)
    assert found == drawn(StudentParts([0.5, 1.0], seed=4))
    assert found != drawn(StudentParts([0.5, 1.0], seed=5))


def test_longer_than_the_crop_is_all_of_it():
    found = drawn(StudentParts([3.0, 5.0], seed=1), steps=5)
    assert found == [(0, 32000, None)] * 5


def test_padding_stays_known():
    lens = torch.tensor([1.0, 0.5, 0.25])
    for start, length, left in drawn(
        StudentParts([0.3, 0.8], seed=1), steps=30, lens=lens
    ):
        spoken = (lens * 32000 - start).clamp(max=length)
        assert torch.allclose(left * length, spoken, atol=0.1)
        assert (left > 0).all()
        assert start + length <= 8000 or start == 0


@pytest.mark.parametrize("given", [[1.0], [2.0, 1.0], [0, 1], "1 s", 0.5])
def test_what_are_no_lengths(given):
    with pytest.raises(ValueError, match="student_len must be null or"):
        StudentParts(given, seed=1)


def test_the_teacher_hears_all(monkeypatch):
    teacher = FakeTeacher()
    brain = make_brain(
        teacher=teacher, distillation=objective(), student_len=[0.2, 0.2]
    )
    features = []
    brain.fast_features.register_forward_hook(
        lambda module, given, output: features.append(given[0])
    )
    batch = make_batch()
    _, loss = step(brain, batch)
    assert features[-1].shape == (4, 3200)
    assert torch.equal(teacher.heard[0], batch.sig.data)
    loss.backward()
    step(brain, batch, sb.Stage.VALID)
    assert features[-1].shape == (4, 8000)


def test_a_teacher_of_the_same_features_makes_its_own():
    shared = []

    class Sharing(FakeTeacher):
        def forward(self, wavs, lens=None, feats=None):
            shared.append(None if feats is None else feats.shape[1])
            return super().forward(wavs, lens)

    for length, expected in (([0.2, 0.2], None), ([0.5, 0.5], 51)):
        brain = make_brain(
            teacher=Sharing(), distillation=objective(), student_len=length
        )
        brain.shares_features = True
        step(brain, make_batch())
        assert shared[-1] == expected


def test_the_large_margin_stage_hears_all():
    brain = make_brain(student_len=[0.2, 0.2])
    brain.hparams.large_margin = LargeMarginStage(1, brain.hparams.compute_cost)
    features = []
    brain.fast_features.register_forward_hook(
        lambda module, given, output: features.append(given[0])
    )
    step(brain, make_batch())
    assert features[-1].shape == (4, 8000)
