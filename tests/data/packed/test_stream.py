"""Tar shards in sequence: each utterance once, in an order that is kept."""

import csv

import pytest
import torch
from torch.utils.data import DataLoader

from speechbrain_kd.data import load_audio, prepare_corpus
from speechbrain_kd.data.manifest import read_paths
from speechbrain_kd.data.packed.stream import TarStream


@pytest.fixture(scope="module")
def corpus(packs, tmp_path_factory):
    save = tmp_path_factory.mktemp("save")
    return prepare_corpus(packs["tar"], save, progressbar=False)


@pytest.fixture(scope="module")
def ids(corpus):
    with open(corpus.train_csv, newline="") as file:
        return [row["ID"] for row in csv.DictReader(file)]


def batches(stream, workers=0, batch_size=1):
    loader = DataLoader(
        stream,
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=lambda batch: [key for key, _ in batch],
    )
    return list(loader)


def order(stream, workers=0):
    return sum(batches(stream, workers), [])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ranks", [1, 2])
def test_every_training_utterance_once(packs, ids, ranks, workers):
    def epoch(number, seed=1):
        found = []
        for rank in range(ranks):
            stream = TarStream.of_pack(
                packs["tar"],
                ids,
                seed=seed,
                shuffle_buffer=8,
                rank=rank,
                world_size=ranks,
            )
            stream.set_epoch(number)
            found.append(order(stream, workers))
        return found

    first = epoch(1)
    assert all(first)
    seen = [key for part in first for key in part]
    assert sorted(seen) == sorted(ids)
    assert epoch(1) == first
    assert epoch(2) != first and epoch(1, seed=2) != first


def test_the_audio_is_the_utterance(packs, corpus, ids):
    files = read_paths(corpus.train_csv, corpus.data_root)
    for key, wav in TarStream.of_pack(packs["tar"], ids):
        expected = load_audio(files[key.replace("--", "/")])
        assert wav.dtype == torch.float32 and torch.equal(wav, expected)


@pytest.mark.parametrize("workers, batch_size", [(0, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("done", [1, 4, -2])
def test_going_on_in_the_middle(packs, ids, workers, batch_size, done):
    def make():
        stream = TarStream.of_pack(packs["tar"], ids, shuffle_buffer=8)
        stream.set_epoch(4)
        return stream

    whole = batches(make(), workers, batch_size)
    stream = make()
    stream.skip(sum(len(batch) for batch in whole[:done]), batch_size)
    assert batches(stream, workers, batch_size) == whole[done:]
    # The next epoch is whole again.
    stream.set_epoch(5)
    assert sorted(order(stream, workers)) == sorted(ids)


def test_what_is_skipped_is_not_decoded(packs, ids, monkeypatch):
    from speechbrain_kd.data.packed import stream as module

    decoded = []
    decode = module._decode
    monkeypatch.setattr(
        module, "_decode", lambda x: decoded.append(x) or decode(x)
    )
    stream = TarStream.of_pack(packs["tar"], ids)
    stream.skip(len(ids) - 3)
    assert len(list(stream)) == len(decoded) == 3


def test_workers_that_live_on_see_the_epoch(packs, ids):
    stream = TarStream.of_pack(packs["tar"], ids, shuffle_buffer=8)
    loader = DataLoader(
        stream, batch_size=None, num_workers=1, persistent_workers=True
    )
    epochs = []
    for epoch in (1, 2, 1):
        stream.set_epoch(epoch)
        epochs.append([key for key, _ in loader])
    assert epochs[0] == epochs[2] != epochs[1]


def test_commands_as_shards(packs, ids):
    shards = sorted(packs["tar"].glob("shard-*.tar"))
    stream = TarStream(
        [f"pipe:cat {shard}" for shard in shards], ids, shuffle_buffer=0
    )
    local = TarStream.of_pack(packs["tar"], ids, shuffle_buffer=0)
    assert order(stream) == order(local)
    stream.skip(5)
    assert order(stream) == order(local)[5:]
    with pytest.raises(OSError, match="exit 1"):
        list(TarStream([f"pipe:cat {shards[0]}; exit 1"], ids))
    with pytest.raises(OSError, match="exit 1"):  # long after its last byte
        late = "exec 1>&-; sleep 0.3; exit 1"
        list(TarStream([f"pipe:cat {shards[0]}; {late}"], ids))


def test_a_shard_cut_short(packs, ids, tmp_path):
    shard = sorted(packs["tar"].glob("shard-*.tar"))[0]
    whole = TarStream.of_pack(packs["tar"], ids)
    count = whole.counts[0]
    copy = tmp_path / "a.tar"
    copy.write_bytes(shard.read_bytes())
    assert len(list(TarStream([copy], ids, counts=[count]))) == count
    with pytest.raises(ValueError, match=f"expected {count + 1} utterances"):
        list(TarStream([copy], ids, counts=[count + 1]))
    copy.write_bytes(shard.read_bytes()[:60000])
    with pytest.raises(Exception, match="unexpected end of data|cut short"):
        list(TarStream([copy], ids, counts=[count]))


def test_bad_arguments(packs, ids, tmp_path):
    with pytest.raises(ValueError, match="a shard for each.*--shard-mb"):
        TarStream(["a.tar"], ids, rank=1, world_size=2)
    with pytest.raises(ValueError, match="counts: expected one for each"):
        TarStream(["a.tar"], ids, counts=[1, 2])
    for folder in (packs["int16"], tmp_path):
        with pytest.raises(ValueError, match="expected a folder of .* tar"):
            TarStream.of_pack(folder, ids)
    with pytest.raises(ValueError, match="found .*: prepare the data again"):
        TarStream.of_pack(packs["tar"], [*ids, "id9--a--1"])
