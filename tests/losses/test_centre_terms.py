"""What holds of every term on the voices' centres."""

import copy

import pytest
import torch
from centres_by_hand import LABELS, embeddings, made

from speechbrain_kd.losses import CentreCosines, CentrePosteriors

pytestmark = pytest.mark.parametrize("kind", [CentreCosines, CentrePosteriors])


def test_what_all_embeddings_share_is_taken_off(kind):
    term, teacher = made(kind, centre=True), embeddings(5, 6)
    unit = torch.nn.functional.normalize(teacher, dim=1)
    # Each its own voice, so that the mean is that of the rows.
    labels = torch.tensor([0, 1, 2, -1, -2])
    least = 1e-12 if kind is CentreCosines else 1e-6
    assert term(unit - unit.mean(dim=0), teacher, labels).abs() < least
    assert term(unit, teacher, labels) > 1e-4


def test_gradient_to_the_student_alone(kind):
    student = embeddings(5, 6).requires_grad_()
    teacher = embeddings(5, 6, seed=1).requires_grad_()
    made(kind)(student, teacher, LABELS).backward()
    assert student.grad.norm(dim=1).min() > 0 and teacher.grad is None


def test_nothing_is_met_in_eval_mode(kind):
    term = made(kind)
    term(embeddings(5, 6), embeddings(5, 6, seed=1), LABELS)
    before = copy.deepcopy(term.state_dict())
    term.eval()(embeddings(5, 6), embeddings(5, 6, seed=2), LABELS)
    after = term.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_centres_are_saved_and_resumed(kind):
    old, new = made(kind), made(kind)
    old(embeddings(5, 6), embeddings(5, 6, seed=1), LABELS)
    new.load_state_dict(old.state_dict())
    batch = embeddings(5, 6, seed=2), embeddings(5, 6, seed=3), LABELS
    assert torch.equal(old(*batch), new(*batch))
    assert torch.equal(old.centres.sums, new.centres.sums)


def test_too_many_unlabelled_utterances_have_no_centres(kind):
    term = made(kind, most_unlabelled=1)
    loss = term(embeddings(5, 6), embeddings(5, 6, seed=1), LABELS)
    assert term.centres.counts.tolist() == [1, 2, 0] and loss > 0


def test_labels_are_needed(kind):
    with pytest.raises(ValueError, match="needs the labels"):
        made(kind)(embeddings(5, 6), embeddings(5, 6))
