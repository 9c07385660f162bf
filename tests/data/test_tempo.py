"""Another tempo at the same pitch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.freq_domain import SpectrogramDrop

from speechbrain_kd.data.tempo import RandomTempo, augmented_features
from speechbrain_kd.experiment import Experiment

HPARAMS = Path(__file__).parents[2] / "hparams"


def at_other_tempo(feats, lens, slowest, fastest, seed):
    """The same by a loop over utterances and bins."""
    torch.manual_seed(seed)
    drawn = torch.rand(2, len(feats)).numpy()
    frames = feats.shape[1]
    kept = int((frames - 1) / fastest) + 1
    rows, row_lens = [], []
    for number, utterance in enumerate(feats.numpy()):
        tempo = slowest + (fastest - slowest) * drawn[0, number]
        own = float(lens[number]) * frames - 1
        start = drawn[1, number] * max(own - tempo * (kept - 1), 0)
        places = start + tempo * np.arange(kept)
        row = np.stack(
            [np.interp(places, range(frames), bin) for bin in utterance.T], 1
        )
        length = min(((own - start) / tempo + 1) / kept, 1.0)
        before = utterance[: round(float(lens[number]) * frames)].mean(axis=0)
        spoken = max(round(length * kept), 1)
        rows.append(row + before - row[:spoken].mean(axis=0))
        row_lens.append(length)
    return torch.tensor(np.array(rows)), torch.tensor(row_lens)


@pytest.mark.parametrize("bounds", [(0.85, 1.15), (1.0, 1.3), (0.6, 0.9)])
@pytest.mark.parametrize("padded", [False, True])
def test_as_by_a_loop(bounds, padded):
    torch.manual_seed(0)
    feats = torch.randn(6, 57, 4)
    lens = torch.ones(6)
    if padded:
        lens = torch.tensor([1.0, 0.9, 0.5, 0.3, 0.95, 0.1])
    expected, expected_lens = at_other_tempo(feats, lens, *bounds, seed=3)
    torch.manual_seed(3)
    heard, heard_lens = RandomTempo(bounds)(feats, lens)
    torch.testing.assert_close(heard, expected.float(), atol=2e-5, rtol=0)
    torch.testing.assert_close(
        heard_lens, expected_lens.float(), atol=1e-5, rtol=0
    )


def test_normalised_features_stay_normalised_and_bins_stay_in_place():
    feats = torch.randn(5, 101, 3) * torch.tensor([1.0, 0.0, 4.0])
    feats = feats - feats.mean(dim=1, keepdim=True)
    heard, _ = RandomTempo([0.8, 1.2])(feats, torch.ones(5))
    assert heard.mean(dim=1).abs().max() < 1e-5
    assert heard[..., 1].abs().max() < 1e-6
    assert heard[..., 2].std() > 2 * heard[..., 0].std()


def test_tempo_one_is_what_was_said():
    feats = torch.randn(3, 50, 2)
    lens = torch.ones(3)
    heard, heard_lens = RandomTempo([1.0, 1.0])(feats, lens)
    torch.testing.assert_close(heard, feats, atol=1e-5, rtol=0)
    assert torch.equal(heard_lens, lens)


def test_places_and_tempos_are_drawn_from_torch_anew():
    feats = torch.arange(101.0).view(1, 101, 1).expand(200, -1, 1)
    tempo = RandomTempo([0.8, 1.2])
    torch.manual_seed(1)
    heard, lens = tempo(feats, torch.ones(200))
    torch.manual_seed(1)
    assert torch.equal(tempo(feats, torch.ones(200))[0], heard)
    assert not torch.equal(tempo(feats, torch.ones(200))[0], heard)
    steps = heard.diff(dim=1)
    assert steps.std(dim=1).max() < 1e-3  # one tempo in all of an utterance
    assert 0.8 <= steps.min() < 0.82 and 1.18 < steps.max() <= 1.2001
    assert heard.shape == (200, 84, 1) and (lens == 1).all()


def test_nothing_of_the_padding_is_heard():
    feats = torch.zeros(50, 100, 1)
    feats[:, 60:] = 1000.0
    heard, lens = RandomTempo([0.9, 1.1])(feats, torch.full((50,), 0.6))
    ends = (lens * heard.shape[1]).floor().long()
    for row, end in zip(heard, ends, strict=True):
        assert row[: end - 1].abs().max() < 20  # but for the last, by rounding


@pytest.mark.parametrize("frames", [1, 2])
def test_hardly_any_speech(frames):
    heard, lens = RandomTempo()(torch.randn(2, frames, 3), torch.ones(2))
    assert heard.shape[1] >= 1 and heard.isfinite().all()
    assert (lens == 1).all()


def test_bf16_and_gradient():
    feats = torch.randn(2, 30, 3, requires_grad=True)
    RandomTempo()(feats, torch.ones(2))[0].square().sum().backward()
    assert feats.grad.isfinite().all() and feats.grad.abs().sum() > 0
    heard, _ = RandomTempo()(feats.detach().bfloat16(), torch.ones(2))
    assert heard.dtype == torch.bfloat16 and heard.isfinite().all()


def test_an_augmentation_makes_as_many_utterances():
    feats = torch.randn(2, 30, 3)
    with pytest.raises(ValueError, match="made 4 utterances of 2: expected as"):
        augmented_features(
            lambda feats, lens: (feats.repeat(2, 1, 1), lens.repeat(2)),
            feats,
            None,
        )
    heard, lens = augmented_features(RandomTempo(), feats, None)
    assert lens is None and heard.shape == (2, 26, 3)
    lens = augmented_features(RandomTempo(), feats, torch.tensor([1, 0.5]))[1]
    assert lens[0] == 1 and lens[1] < 0.7


@pytest.mark.parametrize("concat", [False, True])
def test_speechbrains_augmenter_drops_bins(concat):
    drop = SpectrogramDrop(drop_length_low=2, drop_length_high=5, dim=2)
    augment = Augmenter(
        min_augmentations=1,
        max_augmentations=1,
        concat_original=concat,
        augmentations=[drop],
    )
    feats = torch.rand(4, 30, 20) + 1
    if concat:
        with pytest.raises(ValueError, match="made 8 utterances of 4"):
            augmented_features(augment, feats, None)
        return
    heard, lens = augmented_features(augment, feats, None)
    assert lens is None and heard.shape == feats.shape
    gone = (heard == 0).all(dim=1).any(dim=0)
    assert 0 < gone.sum() < 20
    assert torch.equal(heard[..., ~gone], feats[..., ~gone])


@pytest.mark.parametrize(
    "tempo", [1.1, "fast", [1.1], [1.2, 0.9], [0.4, 1.0], [1, 2.5], [True, 1]]
)
def test_tempos_that_are_none(tempo):
    with pytest.raises(ValueError, match=r"tempo must be \[slowest, fastest"):
        RandomTempo(tempo)


def test_a_yaml_names_it_by_its_fragment():
    fragment = HPARAMS / "augment" / "tempo.yaml"
    made = Experiment(
        HPARAMS / "baseline.yaml",
        {"fea_augment": str(fragment), "out_n_neurons": 3},
    ).load()
    assert made["fea_augment"].fastest == 1.15
