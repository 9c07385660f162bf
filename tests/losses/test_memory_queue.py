"""The queue of the teacher's embeddings: order, resume, ranks."""

import pytest
import relation_ranks
import torch
from apart import on_ranks
from torch.nn.functional import normalize

from speechbrain_kd.losses import ContrastiveQueue, QueueSimilarity
from speechbrain_kd.losses.memory_queue import MemoryQueue


def batches(count, rows=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, rows, 4, generator=generator)


def test_the_newest_come_first_and_the_oldest_leave():
    queue, given = MemoryQueue(size=7), batches(5)
    expected = torch.zeros(0, 4)
    for batch in given:
        known = queue(batch)
        unit = normalize(batch, dim=-1)
        torch.testing.assert_close(known, torch.cat([unit, expected]))
        expected = torch.cat([unit, expected])[:7]
        assert torch.equal(queue.rows, expected)
        # A view would save all that it is a part of.
        assert queue.rows.untyped_storage().nbytes() == 4 * expected.numel()
    before = queue.rows
    queue.eval()(batches(1)[0])
    assert queue.rows is before
    small = MemoryQueue(size=2)
    small(given[0])
    assert torch.equal(small.rows, normalize(given[0], dim=-1)[:2])


@pytest.mark.parametrize("kind", [QueueSimilarity, ContrastiveQueue])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_resumed_goes_on_as_uninterrupted(kind, steps, tmp_path):
    whole, rest = kind(size=8), kind(size=8)
    given = batches(7)
    for batch in given[:steps]:
        whole(batch + 1, batch)
    torch.save(whole.state_dict(), tmp_path / "state")
    state = torch.load(tmp_path / "state", weights_only=True)
    rest.load_state_dict(state, strict=True)
    for batch in given[steps:]:
        assert torch.equal(rest(batch + 1, batch), whole(batch + 1, batch))
    # Back from a fuller queue to that of the checkpoint.
    if steps:
        rest.load_state_dict(state, strict=True)
        assert torch.equal(rest.queue.rows, state["queue.rows"])


def test_two_ranks_learn_as_one(tmp_path):
    """Losses and gradients of three steps, by every relation; the queues."""
    alone = relation_ranks.steps()
    assert alone["queues"]["neighbours"].shape == (9, 5)
    for rank in on_ranks(relation_ranks.__file__, tmp_path):
        for name, losses in alone["losses"].items():
            assert rank["losses"][name] == pytest.approx(losses, rel=1e-4)
        torch.testing.assert_close(rank["grads"], alone["grads"])
        torch.testing.assert_close(rank["queues"], alone["queues"])
