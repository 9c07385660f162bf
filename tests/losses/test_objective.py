"""The objective: weights, ramps, projector, shared classes."""

import pytest
import torch

from speechbrain_kd.losses import (
    CosineEmbedding,
    DistillationObjective,
    PosteriorKL,
)


def objective(**arguments):
    return DistillationObjective(
        terms={"posteriors": PosteriorKL(), "embedding": CosineEmbedding()},
        weights={"classification": 1.0, "posteriors": 2.0, "embedding": 10.0},
        **arguments,
    )


@pytest.fixture
def outputs():
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator)

    student = {"embeddings": random(4, 6), "logits": random(4, 5)}
    teacher = {"embeddings": random(4, 6), "logits": random(4, 5)}
    return student, teacher


def test_terms_by_name(outputs):
    losses = objective()(*outputs)
    assert set(losses) == {"posteriors", "embedding"}
    student, teacher = outputs
    assert losses["embedding"] == CosineEmbedding()(
        student["embeddings"], teacher["embeddings"]
    )
    assert losses["posteriors"] == PosteriorKL()(
        student["logits"], teacher["logits"]
    )


def test_names_must_agree():
    with pytest.raises(ValueError, match="got.*'classification', 'typo'"):
        DistillationObjective(
            terms={"embedding": CosineEmbedding()},
            weights={"classification": 1.0, "typo": 1.0},
        )
    with pytest.raises(ValueError, match="ramps name.*'typo'"):
        objective(ramps={"typo": [0, 1]})


def test_ramps_rise_and_fall():
    ramped = objective(
        warmup_epochs=4, ramps={"posteriors": [2, 4], "classification": [6, 2]}
    )
    rising = [ramped.weight("posteriors", epoch) for epoch in (0, 2, 3, 4, 5)]
    assert rising == [0, 0, 1, 2, 2]
    falling = [ramped.weight("classification", e) for e in (0, 2, 4, 6, 7)]
    assert falling == [1, 1, 0.5, 0, 0]
    assert ramped.weight("embedding", 1) == 2.5
    assert objective().weight("embedding", 0) == 10.0


def test_projector_only_between_differing_dimensions(outputs):
    same = objective()
    same.project(6, 6)
    assert not list(same.parameters())
    differing = objective()
    differing.project(3, 6)
    (weight,) = differing.parameters()
    assert weight.shape == (6, 3)
    student, teacher = outputs
    student["embeddings"] = student["embeddings"][:, :3]
    differing(student, teacher)["embedding"].backward()
    assert weight.grad.abs().sum() > 0


def test_no_projector_without_an_embedding_term():
    alone = DistillationObjective(
        {"posteriors": PosteriorKL()}, {"classification": 1, "posteriors": 1}
    )
    alone.project(3, 6)
    assert not list(alone.parameters())


def test_shared_classes_are_compared_by_name(outputs):
    student, teacher = outputs
    # The teacher's classes in another order, with a stranger in front.
    order = [3, 0, 4]
    teacher["logits"] = torch.cat(
        [torch.full((4, 1), 99.0), student["logits"][:, order]], dim=1
    )
    aligned = objective()
    aligned.align(torch.tensor(order), torch.tensor([1, 2, 3]))
    losses = aligned(student, teacher, torch.tensor([3, 0, 4, 0]))
    assert losses["posteriors"].item() == pytest.approx(0, abs=1e-5)


def test_utterances_of_unknown_speakers_have_no_label_target(outputs):
    student, teacher = outputs
    aligned = objective()
    aligned.align(torch.tensor([0, 1]), torch.tensor([0, 1]))
    labels = torch.tensor([0, 4, 1, 4])
    known = [0, 2]
    expected = PosteriorKL()(
        student["logits"][known, :2], teacher["logits"][known, :2]
    )
    assert aligned(student, teacher, labels)["posteriors"] == expected
    nobody = aligned(student, teacher, torch.full((4,), 4))
    assert nobody["posteriors"].item() == 0
