"""The page in headless Chromium: what Python finds, and what a person meets."""

import base64

import numpy as np
import pytest
from small_web import (
    ONE,
    RATE,
    SCORE,
    TWO,
    noise,
    python,
    shown,
    text,
    write_hours,
    write_wav,
)

from speechbrain_kd.data.audio import load_audio

_DECODE = """
(async () => {
  const bytes = Uint8Array.from(atob("%s"), (one) => one.charCodeAt(0));
  const { decode } = await import("./audio.js");
  const facts = await (await fetch("model.json")).json();
  return [...await decode(new File([bytes], "a.wav"), facts)];
})()
"""


def test_one_speaker_and_two(page, verifier, clips):
    for other, verdict in (("b", "Same speaker"), ("c", "Different speakers")):
        pair = clips / "a.wav", clips / f"{other}.wav"
        score = shown(page, *pair)
        assert score == pytest.approx(python(verifier, *pair), abs=1e-5)
        assert text(page, "#verdict") == verdict
        llr = float(page.run("document.getElementById('llr').value"))
        assert llr == pytest.approx(8 * score - 4, abs=1e-6)
    assert f"−{-score:.3f}" in text(page, "#result")
    assert "1.7 s; embedded in " in text(page, f"{ONE} .about")
    path = page.run(f"document.querySelector('{ONE} path').getAttribute('d')")
    assert path.count("M") == 400
    assert "for 1 s of sound" in text(page, "#facts")


def test_real_clips(page, verifier, realvox):
    speakers = sorted((realvox / "wav").iterdir())
    one, same = sorted(speakers[0].rglob("*.flac"))[:2]
    (other,) = sorted(speakers[-1].rglob("*.flac"))[:1]
    for pair in ((one, same), (one, other)):
        expected = python(verifier, *pair)
        assert shown(page, *pair) == pytest.approx(expected, abs=1e-5)


def test_samples_of_16_bits_are_those_of_python(page, clips):
    path = write_wav(clips / "pcm.wav", (9000 * noise(0.5)).astype(np.int16))
    coded = base64.b64encode(path.read_bytes()).decode()
    samples = page.run(_DECODE % coded)
    assert samples == load_audio(path).tolist()


def test_another_rate_two_channels_and_windows(page, verifier, clips):
    # Below 3 kHz: what resamples differs at the edge of the band alone.
    seconds = np.arange(round(1.5 * 44100)) / 44100
    tones = sum(np.sin(seconds * 900 * n + n) for n in range(1, 20)) / 40
    channels = np.stack([tones, 0.5 * tones[::-1]], axis=1).astype("f4")
    fast = write_wav(clips / "fast.wav", channels, 44100)
    pair = fast, clips / "a.wav"
    score = shown(page, *pair)
    assert score == pytest.approx(python(verifier, *pair), abs=5e-3)
    long = noise(75, seed=4)
    long[20 * RATE : 60 * RATE] = 0
    pair = write_wav(clips / "long.wav", long), clips / "a.wav"
    score = shown(page, *pair)
    assert score == pytest.approx(python(verifier, *pair), abs=1e-3)
    assert " windows." in text(page, f"{ONE} .about")


BROKEN = noise(1.0)
BROKEN[[7, 9]] = np.nan, np.inf


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"To whom it may concern", "“clip.wav” is no audio file that this"),
        (b"", "“clip.wav” is empty"),
        (noise(0.05), "has 50 ms (800 samples at 16000 Hz); expected at least"),
        (np.zeros(RATE, "f4"), "silent: no sample is 0.0001 of full scale"),
        (np.full(RATE, 0.5, "f4"), "The clip is silent"),
        (BROKEN, "samples that are NaN or infinite: 2 of 16000 in the first"),
        (2.0, "The clip lasts 2 h 0 min; this page takes at most 10 min"),
    ],
)
def test_what_is_no_clip(page, clips, content, message):
    path = clips / "clip.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, float):
        write_hours(path, content)
    else:
        write_wav(path, content)
    shown(page, clips / "a.wav", clips / "b.wav")
    page.choose(f"{TWO} input", path)
    page.until(f"document.querySelector('{TWO} .message').innerText")
    assert message in text(page, f"{TWO} .message")
    assert text(page, "#verdict") == "Another clip is needed."
    assert page.run(SCORE) == ""
