"""Pseudo-speakers: speech at another speed, and whose it then is."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.data.crops import Crops
from speechbrain_kd.data.pipeline import (
    collate,
    make_dataset,
    make_label_encoder,
)
from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.data.speeds import (
    change_speed,
    check_speeds,
    source_frames,
    speed_classes,
)
from speechbrain_kd.data.views import Views
from speechbrain_kd.experiment import Experiment
from speechbrain_kd.stored import open_stores
from speechbrain_kd.teachers import Teacher

SPEEDS = (1.0, 1.0, 0.9, 1.25)


@pytest.fixture(scope="module")
def corpus(tiny_corpus, tmp_path_factory):
    save = tmp_path_factory.mktemp("speeds")
    return prepare_corpus(tiny_corpus, save, progressbar=False)


def pitch(wav):
    """Hz of the strongest bin of a waveform at 16 kHz."""
    spectrum = torch.fft.rfft(wav * torch.hann_window(len(wav))).abs()
    return float(spectrum.argmax()) * 16000 / len(wav)


def test_a_crop_is_as_fast_as_its_speed_says(tmp_path):
    wav = tmp_path / "a.wav"
    time = np.arange(64000) / 16000
    soundfile.write(wav, 0.5 * np.sin(2 * np.pi * 400 * time), 16000)
    crops = Crops(1.0, seed=1, speeds=SPEEDS)
    heard = [crops.speed("u", number) for number in range(2000)]
    shares = {speed: heard.count(speed) / 2000 for speed in set(heard)}
    assert set(shares) == set(SPEEDS)
    assert abs(shares[1.0] - 0.5) < 0.05 and abs(shares[0.9] - 0.25) < 0.05
    for number in (heard.index(speed) for speed in (1.0, 0.9, 1.25)):
        cut = crops.cut("u", wav, 64000, number)
        assert len(cut) == 16000
        assert abs(pitch(cut) - 400 * heard[number]) <= 1
        # Nothing is padded or repeated.
        ends = cut[:400].square().mean(), cut[-400:].square().mean()
        assert all(abs(float(end) - 0.125) < 0.01 for end in ends)


def test_a_short_utterance_is_repeated_at_its_speed():
    wav = torch.rand(5000) - 0.5
    crops = Crops(1.0, seed=1, speeds=(1.0, 0.8))
    number = next(n for n in range(99) if crops.speed("u", n) == 0.8)
    once = change_speed(wav, 0.8)
    assert len(once) == 6250
    cut = crops.cut("u", wav, 5000, number)
    assert torch.equal(cut, once.repeat(3)[:16000])


@pytest.mark.parametrize("speed", [0.5, 0.77, 0.9, 1.1, 1.25, 2.0])
@pytest.mark.parametrize("frames", [16000, 15999, 1])
def test_what_is_read_gives_what_is_asked_for(speed, frames):
    read = source_frames(frames, speed)
    assert len(change_speed(torch.zeros(read), speed)) >= frames
    assert read < frames * speed + 1


def test_crops_at_one_speed_are_what_they_were():
    plain, same = Crops(1.0, 1), Crops(1.0, 1, speeds=[1.0])
    assert plain.bounds("u", 50000) == same.bounds("u", 50000)
    assert Views(1.0, 1).recipe() == Views(1.0, 1, speeds=[1]).recipe()
    other = Views(1.0, 1, speeds=SPEEDS).recipe()
    assert other != Views(1.0, 1).recipe()
    assert other["speeds"] == list(SPEEDS)


def test_the_class_is_the_speaker_and_the_speed(corpus, tmp_path):
    path = tmp_path / "labels.txt"
    encoder = make_label_encoder(corpus.speakers, path, SPEEDS)
    count = len(corpus.speakers)
    names = [encoder.ind2lab[index] for index in range(3 * count)]
    assert names[:count] == sorted(corpus.speakers)
    assert names == speed_classes(corpus.speakers, SPEEDS)
    crops = Crops(0.5, seed=3, speeds=SPEEDS)
    data = make_dataset(corpus.train_csv, corpus.data_root, crops, encoder)
    blocks = {1.0: 0, 0.9: 1, 1.25: 2}
    seen = set()
    for epoch in range(1, 5):
        crops.set_epoch(epoch)
        for item in data:
            block, speaker = divmod(int(item["spk_id_encoded"]), count)
            assert block == blocks[crops.speed(item["id"])]
            assert item["id"].startswith(names[speaker])
            seen.add(block)
    assert seen == {0, 1, 2}
    with pytest.raises(ValueError, match="the data and speeds of that run"):
        make_label_encoder(corpus.speakers, path)


class NoStore:
    """A store in which nothing is yet."""

    dim = 2

    def read(self, utterance, view, crop_sum):
        """Has no answer."""
        return None


def first_utterance(corpus, folder, views):
    """A dataset, the first of its utterances as views take it, its audio."""
    encoder = make_label_encoder(corpus.speakers, folder / "l.txt", SPEEDS)
    data = make_dataset(
        corpus.train_csv, corpus.data_root, views, encoder, {8000: NoStore()}
    )
    row = data.data.row(0)
    return (
        data,
        (row["id"], row["wav"], int(row["stop"])),
        load_audio(row["wav"]),
    )


@pytest.mark.parametrize("target", ["view", "clean"])
def test_the_teacher_hears_the_view_at_its_speed(corpus, tmp_path, target):
    views = Views(0.5, 3, 8, target=target, speeds=SPEEDS)
    data, arguments, whole = first_utterance(corpus, tmp_path, views)
    for number in range(8):
        speed = views.speed(arguments[0], number)
        (one,) = views.heard(*arguments, number)
        start, length = views.bounds(arguments[0], len(whole), number)
        read = whole[start : start + length]
        assert torch.equal(one.wav, change_speed(read, speed)[:8000])
    batch = collate([data[index] for index in range(4)])
    assert batch.sig.data.shape == (4, 8000)


def test_the_teacher_hears_the_whole_once_at_each_speed(corpus, tmp_path):
    views = Views(0.5, 3, 8, target="whole", speeds=SPEEDS)
    data, arguments, whole = first_utterance(corpus, tmp_path, views)
    assert views.passes(epochs=1) == len(set(SPEEDS)) == 3
    asked = [views.heard(*arguments, number)[0] for number in range(3)]
    by_place = {one.view: one.wav for one in asked}
    assert set(by_place) == {0, 90, 125}
    for place, speed in ((0, 1.0), (90, 0.9), (125, 1.25)):
        assert torch.equal(by_place[place], change_speed(whole, speed))
    crops = set()
    for epoch in range(1, 25):
        views.set_epoch(epoch)
        (item,) = [one for one in data if one["id"] == arguments[0]]
        speed = views.speed(arguments[0])
        (heard,) = item["heard"]
        assert torch.equal(heard.wav, change_speed(whole, speed))
        crops.add(tuple(item["sig"][0, :50].tolist()))
    # The student's crops are new in each epoch, not 8 in turn.
    assert len(crops) > 16


def test_whole_utterances_are_stored_alike_for_any_speeds():
    one = Views(0.5, 1, target="whole")
    other = Views(0.5, 2, target="whole", speeds=[0.8, *SPEEDS])
    assert one.recipe() == other.recipe()
    places = [list(other.places(number)) for number in range(4)]
    assert places == [[80], [0], [90], [125]]
    assert list(one.places(0)) == [0] and one.passes(60) == 1
    assert Views(0.5, 1, 8).passes(60) == 8 and Views(0.5, 1, 8).passes(3) == 3


def test_whole_utterances_serve_crops_of_any_length(tmp_path):
    class Answers(Teacher):
        def answer_fingerprint(self):
            return "answers"

    teacher = Answers("answers", 2).freeze()
    views = Views(0.5, 1, target="whole", speeds=SPEEDS)
    short, long = open_stores(tmp_path, teacher, views, [0.5, 1.2]).values()
    assert short.path == long.path
    assert long.read("one", 90, 7) is None
    short.write(["one"], [90], [7], torch.tensor([[1.0, 2.0]]))
    assert long.read("one", 90, 7).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "speeds", [[0.9], [], "1.0", 1.0, [1.0, 3], [1.0, "x"], [1.0, 0.905], None]
)
def test_speeds_that_are_none(speeds):
    with pytest.raises(ValueError, match="speeds: expected .* with 1.0 among"):
        check_speeds(speeds)


def test_a_speaker_with_anothers_name():
    with pytest.raises(ValueError, match="speaker a@0.9 has the name"):
        speed_classes(["a", "a@0.9"], [1.0, 0.9])


def test_an_experiment_is_refused_before_anything_is_made():
    hparams = Path(__file__).parents[2] / "hparams" / "student.yaml"
    with pytest.raises(ValueError, match=r"student\.yaml: speeds: expected"):
        Experiment(hparams, {"speeds": [0.9, 1.1]})
