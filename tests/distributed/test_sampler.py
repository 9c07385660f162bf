"""One order for any number of ranks; each utterance of an epoch once."""

import pytest
import torch
from speechbrain.dataio.sampler import ReproducibleRandomSampler
from torch.utils.data import DataLoader

from speechbrain_kd.distributed import GlobalBatchSampler


def samplers(size, batch_size, world, **settings):
    return [
        GlobalBatchSampler(size, batch_size, rank=rank, world=world, **settings)
        for rank in range(world)
    ]


def batches(ranks):
    """The global batches, and that no rank has more of them."""
    each = [list(sampler) for sampler in ranks]
    return [sum(parts, []) for parts in zip(*each, strict=True)]


@pytest.mark.parametrize("epoch", [0, 7])
def test_the_order_is_speechbrains(epoch):
    theirs = ReproducibleRandomSampler(range(23), seed=5, epoch=epoch)
    ours = GlobalBatchSampler(23, 4, seed=5, drop_last=False)
    ours.set_epoch(epoch)
    assert sum(ours, []) == list(theirs)
    assert list(map(len, ours)) == [4, 4, 4, 4, 4, 3]


def test_the_default_seed_is_speechbrains():
    theirs = ReproducibleRandomSampler(range(9))
    assert sum(GlobalBatchSampler(9, 3), []) == list(theirs)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_ranks_share_the_batches_of_one_process(world, shuffle):
    one = list(GlobalBatchSampler(50, 8, shuffle=shuffle))
    ranks = samplers(50, 8 // world, world, shuffle=shuffle)
    assert batches(ranks) == one
    assert len(ranks[0]) == len(one) == 6
    assert all(len(part) == 8 // world for part in ranks[-1])
    assert (one[0] == list(range(8))) is not shuffle


@pytest.mark.parametrize(
    ("size", "sizes"), [(19, [[4, 4], [4, 4], [2, 1]]), (17, [[4, 4], [4, 4]])]
)
def test_an_incomplete_batch_is_divided(size, sizes):
    ranks = samplers(size, 4, 2, drop_last=False)
    assert [list(map(len, rank)) for rank in ranks] == list(
        map(list, zip(*sizes))
    )
    assert len(ranks[0]) == len(sizes)


def test_the_only_batch_is_kept():
    ranks = samplers(5, 4, 2, drop_last=True)
    assert sorted(batches(ranks)[0]) == list(range(5))


def test_what_cannot_be():
    with pytest.raises(ValueError, match="1 training utterances for 2 ranks"):
        GlobalBatchSampler(1, 4, world=2)
    with pytest.raises(ValueError, match="batch_size 0"):
        GlobalBatchSampler(9, 0)


def saved_after(tmp_path, steps, epoch=3, batch_size=4, world=2):
    """A state file, and what was used before it."""
    ranks = samplers(48, batch_size, world)
    for rank in ranks:
        rank.set_epoch(epoch)
    used = batches(ranks)[:steps]
    ranks[0].taken(steps)
    ranks[0].save(tmp_path / "state")
    return tmp_path / "state", sum(used, [])


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 8])
def test_resumed_by_other_ranks(tmp_path, world, batch_size):
    state, used = saved_after(tmp_path, steps=3)
    assert len(used) == 24
    ranks = samplers(48, batch_size, world)
    for rank in ranks:
        rank.load(state, end_of_epoch=False)
        assert rank.resumed
        rank.set_epoch(3)
    rest = batches(ranks)
    assert sorted(used + sum(rest, [])) == list(range(48))
    before = ranks[0].steps_before
    assert before + len(rest) == len(ranks[0]) == 48 // (batch_size * world)
    assert before == (24 // (batch_size * world))
    # And once more, after a step.
    ranks[0].taken(before + 1)
    ranks[0].save(tmp_path / "later")
    again = GlobalBatchSampler(48, batch_size)
    again.load(tmp_path / "later", end_of_epoch=False)
    again.set_epoch(3)
    seen = used + rest[0] + sum(again, [])
    assert sorted(seen) == list(range(48))


def test_the_same_batches_drop_the_same(tmp_path):
    ranks = samplers(50, 4, 2)
    whole = batches(ranks)
    ranks[0].taken(2)
    ranks[0].save(tmp_path / "state")
    for rank in ranks:
        rank.load(tmp_path / "state", end_of_epoch=False)
        rank.set_epoch(0)
    assert batches(ranks) == whole[2:]


def test_the_next_epoch_is_whole(tmp_path):
    state, _ = saved_after(tmp_path, steps=3)
    sampler = GlobalBatchSampler(48, 8)
    sampler.load(state, end_of_epoch=False)
    sampler.set_epoch(3)
    assert len(list(sampler)) == 3
    sampler.set_epoch(4)
    assert len(list(sampler)) == 6 and sampler.steps_before == 0
    sampler.taken(1)
    assert sampler.consumed == 8


def test_a_whole_epoch_leaves_nothing_to_skip(tmp_path):
    state, _ = saved_after(tmp_path, steps=6)
    sampler = GlobalBatchSampler(48, 8)
    sampler.load(state, end_of_epoch=True)
    sampler.set_epoch(4)
    assert len(list(sampler)) == 6


@pytest.mark.parametrize(
    ("other", "message"), [({"size": 47}, "size 48"), ({"seed": 2}, "seed")]
)
def test_another_epoch_is_refused(tmp_path, other, message):
    state, _ = saved_after(tmp_path, steps=1)
    sampler = GlobalBatchSampler(**{"size": 48, "batch_size": 8} | other)
    with pytest.raises(ValueError, match=message):
        sampler.load(state, end_of_epoch=False)


def test_what_workers_have_read_ahead_does_not_count(tmp_path):
    sampler = GlobalBatchSampler(48, 4)
    sampler.set_epoch(1)
    loader = DataLoader(torch.arange(48), batch_sampler=sampler, num_workers=1)
    stream = iter(loader)
    used = [next(stream).tolist() for _ in range(2)]
    sampler.taken(2)
    sampler.save(tmp_path / "state")
    again = GlobalBatchSampler(48, 4)
    again.load(tmp_path / "state", end_of_epoch=False)
    again.set_epoch(1)
    assert sorted(sum(used, []) + sum(again, [])) == list(range(48))


def test_a_million_utterances_are_not_a_list():
    import tracemalloc

    sampler = GlobalBatchSampler(1_000_000, 256)
    stream = iter(sampler)
    tracemalloc.start()
    try:
        next(stream)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
