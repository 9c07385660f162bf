"""A trained student's page on real clips; $STUDENT_ONNX names its file.

STUDENT_ONNX=student.onnx WEB_PICTURES=docs/pictures \\
    python -m pytest -m slow tests/export/test_web_real.py
"""

import os
import random
from pathlib import Path

import pytest
import soundfile
from small_web import ONE, SCORE, TWO, opened, permit, python, shown, text
from torchaudio.functional import resample

from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.runtime import SpeakerVerifier

pytestmark = pytest.mark.slow
SAME = [
    f"id20199/speechocean762/{number}.flac" for number in ("00003", "00009")
]
OTHER = "id20118/speechocean762/00007.flac"


@pytest.fixture(scope="module")
def student() -> Path:
    if "STUDENT_ONNX" not in os.environ:
        pytest.skip("no trained student: set STUDENT_ONNX to its ONNX file")
    return Path(os.environ["STUDENT_ONNX"])


@pytest.fixture(scope="module")
def wav(realvox) -> Path:
    return realvox / "wav"


@pytest.fixture(scope="module")
def page(student, wav, tmp_path_factory):
    """The page, open; its microphone hears the first clip over and over."""
    folder = tmp_path_factory.mktemp("real")
    heard = folder / "heard.wav"
    soundfile.write(heard, *soundfile.read(wav / SAME[0]), subtype="PCM_16")
    with opened(folder, student, heard) as browser:
        yield browser


def test_trials(page, student, wav):
    verifier = SpeakerVerifier(student)
    lines = (wav.parent / "meta" / "veri_test.txt").read_text().splitlines()
    random.Random(1986).shuffle(lines)
    # Where layers compute in int8, a processor's last bit may change a whole
    # step; onnxruntime's own optimisations change as much.
    whole = "arithmetic" in verifier.facts.metadata
    within = 1e-2 if whole else 1e-3
    furthest, right = 0.0, {"0": 0, "1": 0}
    for label in right:
        for line in [one for one in lines if one[0] == label][:20]:
            pair = [wav / name for name in line.split()[1:]]
            expected = python(verifier, *pair)
            score = shown(page, *pair)
            assert score == pytest.approx(expected, abs=within), line
            furthest = max(furthest, abs(score - expected))
            accepted = text(page, "#verdict") == "Same speaker"
            assert accepted == (score >= verifier.facts.threshold), line
            right[label] += accepted == (label == "1")
    print(f"\nscores differ by at most {furthest:.1e}; right, of 20: {right}")
    # Better than chance by far.
    assert min(right.values()) >= 14


@pytest.mark.parametrize(
    ("rate", "within"),
    [(8000, 0.1), (22050, 5e-3), (44100, 5e-3), (48000, 5e-3)],
)
def test_another_rate(page, student, wav, tmp_path, rate, within):
    """Python resamples by torchaudio, the page by the browser."""
    wave = load_audio(wav / SAME[0])
    path = tmp_path / f"{rate}.wav"
    soundfile.write(path, resample(wave, 16000, rate).numpy(), rate)
    expected = python(SpeakerVerifier(student), path, wav / SAME[1])
    score = shown(page, path, wav / SAME[1])
    print(f"\n{rate} Hz: page {score:.4f}, Python {expected:.4f}")
    assert score == pytest.approx(expected, abs=within)


def test_the_microphone_hears_a_voice(page, wav):
    shown(page, wav / SAME[0], wav / SAME[1])
    permit(page, "granted")
    record = f"document.querySelector('{TWO} .record')"
    page.run(f"{record}.click()")
    hint = f"document.querySelector('{TWO} .hint').innerText"
    page.until(f"parseFloat({hint}) > 5")
    page.run(f"{record}.click()")
    assert float(page.until(SCORE)) > 0.9


def test_pictures(page, wav, tmp_path):
    """Written to $WEB_PICTURES, for the docs."""
    folder = Path(os.environ.get("WEB_PICTURES", tmp_path))
    for width, dark, other, verdict in (
        (1000, False, SAME[1], "Same speaker"),
        (360, True, OTHER, "Different speakers"),
    ):
        page.look(width, dark)
        shown(page, wav / SAME[0], wav / other)
        assert text(page, "#verdict") == verdict
        name = f"web{'_phone' if width < 600 else ''}.png"
        page.picture(folder / name)
        assert (folder / name).stat().st_size > 20000
    print(text(page, "#facts"), text(page, f"{ONE} .about"), sep="\n")
