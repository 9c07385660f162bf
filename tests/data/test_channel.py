"""Random channels: each part measured by what it does to a known signal."""

from pathlib import Path

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_kd.data.augment import describe, seeded
from speechbrain_kd.data.channel import RandomChannel
from speechbrain_kd.data.views import Views

FRAGMENT = Path(__file__).parents[2] / "hparams" / "augment" / "channel.yaml"
OFF = {"room": 0, "microphone": 0, "noise": 0}


def through(wavs, lens=None, seed=1, **settings):
    """Waveforms through a channel that is drawn by a seed."""
    lens = torch.ones(len(wavs)) if lens is None else lens
    with seeded(seed):
        return RandomChannel(**(OFF | settings))(wavs, lens)[0]


def db(power):
    return 10 * torch.log10(power)


def test_nothing_drawn_changes_nothing():
    wavs = torch.randn(3, 8000)
    assert torch.equal(through(wavs), wavs)


def test_a_room_is_the_direct_sound_and_a_tail_that_dies_away():
    click = torch.zeros(2, 16000)
    click[:, 100] = 1.0
    heard = through(click, room=1, rt60_s=[0.4, 0.4], direct_db=[6, 6])
    assert not heard[:, :100].abs().max() > 1e-6
    assert heard[:, 100] == pytest.approx(1.0, abs=1e-5)
    assert not heard[:, 101:147].abs().max() > 1e-6
    tail = heard[:, 148:]
    assert db(tail.square().sum(1)) == pytest.approx(-6.0, abs=0.1)
    # From 0.05 s to 0.25 s the level falls by half of 60 dB.
    early, late = (
        tail[:, start : start + 1600].square().mean() for start in (0, 3200)
    )
    assert float(db(early / late)) == pytest.approx(30.0, abs=2.5)
    assert not torch.equal(heard[0], heard[1])


def test_a_long_tail_does_not_wrap_round():
    wavs = torch.zeros(1, 8000)
    wavs[:, -1] = 1.0
    heard = through(wavs, room=1, rt60_s=[2.0, 2.0])
    assert float(heard[:, :-1].abs().max()) < 1e-5


def test_a_microphone_tilts_and_ends():
    click = torch.zeros(1, 16384)
    click[:, 8192] = 1.0
    spectrum = db(
        torch.fft.rfft(through(click, microphone=1, tilt_db=[3, 3], band=0))
        .abs()
        .square()[0]
    )
    at = {hz: float(spectrum[round(hz * 16384 / 16000)]) for hz in (500, 4000)}
    assert at[4000] - at[500] == pytest.approx(9.0, abs=0.1)
    ended = through(
        click, microphone=1, tilt_db=[0, 0], band=1, band_hz=[4000, 4000]
    )
    spectrum = db(torch.fft.rfft(ended).abs().square()[0])
    assert float(spectrum[2048]) == pytest.approx(0.0, abs=0.1)
    assert float(spectrum[4096]) == pytest.approx(-3.0, abs=0.2)
    assert float(spectrum[6144]) < -25


@pytest.mark.parametrize("kind", ["white", "pink", "hum", "babble"])
def test_noise_is_at_its_level_and_of_its_colour(kind):
    speech = torch.sin(torch.arange(32000) * 0.1).repeat(2, 1)
    heard = through(speech, noise=1, snr_db=[10, 10], noises=[kind])
    noise = heard - speech
    level = db(speech.square().mean(1) / noise.square().mean(1))
    assert level == pytest.approx(10.0, abs=0.01)
    power = torch.fft.rfft(noise[0]).abs().square()

    def band(low, high):
        return float(db(power[low * 2 : high * 2].mean()))

    fall = band(1000, 2000) - band(2000, 4000)
    expected = {"white": 0, "pink": 3, "hum": 12, "babble": 7.5}[kind]
    assert fall == pytest.approx(expected, abs=1.0)


def test_each_part_comes_as_often_as_it_is_said():
    wavs = torch.randn(2000, 200)
    changed = (through(wavs, noise=0.3) != wavs).any(1).float().mean()
    assert float(changed) == pytest.approx(0.3, abs=0.04)
    changed = (through(wavs, room=0.6) - wavs).abs().max(1).values > 1e-3
    assert float(changed.float().mean()) == pytest.approx(0.6, abs=0.04)


def test_the_generator_draws_all_and_padding_stays_silent():
    wavs, lens = torch.randn(2, 8000), torch.tensor([1.0, 0.5])
    wavs[1, 4000:] = 0
    parts = {"room": 1, "microphone": 1, "noise": 1}
    one, same = (through(wavs, lens, **parts) for _ in range(2))
    assert torch.equal(one, same)
    assert not torch.equal(one, through(wavs, lens, seed=2, **parts))
    assert not one[1, 4000:].any() and one[1, :4000].abs().mean() > 0.1
    assert one.shape == wavs.shape and one.dtype == torch.float32


def test_the_fragment_is_the_default_and_views_can_be_stored():
    channel = load_hyperpyyaml(f"wav_augment: !include:{FRAGMENT}")
    channel = channel["wav_augment"]
    assert describe(channel) == describe(RandomChannel())
    views = Views(0.5, 1, 4, channel)
    wav = torch.randn(16000)
    one, same = (views.shown("u", wav, 16000, 3)[0] for _ in range(2))
    assert torch.equal(one, same) and one.shape == (1, 8000)
    assert not torch.equal(one, views.shown("u", wav, 16000, 2)[0])
    other = Views(0.5, 1, 4, RandomChannel(snr_db=[5, 26]))
    assert views.recipe() != other.recipe() != Views(0.5, 1, 4).recipe()
    labels = torch.arange(3)
    assert torch.equal(channel.replicate_labels(labels), labels)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"room": 1.5}, "room: expected a number from 0 to 1, got 1.5"),
        ({"noise": "x"}, "noise: expected a number"),
        ({"rt60_s": [0.6, 0.1]}, "rt60_s: expected .lowest, highest. within"),
        ({"band_hz": [3400, 9000]}, "band_hz: .* within 300.0 and 8000.0"),
        ({"snr_db": 5}, "snr_db: .* got 5"),
        ({"noises": ["rain"]}, "noises: expected some of white, .*'rain'"),
        ({"noises": []}, "noises: expected"),
    ],
)
def test_settings_that_mean_nothing(settings, what):
    with pytest.raises(ValueError, match=what):
        RandomChannel(**settings)
