"""Crops, the dataset and the classes."""

import pytest
import soundfile
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataloader import SaveableDataLoader

from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.pipeline import (
    collate,
    make_dataset,
    make_label_encoder,
)
from speechbrain_kd.data.prepare import prepare_corpus


def starts(crops, utterances=200, frames=48000):
    """Where the crops of several utterances begin."""
    return [crops.bounds(f"u{n}", frames)[0] for n in range(utterances)]


def test_crops_follow_from_seed_epoch_and_utterance():
    one, other = Crops(1.0, seed=1), Crops(1.0, seed=1)
    assert starts(one) == starts(other)
    assert starts(Crops(1.0, seed=2)) != starts(one)
    first = starts(one)
    one.set_epoch(2)
    assert starts(one) != first
    one.set_epoch(0)
    assert starts(one) == first


def test_crops_lie_anywhere_in_the_utterance():
    found = starts(Crops(1.0, seed=1), utterances=2000, frames=16003)
    assert set(found) == {0, 1, 2, 3}  # both ends included
    assert min(found.count(start) for start in range(4)) > 400


def test_crops_that_are_not_random_begin_at_the_beginning():
    crops = Crops(1.0, seed=1, random=False)
    assert starts(crops) == [0] * 200
    assert crops.bounds("u", 9000) == (0, 9000)


def test_views_come_in_turn():
    crops = Crops(1.0, seed=1, views=3)
    seen = []
    for epoch in range(1, 7):
        crops.set_epoch(epoch)
        seen.append((crops.number, tuple(starts(crops))))
    assert seen[:3] == seen[3:] and len(set(seen)) == 3
    assert [number for number, _ in seen[:3]] == [0, 1, 2]


@pytest.mark.parametrize("length", [0, -1.0, "long"])
def test_a_length_that_is_none(length):
    with pytest.raises(ValueError, match="must be positive seconds; got"):
        Crops(length, seed=1)


def test_a_cut_is_the_crop_and_a_short_one_is_repeated(tmp_path):
    wav = tmp_path / "a.wav"
    soundfile.write(wav, torch.rand(10000).numpy() - 0.5, 16000)
    whole = load_audio(wav)
    crops = Crops(0.5, seed=1)
    start, frames = crops.bounds("u", 10000)
    assert frames == 8000
    assert torch.equal(crops.cut("u", wav, 10000), whole[start : start + 8000])
    crops.set_sentence_len(1.5)
    cut = crops.cut("u", wav, 10000)
    assert torch.equal(cut, torch.cat([whole, whole, whole])[:24000])


@pytest.fixture(scope="module")
def corpus(tiny_corpus, tmp_path_factory):
    save = tmp_path_factory.mktemp("pipeline")
    return prepare_corpus(tiny_corpus, save, progressbar=False)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches(corpus, tmp_path, workers):
    encoder = make_label_encoder(corpus.speakers, tmp_path / "labels.txt")
    crops = Crops(0.5, seed=3)
    dataset = make_dataset(corpus.train_csv, corpus.data_root, crops, encoder)
    loader = SaveableDataLoader(
        dataset,
        batch_size=4,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=_collate,
    )
    for epoch in (1, 2):  # workers that live on see the new epoch
        crops.set_epoch(epoch)
        utterances = {}
        for items in loader:
            for item in items:
                utterances[item["id"]] = item
        assert len(utterances) == len(dataset) == 24
        for name, item in utterances.items():
            speaker, recording, number = name.split("--")
            path = corpus.data_folders[0] / "wav" / speaker / recording
            whole = load_audio(path / f"{number}.wav")
            start, _ = crops.bounds(name, len(whole))
            assert torch.equal(item["sig"], whole[start : start + 8000])
            label = int(item["spk_id_encoded"])
            assert corpus.speakers[label] == speaker


def _collate(items):
    return items


def test_a_batch_is_as_speechbrain_makes_it(corpus, tmp_path):
    encoder = make_label_encoder(corpus.speakers, tmp_path / "labels.txt")
    crops = Crops(0.5, seed=3)
    dataset = make_dataset(corpus.train_csv, corpus.data_root, crops, encoder)
    items = [dataset[index] for index in range(3)]
    ours, theirs = collate(items), PaddedBatch(items)
    assert ours.id == theirs.id and len(ours) == 3
    for key in ("sig", "spk_id_encoded"):
        for one, other in zip(ours[key], theirs[key], strict=True):
            assert torch.equal(one, other)


def test_classes_are_in_the_order_of_names_and_are_kept(tmp_path):
    path = tmp_path / "save" / "label_encoder.txt"
    encoder = make_label_encoder(["b", "a", "c"], path)
    assert encoder.lab2ind == {"a": 0, "b": 1, "c": 2}
    text = path.read_text()
    assert make_label_encoder(["c", "b", "a"], path).lab2ind == encoder.lab2ind
    assert path.read_text() == text


def test_classes_of_another_corpus(tmp_path):
    path = tmp_path / "label_encoder.txt"
    make_label_encoder(["a", "b"], path)
    with pytest.raises(ValueError, match="holds 2 speakers .* has 1 and they"):
        make_label_encoder(["a"], path)
    with pytest.raises(ValueError, match="another output_folder"):
        make_label_encoder(["a", "c"], path)
