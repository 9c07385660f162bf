"""Views: the same bits wherever and whenever they are made."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.time_domain import (
    AddNoise,
    AddReverb,
    DropChunk,
    SpeedPerturb,
)
from torch.utils.data import DataLoader

from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.data.augment import describe
from speechbrain_kd.data.pipeline import (
    collate,
    make_dataset,
    make_label_encoder,
)
from speechbrain_kd.data.prepare import load_corpus, prepare_corpus
from speechbrain_kd.data.views import Views, edge_sum
from speechbrain_kd.distributed.sampler import GlobalBatchSampler

VIEWS = 42  # of 24 utterances: 1,008


class NoStore:
    """A store in which nothing is known yet."""

    dim = 3

    def read(self, utterance, view, crop_sum):
        return None


class FullStore(NoStore):
    """A store that has heard all, and says which view and audio it was."""

    def read(self, utterance, view, crop_sum):
        return np.array([view, crop_sum % 1000, len(utterance)], np.float16)


@pytest.fixture(scope="module")
def save(tiny_corpus, tmp_path_factory):
    """A prepared corpus, and noises beside it."""
    save = tmp_path_factory.mktemp("views")
    prepare_corpus(tiny_corpus, save, progressbar=False)
    rng = np.random.default_rng(0)
    rows = ["ID,duration,wav,wav_format,wav_opts"]
    for number in range(5):
        wav = save / f"noise{number}.wav"
        soundfile.write(wav, 0.1 * rng.standard_normal(24000), 16000)
        rows.append(f"{number},1.5,{wav},wav,")
    (save / "noise.csv").write_text("\n".join(rows) + "\n")
    return save


def augmenter(save, **options):
    """Noise, reverberation and dropped chunks, as in upstream's recipe."""
    csv = str(save / "noise.csv")
    settings = {
        "parallel_augment": True,
        "concat_original": True,
        "min_augmentations": 3,
        "max_augmentations": 3,
    }
    parts = [AddNoise(csv), AddReverb(csv), DropChunk()]
    return Augmenter(augmentations=parts, **(settings | options))


def dataset_of(save, views, store=None):
    corpus = load_corpus(save)
    encoder = make_label_encoder(corpus.speakers, save / "labels.txt")
    stores = {views.frames: store or NoStore()}
    return make_dataset(
        corpus.train_csv, corpus.data_root, views, encoder, stores
    )


def digests(save, workers=0, rank=0, world=1, numbers=range(VIEWS), start=0):
    """A digest of each view that a rank sees, by utterance, view and copy."""
    views = Views(0.5, seed=3, views=VIEWS, augment=augmenter(save))
    dataset = dataset_of(save, views)
    order = GlobalBatchSampler(
        len(dataset), 4, shuffle=True, seed=1, rank=rank, world=world
    )
    loader = DataLoader(
        dataset,
        batch_sampler=order,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate,
    )
    found = {}
    for number in numbers:
        views.set_epoch(number + 1)
        order.set_epoch(number + 1)
        if number == numbers[0] and start:
            order.resume_at(start)
        for batch in loader:
            for one, wav in zip(batch.heard, batch.sig.data, strict=True):
                digest = hashlib.sha256(wav.numpy().tobytes()).hexdigest()
                found[one.utterance, one.view] = digest
    return found


@pytest.fixture(scope="module")
def alone(save):
    return digests(save)


def test_a_thousand_views_are_all_different(alone):
    assert len(alone) == 24 * VIEWS * 4  # the original and three copies
    # An utterance that is hardly longer than a crop has few crops.
    assert len(set(alone.values())) > 0.99 * len(alone)


@pytest.mark.parametrize("workers", [1, 4])
def test_workers_change_no_view(save, alone, workers):
    assert digests(save, workers) == alone


def test_ranks_and_a_resume_change_no_view(save, alone):
    numbers = range(6)
    ranks = [digests(save, 0, rank, 2, numbers) for rank in range(2)]
    expected = {k: v for k, v in alone.items() if k[1] < 6 * 4}
    assert not set(ranks[0]) & set(ranks[1])
    assert ranks[0] | ranks[1] == expected
    rest = digests(save, 0, 0, 1, range(5, 6), start=8)
    assert len(rest) == (24 - 8) * 4
    assert rest.items() <= alone.items()


def test_another_process_makes_the_same_views(save, alone):
    code = (
        "import sys; from pathlib import Path; "
        "from tests.data.test_views import digests; "
        "print(sorted(digests(Path(sys.argv[1]), numbers=range(3)).items()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(save)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    expected = {k: v for k, v in alone.items() if k[1] < 3 * 4}
    assert run.stdout.strip() == str(sorted(expected.items()))


def test_another_seed_makes_other_views(save):
    corpus = load_corpus(save)
    row = dataset_of(save, Views(0.5, 1, 2)).data.row(0)
    arguments = row["id"], row["wav"], int(row["stop"])
    one, same, other = (
        Views(0.5, seed, 2, augmenter(save)).shown(*arguments)[0]
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert corpus.speakers


def test_global_generators_are_left_as_they_were(save):
    row = dataset_of(save, Views(0.5, 1, 2)).data.row(0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Views(0.5, 1, 2, augmenter(save)).shown(
        row["id"], row["wav"], int(row["stop"])
    )
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("target", ["view", "clean", "whole"])
def test_what_the_teacher_hears(save, target):
    views = Views(0.5, 1, 3, augmenter(save), target)
    row = dataset_of(save, views).data.row(0)
    arguments = row["id"], row["wav"], int(row["stop"])
    wavs, heard = views.shown(*arguments, number=2)
    whole = load_audio(row["wav"])
    start, frames = views.bounds(row["id"], len(whole), 2)
    clean = whole[start : start + frames]
    assert torch.equal(wavs[0], clean) and len(wavs) == len(heard) == 4
    asked = views.heard(*arguments, 2)
    assert [one.view for one in asked] == list(views.places(2))
    if target == "view":
        assert torch.equal(torch.stack([one.wav for one in asked]), wavs)
        assert [one.view for one in heard] == [8, 9, 10, 11]
    elif target == "clean":
        assert torch.equal(asked[0].wav, clean) and heard[0].view == 2
    else:
        assert torch.equal(asked[0].wav, whole) and heard[0].view == 0
    assert len({one.crop_sum for one in heard + asked}) == 1


def test_fewer_copies_are_filled_up(save):
    augment = augmenter(save, min_augmentations=1, augment_prob=0.5)
    views = Views(0.5, 1, 12, augment)
    row = dataset_of(save, views).data.row(0)
    for number in range(12):
        wavs, heard = views.shown(row["id"], row["wav"], 20000, number)
        assert wavs.shape == (4, 8000) and len(heard) == 4


def test_an_augmentation_that_changes_the_length(save):
    speed = Augmenter(
        augmentations=[SpeedPerturb(16000, [80, 120])],
        min_augmentations=1,
        max_augmentations=1,
    )
    views = Views(0.5, 1, 4, speed)
    row = dataset_of(save, views).data.row(0)
    wavs, _ = views.shown(row["id"], row["wav"], int(row["stop"]), 0)
    assert wavs.shape == (1, 8000)


def test_a_callable_that_makes_more_than_one(save):
    class Doubling(torch.nn.Module):
        def forward(self, wavs, lens):
            return wavs.repeat(2, 1), lens.repeat(2)

    views = Views(0.5, 1, 4, Doubling())
    row = dataset_of(save, views).data.row(0)
    with pytest.raises(ValueError, match="made 2 waveforms of one where 1"):
        views.shown(row["id"], row["wav"], int(row["stop"]), 0)


def test_recipes_name_what_a_target_depends_on(save):
    plain = Views(0.5, 1, 8)
    assert plain.recipe() == Views(0.5, 1, 16).recipe()
    assert plain.recipe() != Views(0.5, 2, 8).recipe()
    assert plain.recipe() != Views(1.0, 1, 8).recipe()
    noisy = Views(0.5, 1, 8, augmenter(save))
    assert noisy.recipe() != plain.recipe()
    assert noisy.recipe() == Views(0.5, 1, 8, augmenter(save)).recipe()
    clean = Views(0.5, 1, 8, augmenter(save), "clean")
    assert clean.recipe() == Views(0.5, 1, 8, target="clean").recipe()
    whole = Views(0.5, 1, 8, target="whole")
    assert whole.recipe() == Views(1.0, 2, 4, target="whole").recipe()


def test_descriptions_follow_settings_and_files_not_places(save, tmp_path):
    other = tmp_path / "noise.csv"
    text = (save / "noise.csv").read_text()
    other.write_text(text.replace(str(save), "/elsewhere"))
    one = describe(AddNoise(str(save / "noise.csv")))
    assert one == describe(AddNoise(str(other)))
    assert one != describe(AddNoise(str(save / "noise.csv"), snr_low=7))
    other.write_text(text.replace("noise3", "noise9"))
    assert one != describe(AddNoise(str(other)))


def test_the_edges_of_a_file_are_bound_to_it(tmp_path):
    wav = tmp_path / "a.wav"
    soundfile.write(wav, np.linspace(-0.5, 0.5, 16000), 16000)
    before = edge_sum(str(wav))
    assert edge_sum(str(wav)) == before != edge_sum(f"{wav}#0+8000")
    soundfile.write(wav, np.linspace(-0.5, 0.4, 16000), 16000)
    assert edge_sum(str(wav)) != before


@pytest.mark.parametrize("options", [{"views": 0}, {"target": "half"}])
def test_settings_that_mean_nothing(options):
    with pytest.raises(ValueError, match="teacher_views|teacher_target"):
        Views(0.5, 1, **options)


def test_stored_answers_come_with_the_batch(save):
    views = Views(0.5, 1, 8)
    views.set_epoch(3)
    dataset = dataset_of(save, views, FullStore())
    batch = collate([dataset[0], dataset[1]])
    assert batch.heard == [None, None]
    expected = [
        [
            2.0,
            views.shown(one, row["wav"], int(row["stop"]))[1][0].crop_sum
            % 1000,
        ]
        for one, row in (
            (dataset.data.ids[i], dataset.data.row(i)) for i in (0, 1)
        )
    ]
    assert batch.target.data[:, :2].tolist() == expected
    assert batch.sig.data.shape == (2, 8000)
    assert batch.spk_id_encoded.data.shape == (2, 1)
