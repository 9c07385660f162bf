"""The parts of the embedded corpus: voices, text, speech, channels, trials."""

import sys

import numpy as np
import pytest

from speechbrain_kd.data.minivox_channel import (
    NOISES,
    Channel,
    ChannelSpace,
    draw_channel,
    record,
)
from speechbrain_kd.data.minivox_speech import Espeak, espeak_version
from speechbrain_kd.data.minivox_text import random_sentence
from speechbrain_kd.data.minivox_trials import make_trials, nearest_voices
from speechbrain_kd.data.minivox_voices import (
    VoiceSpace,
    draw_voice,
    session,
    variant_text,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def voice(seed: int = 0):
    return draw_voice(VoiceSpace(), rng(seed))


def clean(**changes) -> Channel:
    """A channel that changes nothing, but for what is asked."""
    values = {
        "response": np.eye(1, 800, dtype=np.float32)[0],
        "low_cut_hz": 1.0,
        "high_cut_hz": 1e5,
        "tilt_db": 0.0,
        "snr_db": 200.0,
        "level_db": -20.0,
        "noise": "white",
    }
    return Channel(**{**values, **changes})


def tone(hz: float) -> np.ndarray:
    return 8000 * np.sin(2 * np.pi * hz * np.arange(22050) / 22050)


def level(samples: np.ndarray, hz: float) -> float:
    """Amplitude at one frequency of a signal of one second."""
    return float(np.abs(np.fft.rfft(samples))[int(hz)])


# Voices


def test_voices_keep_to_the_space():
    space = VoiceSpace()
    voices = [draw_voice(space, rng(seed)) for seed in range(200)]
    assert {one.gender for one in voices} == {"f", "m"}
    assert {one.accent for one in voices} == set(space.accents)
    for one in voices:
        female = one.gender == "f"
        low, high = space.female_pitch_hz if female else space.male_pitch_hz
        assert low <= one.pitch_hz <= high
        low, high = space.female_tract if female else space.male_tract
        assert low <= one.tract <= high
    assert len({one.pitch_hz for one in voices}) == 200


def test_a_narrow_space_makes_equal_voices():
    space = VoiceSpace(
        male_pitch_hz=(100, 100),
        female_pitch_hz=(100, 100),
        formant_spread=0.0,
        shape_spread=0.0,
        tone_spread=0.0,
    )
    one, two = (draw_voice(space, rng(seed)) for seed in (1, 2))
    assert one.pitch_hz == pytest.approx(two.pitch_hz)
    assert one.formants == two.formants
    assert one.tone == two.tone


def test_sessions_vary_about_the_voice():
    one, random = voice(), rng()
    drawn = np.array([session(one, VoiceSpace(), random) for _ in range(500)])
    assert np.allclose(drawn.mean(0), [one.pitch_hz, one.rate], rtol=0.02)
    assert np.all(drawn.std(0) > 0.03 * drawn.mean(0))


# Text


def test_sentences_are_of_the_length_asked_for():
    random = rng()
    for characters in range(20, 90):
        sentence = random_sentence(random, characters)
        assert characters <= len(sentence)
        assert len(sentence[: sentence.rindex(" ")]) < characters


def test_sentences_hardly_repeat_and_have_a_vocabulary():
    random = rng()
    sentences = [random_sentence(random, 60) for _ in range(500)]
    assert len(set(sentences)) == 500
    words = {word for sentence in sentences for word in sentence.split()}
    assert len(words) > 300
    assert {"zero", "nine"} < words


# Speech


@pytest.fixture(scope="module")
def espeak():
    pytest.importorskip("espeakng_loader", reason="needs the extra [demo]")
    with Espeak() as speaker:
        yield speaker


def say(espeak: Espeak, text: str = "one red pencil", seed: int = 1, **changes):
    one = voice(3)
    values = {"pitch_hz": one.pitch_hz, "rate": 1.0, **changes}
    return espeak.say(text, one.accent, variant_text(one, **values), seed)


def test_speech_does_not_depend_on_what_was_said_before(espeak):
    first = say(espeak)
    for text in ("hello you", "three", "a long day in june", "zoo was shocked"):
        say(espeak, text)
        assert np.array_equal(say(espeak), first)


def test_speech_depends_on_each_argument(espeak):
    first = say(espeak)
    assert not np.array_equal(say(espeak, seed=2), first)
    assert len(say(espeak, rate=0.7)) > 1.2 * len(first)
    assert not np.array_equal(say(espeak, pitch_hz=200.0), first)
    other = voice(4)
    text = variant_text(other, other.pitch_hz, 1.0)
    sound = espeak.say("one red pencil", "gmw/en-US", text)
    assert not np.array_equal(sound[: len(first)], first[: len(sound)])


def test_speech_is_cut_to_what_is_spoken(espeak):
    sound = say(espeak).astype(float)
    margin = 2205 + 1000
    assert np.abs(sound[:margin]).max() > 300
    assert np.abs(sound[-margin:]).max() > 300
    assert not say(espeak, "").any()


def test_unknown_voice(espeak):
    with pytest.raises(ValueError, match="no voice 'gmw/xx'.*gmw/en-US"):
        espeak.say("hello", "gmw/xx", "language variant\n")


def test_nothing_is_left_behind(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra [demo]")
    with Espeak(tmp_path) as speaker:
        speaker.say("hello", "gmw/en", "language variant\n")
        (folder,) = tmp_path.iterdir()
        assert [path.name for path in folder.iterdir()] == ["espeak-ng-data"]
    assert not list(tmp_path.iterdir())


def test_data_that_is_not_found(tmp_path):
    pytest.importorskip("espeakng_loader", reason="needs the extra [demo]")
    with Espeak(tmp_path) as speaker:
        (folder,) = tmp_path.iterdir()
        (folder / "espeak-ng-data" / "phontab").unlink()
        with pytest.raises(RuntimeError, match="did not start from"):
            speaker.say("hello", "gmw/en", "language variant\n")


def test_version():
    pytest.importorskip("espeakng_loader", reason="needs the extra [demo]")
    assert espeak_version()[0].isdigit()


@pytest.mark.parametrize("needs_espeak", [Espeak, espeak_version])
def test_espeak_missing(monkeypatch, needs_espeak):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(
        ImportError, match=r"pip install speechbrain_kd\[demo\]"
    ):
        needs_espeak()


# Channels


def test_a_clean_channel_changes_the_rate_alone():
    wanted = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    sound = record(tone(440), clean(), rng()).astype(float)
    wanted *= np.sqrt(np.mean(sound**2) / np.mean(wanted**2))
    # The ends of a tone that starts at once ring.
    error = (sound - wanted)[200:-200]
    assert np.sqrt(np.mean(error**2)) < 0.005 * np.sqrt(np.mean(wanted**2))


@pytest.mark.parametrize("noise", NOISES)
def test_level_and_noise_are_as_asked(noise):
    channel = clean(snr_db=10.0, noise=noise)
    sound = record(tone(1000), channel, rng()).astype(float) / 32767
    assert np.mean(sound**2) == pytest.approx(0.01, rel=0.01)
    time = 2 * np.pi * 1000 * np.arange(16000) / 16000
    basis = np.stack([np.sin(time), np.cos(time)])
    speech = basis.T @ (basis @ sound) / 8000
    ratio = np.mean(speech**2) / np.mean((sound - speech) ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(10.0, abs=1.0)


def test_band_and_tilt():
    both = tone(100) + tone(1000) + tone(2000) + tone(6000)
    flat = record(both, clean(), rng())
    band = record(both, clean(low_cut_hz=400, high_cut_hz=3400), rng())
    tilt = record(both, clean(tilt_db=-3.0), rng())

    def ratio(sound: np.ndarray, hz: float) -> float:
        there = level(sound, hz) / level(sound, 1000)
        return 20 * np.log10(there * level(flat, 1000) / level(flat, hz))

    assert ratio(band, 100) < -40 and ratio(band, 6000) < -35
    assert ratio(band, 2000) == pytest.approx(0.0, abs=0.5)
    assert ratio(tilt, 2000) == pytest.approx(-3.0, abs=0.1)


def test_a_room_rings_on_and_never_wraps():
    click = np.zeros(22050)
    click[11025] = 10000.0
    space = ChannelSpace(rt60_s=(0.3, 0.3), direct_db=(0.0, 0.0))
    room = draw_channel(space, rng()).response
    sound = record(click, clean(response=room), rng()).astype(float)
    before, after = sound[:7900], sound[8100:12000]
    assert np.mean(after**2) > 100 * np.mean(before**2)
    assert np.sum(room[1:] ** 2) == pytest.approx(1.0, rel=1e-3)


def test_channels_differ_and_repeat():
    one, again, two = (draw_channel(ChannelSpace(), rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one.response, again.response)
    assert one.snr_db == again.snr_db != two.snr_db


# Trials


def test_near_voices_are_of_the_gender_and_near():
    voices = {number: voice(number) for number in range(60)}
    for number, one in voices.items():
        same = [
            abs(np.log(other.tract / one.tract))
            for other in voices.values()
            if other.gender == one.gender and other is not one
        ]
        near = nearest_voices(number, voices)
        assert number not in near
        assert {voices[other].gender for other in near} == {one.gender}
        apart = [abs(np.log(voices[n].tract / one.tract)) for n in near]
        assert np.mean(apart) < np.mean(same)


def test_half_of_the_impostors_are_near():
    voices = {number: voice(number) for number in range(40)}
    trials = make_trials(voices, 20, 4, rng())
    labels = [label for label, _, _ in trials]
    assert labels.count(1) == 40 * 50 and labels.count(0) == 40 * 120
    near = [
        test[0] in nearest_voices(enrol[0], voices)
        for label, enrol, test in trials
        if label == 0
    ]
    assert 0.5 <= np.mean(near) < 0.65


@pytest.mark.parametrize("speakers", [2, 3, 5])
def test_few_speakers_and_files_end(speakers):
    voices = {number: voice(number) for number in range(speakers)}
    trials = make_trials(voices, 2, 2, rng())
    assert {label for label, _, _ in trials} == {0, 1}
    pairs = {frozenset(pair) for _, *pair in trials}
    assert len(pairs) == len(trials)
