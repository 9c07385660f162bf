"""Utterances of label -1: no loss of labels, the same on one rank and two."""

import os

import torch
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

from speechbrain_kd.losses import (
    CosineEmbedding,
    DecoupledLogits,
    DistillationObjective,
    PosteriorKL,
    TeacherCentres,
)
from speechbrain_kd.losses.labelled import over_labelled

LABELS = torch.tensor([2, -1, -1, 0, 1, -1])


def cost():
    return LogSoftmaxWrapper(AdditiveAngularMargin(margin=0.2, scale=30))


def objective():
    """Terms of labels and of embeddings, of four classes that all know."""
    centres = TeacherCentres(centres="following")
    terms = {
        "posteriors": PosteriorKL(),
        "decoupled": DecoupledLogits(),
        "embedding": CosineEmbedding(),
        "centres": centres,
    }
    weights = dict.fromkeys(["classification", *terms], 1.0)
    built = DistillationObjective(terms, weights)
    built.align(torch.arange(4), torch.arange(4))
    built.shared_classes.some_unlabelled = True
    centres.learn(torch.eye(4, 5), torch.arange(4))
    return built


def losses_of(own):
    """Losses of a part of six utterances, the gradients, the centres."""
    draw = torch.Generator().manual_seed(6)
    logits, targets = (torch.rand(6, 4, generator=draw) for _ in range(2))
    rows, heard = (torch.randn(6, 5, generator=draw) for _ in range(2))
    logits.requires_grad_(), rows.requires_grad_()
    taught = objective()
    losses = taught(
        {"logits": logits[own], "embeddings": rows[own]},
        {"logits": targets[own], "embeddings": heard[own]},
        LABELS[own],
    )
    count = len(LABELS[own])
    losses["classification"] = over_labelled(
        cost(), logits[own, None], LABELS[own, None], torch.ones(count)
    )
    sum(losses.values()).backward()
    centres = {"centres_after": taught.terms["centres"].rows.clone()}
    losses = {name: loss.detach() for name, loss in losses.items()}
    return losses | {"a": logits.grad, "b": rows.grad} | centres


def rank(number, folder):
    """A rank of two: one has one labelled row of three, the other two."""
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(number)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=number, world_size=2
    )
    answer = losses_of(slice(3 * number, 3 * number + 3))
    torch.save(answer, f"{folder}/{number}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_two_ranks_equal_one(tmp_path):
    torch.multiprocessing.spawn(rank, (str(tmp_path),), nprocs=2)
    one, other = (torch.load(tmp_path / f"{number}.pt") for number in range(2))
    for name, value in losses_of(slice(None)).items():
        mean = (one[name] + other[name]) / 2
        torch.testing.assert_close(mean, value, rtol=1e-5, atol=1e-6)
    assert torch.equal(one["centres_after"], other["centres_after"])


def test_only_labelled_rows_count():
    taught, known = objective(), LABELS >= 0
    draw = torch.Generator().manual_seed(1)
    logits, targets = (torch.rand(6, 4, generator=draw) for _ in range(2))
    rows, heard = (torch.randn(6, 5, generator=draw) for _ in range(2))
    losses = taught(
        {"logits": logits, "embeddings": rows},
        {"logits": targets, "embeddings": heard},
        LABELS,
    )
    pair = logits[known], targets[known]
    assert losses["posteriors"] == PosteriorKL()(*pair)
    assert losses["decoupled"] == DecoupledLogits()(*pair, LABELS[known])
    assert losses["embedding"] == CosineEmbedding()(rows, heard)
    lens = torch.ones(6)
    got = over_labelled(cost(), logits[:, None], LABELS[:, None], lens)
    expected = cost()(logits[known, None], LABELS[known, None], lens[known])
    assert got == expected


def test_a_batch_without_labels_has_no_loss_but_a_gradient():
    logits = torch.rand(3, 1, 4, requires_grad=True)
    nobody = torch.full((3, 1), -1)
    loss = over_labelled(cost(), logits, nobody, torch.ones(3))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().sum() == 0
    rows = torch.randn(3, 5, requires_grad=True)
    heard = torch.randn(3, 5)
    losses = objective()(
        {"logits": logits[:, 0], "embeddings": rows},
        {"logits": torch.rand(3, 4), "embeddings": heard},
        nobody[:, 0],
    )
    assert losses["posteriors"] == losses["decoupled"] == 0
    assert losses["centres"] == 0
    assert losses["embedding"] == CosineEmbedding()(rows, heard)
