"""Terms balanced by their gradients at the embeddings."""

import os

import pytest
import torch
from test_unlabelled_rows import cost

from speechbrain_kd.losses import (
    CosineEmbedding,
    CosineGram,
    DistillationObjective,
)
from speechbrain_kd.losses.balance import EVERY, GradientBalance


def objective(**weights):
    terms = {"embedding": CosineEmbedding(), "gram": CosineGram()}
    given = {"classification": 1.0, "embedding": 2.0, "gram": 0.5} | weights
    return DistillationObjective(terms, given, balance="gradient_norm")


def losses_of(taught, own=slice(None)):
    """All losses of a part of six utterances, and their embeddings."""
    draw = torch.Generator().manual_seed(6)
    rows, heard, weight = (torch.randn(n, 5, generator=draw) for n in (6, 6, 3))
    rows = rows[own].requires_grad_()
    losses = taught({"embeddings": rows}, {"embeddings": heard[own]})
    unit, classes = (torch.nn.functional.normalize(x) for x in (rows, weight))
    labels = torch.tensor([[0], [1], [2], [0], [1], [2]])[own]
    logits = (unit @ classes.T)[:, None]
    losses["classification"] = cost()(logits, labels)
    return losses, rows


def pull(loss, rows):
    """Norm of the gradient of a loss."""
    return torch.autograd.grad(loss, rows, retain_graph=True)[0].norm()


def test_weights_are_ratios_of_gradients():
    taught = objective()
    assert taught.weight("gram", 1) == 0.5  # not measured yet
    losses, rows = losses_of(taught)
    taught.balance.measure(losses, rows)
    reference = pull(losses["classification"], rows)
    assert taught.weight("classification", 1) == 1.0
    for name, ratio in (("embedding", 2.0), ("gram", 0.5)):
        weighted = taught.weight(name, 1) * losses[name]
        torch.testing.assert_close(pull(weighted, rows), ratio * reference)


def test_a_running_mean():
    balance = GradientBalance(["term"])
    rows = torch.ones(1, 4, requires_grad=True)
    for size in (1.0, 11.0):
        given = {"classification": rows.sum(), "term": size * rows.sum()}
        balance.measure(given, rows)
    assert balance.factor("term").item() == pytest.approx(1 / 2)
    resumed = GradientBalance(["term"])
    resumed.load_state_dict(balance.state_dict())
    assert resumed.factor("term") == balance.factor("term")
    due = [step for step in range(1, 2 * EVERY + 2) if balance.due(step)]
    assert due == [1, EVERY + 1, 2 * EVERY + 1]


def test_what_pulls_at_nothing_is_left_as_it_is():
    balance = GradientBalance(["idle", "elsewhere"])
    rows = torch.ones(1, 4, requires_grad=True)
    other = torch.ones(1, requires_grad=True)
    losses = {
        "classification": rows.sum(),
        "idle": torch.zeros(()),
        "elsewhere": other.sum(),
    }
    balance.measure(losses, rows)
    assert balance.factor("idle") == balance.factor("elsewhere") == 1


def test_refusals():
    with pytest.raises(ValueError, match="balance must be null or gradient"):
        DistillationObjective({}, {"classification": 1}, balance="even")
    rows = torch.ones(1, 4, requires_grad=True)
    with pytest.raises(ValueError, match="compute_cost is null"):
        GradientBalance(["term"]).measure({"term": rows.sum()}, rows)


def two_ranks(rank, folder):
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(rank)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    taught = objective()
    losses, rows = losses_of(taught, slice(3 * rank, 3 * rank + 3))
    taught.balance.measure(losses, rows)
    torch.save(taught.balance.norms, f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_two_ranks_equal_one(tmp_path):
    torch.multiprocessing.spawn(two_ranks, (str(tmp_path),), nprocs=2)
    taught = objective()
    taught.balance.measure(*losses_of(taught))
    for rank in range(2):
        norms = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(norms, taught.balance.norms)
