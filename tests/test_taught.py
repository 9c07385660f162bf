"""Terms that need the labels and the progress get them of the Brain."""

import pytest
import torch
from test_brain import SPEAKERS, FakeTeacher, make_batch, make_brain, step

from speechbrain_kd.losses import (
    ConfusionTriage,
    DecoupledLogits,
    DistillationObjective,
    StandardisedLogits,
)


def test_label_terms_in_a_step():
    terms = {
        "standardised": StandardisedLogits(),
        "decoupled": DecoupledLogits(),
        "triage": ConfusionTriage(start_epoch=0.0, end_epoch=1.0),
    }
    weights = {"classification": 0.0} | dict.fromkeys(terms, 1.0)
    brain = make_brain(
        # The teacher's classes are in another order.
        teacher=FakeTeacher(labels=SPEAKERS[::-1]),
        distillation=DistillationObjective(terms, weights),
    )
    batch = make_batch()
    brain.step, brain.steps_per_epoch = 2, 2
    predictions, loss = step(brain, batch)
    assert brain.progress == 0.5
    assert terms["triage"].share == pytest.approx(0.05**0.5)
    student = predictions.logits.squeeze(1)
    teacher = predictions.teacher["logits"].flip(1)
    labels = batch.spk_id_encoded.data.squeeze(1)
    expected = terms["standardised"](student, teacher)
    for name in ("decoupled", "triage"):
        expected = expected + terms[name](student, teacher, labels)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)
    loss.backward()
    assert brain.hparams.teacher.weight.grad is None
    grads = [p.grad for p in brain.modules.embedding_model.parameters()]
    assert any(grad.abs().sum() > 0 for grad in grads)
