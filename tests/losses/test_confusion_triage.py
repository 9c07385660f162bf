"""Which speakers are in the confusion set, and when."""

import math

import pytest
import torch
from label_loops import BATCH, CLASSES, LABELS, cosines, groups, rows, softmax

from speechbrain_kd.losses import ConfusionTriage, DecoupledLogits


def triage(epoch, *arguments):
    term = ConfusionTriage(*arguments)
    term.on_progress(epoch)
    return term


@pytest.fixture
def pair():
    return cosines()


def chosen_by_loop(teacher, label, share):
    """Others from the most probable on, until the share is reached."""
    others = [k for k in range(CLASSES) if k != label]
    mass = dict(zip(others, softmax([teacher[k] for k in others]), strict=True))
    chosen, held = [], 0.0
    for k in sorted(others, key=mass.get, reverse=True):
        if held < share:
            chosen.append(k)
            held += mass[k]
    return chosen


@pytest.mark.parametrize("epoch", [0, 12, 25, 40, 60])
def test_triage_by_a_loop(pair, epoch):
    term = ConfusionTriage(8.0, 2.0, 0.7, 3.0, teacher_scale=6.0)
    term.on_progress(epoch)
    share = math.exp(math.log(0.05) * min(max(epoch - 10, 0) / 50, 1))
    expected, sizes = 0.0, []
    for student, teacher, label in rows(*pair):
        student, teacher = [4 * x for x in student], [3 * x for x in teacher]
        chosen = chosen_by_loop(teacher, label, share)
        sizes.append(len(chosen))
        masses, within = groups(student, teacher, label, chosen)
        expected += 2.0**2 * (0.7 * masses + 3.0 * within) / BATCH
    assert term(*pair, LABELS).item() == pytest.approx(expected, rel=1e-4)
    if epoch in (0, 60):
        assert sizes == [8 if epoch == 0 else 1] * BATCH


def test_triage_of_all_others_is_decoupled(pair):
    decoupled = DecoupledLogits(30.0, 4.0, 1.0, 8.0)
    expected = decoupled(*pair, LABELS)
    assert torch.allclose(triage(0)(*pair, LABELS), expected)
    assert not torch.allclose(triage(40)(*pair, LABELS), expected)


def test_triage_keeps_equals_together():
    teacher = torch.tensor([[0.0, 2.0, 1.0, 1.0, 0.0]])
    target = torch.tensor([[False, True, False, False, False]])
    chosen = triage(99).confusion_set(teacher, target)
    assert chosen.tolist() == [[False, False, True, True, False]]


def test_triage_learns_no_order_of_the_rest(pair):
    student, teacher = pair[0], pair[1].clone()
    before = triage(99)(student, teacher, LABELS)
    least = teacher.scatter(1, LABELS[:, None], 9.0).topk(3, largest=False)
    changed = teacher.scatter(1, least.indices.flip(1), least.values)
    assert not torch.equal(changed, teacher)
    after = triage(99)(student, changed, LABELS)
    assert torch.allclose(after, before, rtol=1e-5)


def test_a_share_that_falls_at_once():
    term = ConfusionTriage(start_epoch=3.0, end_epoch=3.0)
    shares = []
    for epoch in (2.9, 3.0, 3.1):
        term.on_progress(epoch)
        shares.append(term.share)
    assert shares == pytest.approx([1.0, 0.05, 0.05])
