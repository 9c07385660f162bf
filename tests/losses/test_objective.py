"""The objective: weights, ramps, projector, shared classes."""

import os

import pytest
import torch

from speechbrain_kd.losses import (
    ConfusionTriage,
    CosineEmbedding,
    DecoupledLogits,
    DistillationObjective,
    PosteriorKL,
)
from speechbrain_kd.losses.term import DistillationTerm


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


def test_a_projector_also_between_equal_dimensions(outputs):
    always = objective(projector="always")
    always.project(6, 6)
    (weight,) = always.parameters()
    assert weight.shape == (6, 6)
    student, teacher = outputs
    expected = CosineEmbedding()(
        student["embeddings"] @ weight.T, teacher["embeddings"]
    )
    torch.testing.assert_close(always(student, teacher)["embedding"], expected)
    with pytest.raises(ValueError, match="needed, always; got 'never'"):
        objective(projector="never")


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


class SameSpeaker(DistillationTerm):
    """Toy: how near utterances of one speaker are, with their labels."""

    needs_labels = True
    across_utterances = True

    def distance(self, student, teacher, labels):
        same = labels[:, None] == labels
        return (torch.cdist(student, teacher) * same).sum()


def of_labels():
    """Terms that need labels, of logits and of embeddings."""
    terms = {
        "decoupled": DecoupledLogits(),
        "triage": ConfusionTriage(first_share=0.5),
        "speakers": SameSpeaker(),
    }
    return DistillationObjective(
        terms, dict.fromkeys({"classification", *terms}, 1.0)
    )


def test_labels_are_columns_of_the_shared_logits(outputs):
    student, teacher = outputs
    labels = torch.tensor([3, 1, 0, 3])
    aligned = of_labels()
    aligned.align(torch.tensor([3, 0]), torch.tensor([1, 4]))
    known = [0, 2, 3]
    pair = (
        student["logits"][known][:, [3, 0]],
        teacher["logits"][known][:, [1, 4]],
    )
    columns = torch.tensor([0, 1, 0])
    losses = aligned(student, teacher, labels)
    for name in ("decoupled", "triage"):
        assert losses[name] == aligned.terms[name](*pair, columns)
    nobody = aligned(student, teacher, torch.full((4,), 2))
    assert nobody["decoupled"] == nobody["triage"] == 0


def test_labels_of_shuffled_classes_and_without_alignment(outputs):
    student, teacher = outputs
    labels, order = torch.tensor([3, 1, 0, 3]), torch.tensor([4, 2, 0, 1, 3])
    before = of_labels()(student, teacher, labels)
    aligned = of_labels()
    aligned.align(order, torch.arange(5))
    shuffled = {**teacher, "logits": teacher["logits"][:, order]}
    after = aligned(student, shuffled, labels)
    for name, loss in before.items():
        assert torch.allclose(after[name], loss, rtol=1e-5)


def test_terms_of_embeddings_get_the_students_classes(outputs):
    student, teacher = outputs
    losses = of_labels()(student, teacher, torch.tensor([3, 1, 0, 3]))
    distances = torch.cdist(student["embeddings"], teacher["embeddings"])
    expected = distances.trace() + distances[0, 3] + distances[3, 0]
    assert torch.allclose(losses["speakers"], expected)


def test_missing_labels_are_named(outputs):
    with pytest.raises(ValueError, match="DecoupledLogits needs the labels"):
        of_labels()(*outputs)


def test_terms_follow_the_progress():
    followed = of_labels()
    followed.on_progress(99.0)
    assert followed.terms["triage"].share == pytest.approx(0.05)
    assert "triage" not in str(list(followed.state_dict()))


def two_ranks(rank, folder):
    """Terms of labels on a rank, with other numbers of known speakers."""
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(rank)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    torch.save(losses_of(slice(3 * rank, 3 * rank + 3)), f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def losses_of(own):
    """Losses of a part of six utterances, and the gradients of their sum."""
    draw = torch.Generator().manual_seed(6)
    logits, targets, embeddings = (
        torch.randn(6, 4, generator=draw) for _ in range(3)
    )
    labels = torch.tensor([0, 3, 3, 1, 0, 1])
    logits.requires_grad_(), embeddings.requires_grad_()
    taught = of_labels()
    taught.align(torch.tensor([0, 1]), torch.tensor([1, 0]))
    taught.on_progress(20.0)
    losses = taught(
        {"logits": logits[own], "embeddings": embeddings[own]},
        {"logits": targets[own], "embeddings": targets[own]},
        labels[own],
    )
    sum(losses.values()).backward()
    losses = {name: loss.detach() for name, loss in losses.items()}
    return losses | {"a": logits.grad, "b": embeddings.grad}


def test_two_ranks_equal_one(tmp_path):
    torch.multiprocessing.spawn(two_ranks, (str(tmp_path),), nprocs=2)
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for name, expected in losses_of(slice(None)).items():
        mean = (both[0][name] + both[1][name]) / 2
        torch.testing.assert_close(mean, expected)
