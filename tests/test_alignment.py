"""Label-level targets of a teacher that knows other speakers, or more."""

import math
import random

import pytest
import speechbrain
import torch
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.brain import DistillationBrain
from speechbrain_kd.data.pipeline import collate
from speechbrain_kd.experiment_keys import DEFAULTS
from speechbrain_kd.losses import (
    CosineEmbedding,
    DistillationObjective,
    PosteriorKL,
)
from speechbrain_kd.teachers.base import Teacher

DIM, STRANGERS, SHARED = 6, 180, 120
OURS = [f"id{number:05d}" for number in range(SHARED)]


class Linear(Teacher):
    """300 classes, of which 120 are the student's; any order."""

    def __init__(self, order, cosine_logits=True):
        labels = OURS + [f"stranger{n}" for n in range(STRANGERS)]
        labels = [labels[place] for place in order]
        super().__init__(
            "linear", DIM, labels=labels, cosine_logits=cosine_logits
        )
        draw = torch.Generator().manual_seed(3)
        rows = torch.randn(SHARED + STRANGERS, DIM, generator=draw)
        self.rows = torch.nn.Parameter(
            torch.nn.functional.normalize(rows[order])
        )
        self.freeze()

    def encode(self, wavs, lens):
        return wavs[:, :DIM]

    def classify(self, embeddings):
        return torch.nn.functional.normalize(embeddings) @ self.rows.T


class Pooled(torch.nn.Module):
    """A linear layer, pooled over frames."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(24, DIM)

    def forward(self, feats, lengths=None):
        return self.linear(feats).mean(dim=1, keepdim=True)


def orders():
    """The teacher's classes, and the same shuffled twice."""
    places = list(range(SHARED + STRANGERS))
    shuffled = [list(places), list(places)]
    for seed, one in enumerate(shuffled):
        random.Random(seed).shuffle(one)
    return shuffled


def make_brain(teacher, classes=SHARED, terms=None):
    """A Brain of a linear student."""
    torch.manual_seed(1)
    modules = {
        "compute_features": Fbank(n_mels=24),
        "mean_var_norm": InputNormalization(
            norm_type="sentence", std_norm=False
        ),
        "embedding_model": Pooled(),
        "classifier": Classifier(DIM, out_neurons=classes),
    }
    terms = terms or {
        "posteriors": PosteriorKL(),
        "embedding": CosineEmbedding(),
    }
    hparams = DEFAULTS | modules
    hparams |= {
        "modules": modules,
        "opt_class": lambda given: torch.optim.Adam(given, lr=0.01),
        "teacher": teacher,
        "distillation": DistillationObjective(
            terms, {"classification": 0.0} | dict.fromkeys(terms, 1.0)
        ),
    }
    options = {"device": "cpu", "noprogressbar": True}
    brain = DistillationBrain(hparams, options, speakers=OURS)
    brain.init_optimizers()
    brain.epoch, brain.step = 1, 1
    return brain


def batch(labels):
    """Noise of these classes."""
    draw = torch.Generator().manual_seed(sum(labels))
    return collate(
        [
            {
                "id": f"{row}",
                "sig": torch.randn(4000, generator=draw),
                "spk_id_encoded": torch.tensor([label]),
            }
            for row, label in enumerate(labels)
        ]
    )


def distil(brain, labels):
    """Logits of student and teacher, and the terms, of a batch."""
    made = batch(labels)
    predictions = brain.compute_forward(made, speechbrain.Stage.TRAIN)
    terms = brain._distil(predictions, made.spk_id_encoded.data)
    return predictions, terms


def train(teacher, steps=20):
    """The losses of a short training."""
    brain = make_brain(teacher)
    values = []
    for step in range(steps):
        _, terms = distil(brain, [step, step + 1, step + 60, step + 90])
        loss = sum(terms.values())
        brain.optimizer.zero_grad()
        loss.backward()
        brain.optimizer.step()
        values.append(loss.item())
    return values


def by_hand(student, teacher, named, temperature=2.0):
    """KL over the shared speakers, by name and one utterance at a time."""
    total = 0.0
    for ours, theirs in zip(student.tolist(), teacher.tolist(), strict=True):
        by_name = dict(zip(named, theirs, strict=True))
        wanted = softmax([30 * by_name[name] / temperature for name in OURS])
        found = softmax([30 * value / temperature for value in ours])
        total += sum(
            p * (math.log(p) - math.log(q))
            for p, q in zip(wanted, found, strict=True)
        )
    return temperature**2 * total / len(student)


def softmax(values):
    """Shares that sum to one."""
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def test_targets_are_those_of_a_hand_computation():
    teacher = Linear(orders()[0])
    predictions, terms = distil(make_brain(teacher), [0, 7, 119, 50])
    logits = predictions.teacher["logits"]
    assert logits.shape == (4, SHARED + STRANGERS)
    expected = by_hand(predictions.logits.squeeze(1), logits, teacher.labels)
    assert expected > 0.1
    assert terms["posteriors"].item() == pytest.approx(expected, rel=1e-4)


def test_shuffled_classes_train_alike():
    one, other = (train(Linear(order)) for order in orders())
    assert one == pytest.approx(other, abs=1e-6)
    assert one[-1] != pytest.approx(one[0], rel=1e-3)


def test_pseudo_speakers_have_embedding_targets_alone():
    """Classes beyond the speakers, as speed perturbation makes them."""
    brain = make_brain(Linear(orders()[0]), classes=3 * SHARED)
    pseudo = [SHARED + 3, 2 * SHARED + 3]
    _, mixed = distil(brain, [3, 4, *pseudo])
    _, none = distil(brain, pseudo)
    assert none["posteriors"].item() == 0 and none["embedding"].item() > 0
    objective, made = brain.hparams.distillation, batch([3, 4, *pseudo])
    everything = brain.compute_forward(made, speechbrain.Stage.TRAIN)
    ours, theirs = everything.logits.squeeze(1), everything.teacher["logits"]
    shared = objective.shared_classes
    expected = objective.terms["posteriors"](
        ours[:2, shared.student_index], theirs[:2, shared.teacher_index]
    )
    assert torch.equal(mixed["posteriors"], expected)


@pytest.mark.parametrize("cosines, scale", [(True, 30.0), (False, 1.0)])
def test_the_teachers_scale_follows_its_kind(cosines, scale):
    terms = {"follows": PosteriorKL(), "given": PosteriorKL(teacher_scale=7)}
    brain = make_brain(Linear(orders()[0], cosines), terms=terms)
    found = brain.hparams.distillation.terms
    assert found["follows"].teacher_scale == scale
    assert found["given"].teacher_scale == 7


def test_strangers_are_pointed_to_prototypes():
    teacher = Linear(orders()[0])
    teacher.labels = [f"x{name}" for name in teacher.labels]
    with pytest.raises(ValueError, match="no speaker.*PrototypeTeacher"):
        make_brain(teacher)
    teacher.labels = None
    with pytest.raises(ValueError, match="classifier.*PrototypeTeacher"):
        make_brain(teacher)
