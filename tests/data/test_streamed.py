"""Training data in sequence: the same items, each at most once an epoch."""

import logging
import sys

import numpy as np
import pytest
import torch
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.time_domain import DropFreq
from torch.utils.data import DataLoader

from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.packed.writer import pack_corpus
from speechbrain_kd.data.pipeline import (
    collate,
    make_dataset,
    make_label_encoder,
)
from speechbrain_kd.data.prepare import load_corpus, prepare_corpus
from speechbrain_kd.data.streamed import StreamedCrops, check_stream, tar_pack
from speechbrain_kd.data.views import Views
from speechbrain_kd.experiment_keys import DEFAULTS

pytest.importorskip("webdataset")

BATCH = 2


class SomeStore:
    """A store that holds what the teacher said of every other view."""

    dim = 3

    def read(self, utterance, view, crop_sum):
        if crop_sum % 2:
            return None
        return np.array([view, crop_sum % 1000, len(utterance)], np.float16)


@pytest.fixture(scope="module")
def save(pack, tmp_path_factory):
    save = tmp_path_factory.mktemp("save")
    prepare_corpus(pack, save, progressbar=False)
    return save


def random_access(save, crops=None, stores=None):
    corpus = load_corpus(save)
    encoder = make_label_encoder(corpus.speakers, save / "labels.txt")
    crops = crops or Crops(0.5, seed=1)
    return make_dataset(
        corpus.train_csv, corpus.data_root, crops, encoder, stores
    )


@pytest.fixture(scope="module")
def dataset(save):
    return random_access(save)


def stream(dataset, pack, batch_size=BATCH, workers=0, **options):
    options = {"seed": 1, "shuffle_buffer": 8} | options
    return StreamedCrops(dataset, pack, batch_size, workers, **options)


def loader(data):
    workers = data.workers if data.workers > 1 else 0
    return DataLoader(
        data, data.batch_size, num_workers=workers, collate_fn=collate
    )


def batches(data):
    return [batch.id for batch in loader(data)]


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert one["id"] == other["id"]
    for key in ("sig", "spk_id_encoded"):
        assert torch.equal(one[key], other[key])
    if "target" not in one:
        return
    assert torch.equal(one["target"], other["target"])
    for ours, theirs in zip(one["heard"], other["heard"], strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert ours[:3] == theirs[:3]
            assert (ours.wav is None) == (theirs.wav is None)
            assert ours.wav is None or torch.equal(ours.wav, theirs.wav)


@pytest.mark.parametrize("target", [None, "view", "clean"])
def test_items_are_those_of_random_access(save, pack, target):
    crops, stores = Crops(0.9, seed=3), None
    if target is not None:
        augment = Augmenter(
            concat_original=True,
            min_augmentations=1,
            max_augmentations=1,
            augmentations=[DropFreq()],
        )
        crops = Views(0.9, seed=3, augment=augment, target=target)
        stores = {crops.frames: SomeStore()}
    dataset = random_access(save, crops, stores)
    streamed = stream(dataset, pack)
    for epoch in (1, 2):
        crops.set_epoch(epoch)
        streamed.set_epoch(epoch)
        expected = {item["id"]: item for item in dataset}
        items = list(streamed)
        assert len(items) == len(expected) // BATCH * BATCH
        for item in items:
            assert_same(item, expected[item["id"]])


def test_a_crop_does_not_keep_the_whole_utterance(dataset, pack):
    item = next(iter(stream(dataset, pack)))
    assert item["sig"].untyped_storage().nbytes() == 4 * len(item["sig"])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("batch_size", [2, 3])
def test_each_at_most_once(dataset, pack, ranks, workers, batch_size):
    orders = []
    for epoch in (1, 2, 3):
        parts, lengths = [], []
        for rank in range(ranks):
            data = stream(
                *(dataset, pack, batch_size, workers),
                rank=rank,
                world_size=ranks,
            )
            data.set_epoch(epoch)
            lengths.append(len(loader(data)))
            parts.append(batches(data))
        assert [len(part) for part in parts] == lengths
        assert len(set(lengths)) == 1
        assert all(len(x) == batch_size for part in parts for x in part)
        seen = [key for part in parts for x in part for key in x]
        assert len(seen) == len(set(seen)) and set(seen) <= set(data.data.ids)
        if ranks == 1:
            tail = max(1, workers) * (batch_size - 1)
            assert len(data.data) - len(seen) <= tail
        orders.append(parts)
    assert orders[0] != orders[1]


def test_the_rank_that_has_least_drops_only_its_tail(dataset, pack):
    data = [
        stream(dataset, pack, 3, rank=rank, world_size=2) for rank in (0, 1)
    ]
    for one in data:
        one.set_epoch(1)
        one.stream.even = None
    had = [len(one) for one in data]
    for one in data:
        one.stream.even = 3
    assert len(data[0]) == len(data[1]) == min(had) // 3 * 3


@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize("done", [1, 4, -1])
def test_going_on(dataset, pack, workers, done, tmp_path):
    def make(rank=0):
        data = stream(dataset, pack, 2, workers, rank=rank, world_size=2)
        data.set_epoch(4)
        return data

    for rank in (0, 1):
        begun = make(rank)
        whole = batches(begun)
        steps = len(whole[:done])
        begun.save(tmp_path / "division")
        data = make(rank)
        data.load(tmp_path / "division", False)
        assert data.go_on(steps) == steps
        data.set_epoch(4)  # the loop does it once more
        assert len(data) == len(begun)
        assert batches(data) == whole[done:]
        data.set_epoch(5)
        begun.set_epoch(5)
        assert batches(data) == batches(begun)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"world_size": 2}, "{'ranks': 1}, which now is {'ranks': 2}"),
        ({"workers": 2}, "{'readers': 1}, which now is {'readers': 2}"),
        ({"batch_size": 4}, "{'batch_size': 2}, which now"),
        ({"seed": 2}, "{'seed': 1}, which now"),
        (None, "{'stream': False}, which now"),
    ],
)
def test_divided_otherwise_an_epoch_is_begun_anew(
    dataset, pack, change, said, tmp_path, caplog
):
    stream(dataset, pack).save(tmp_path / "division")
    data = stream(dataset, pack, **(change or {}))
    data.set_epoch(2)
    if change is not None:  # else the run was begun without a stream
        data.load(tmp_path / "division", False)
    with caplog.at_level(logging.WARNING):
        assert data.go_on(5) == 0
    assert said in caplog.text and "begun anew" in caplog.text
    assert len(batches(data)) == len(loader(data))


def test_what_does_not_fit(dataset, pack, save, tiny_corpus, tmp_path):
    shards = len(list(pack.glob("*.tar")))
    with pytest.raises(ValueError, match=f"got {shards} shards.*--shard-mb"):
        stream(dataset, pack, 1, workers=shards // 2 + 1, world_size=2)
    with pytest.raises(ValueError, match="batch_size 40 need 40 .* 24"):
        stream(dataset, pack, 40)
    for folder in (tiny_corpus, tmp_path, "minivox", [pack, tiny_corpus]):
        with pytest.raises(ValueError, match="data_folder is .*pack.*tar"):
            tar_pack(folder)
    pack_corpus(tiny_corpus, tmp_path / "i16", processes=1, progressbar=False)
    with pytest.raises(ValueError, match="i16 OUTPUT --format tar"):
        tar_pack(tmp_path / "i16")
    text = load_corpus(save).train_csv.read_text()
    row = text.splitlines()[1]
    stop = row.split(",")[-2]
    changed = row.replace(f",{stop},", f",{int(stop) + 1},")
    copy = tmp_path / "save"
    prepare_corpus(pack, copy, progressbar=False)
    load_corpus(copy).train_csv.write_text(text.replace(row, changed))
    with pytest.raises(ValueError, match=f"{int(stop) + 1} samples of the ma"):
        list(stream(random_access(copy), pack, 1))


def test_values_that_do_not_fit(pack, monkeypatch):
    values = DEFAULTS | {"stream": True, "data_folder": str(pack)}
    check_stream(values)
    check_stream(DEFAULTS | {"data_folder": "minivox"})
    whole = {"teacher": "some", "teacher_target": "whole"}
    with pytest.raises(ValueError, match="whole .* --stream=False"):
        check_stream(values | whole)
    check_stream(values | whole | {"stream": False})
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(ImportError, match=r"speechbrain-kd\[tar\]"):
        check_stream(values)
