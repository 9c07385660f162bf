"""What tests of the page share: an archive, clips, and what Python finds."""

import base64
import hashlib
import io
import json
import os
import struct
import tarfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from chromium import Page, served
from small_onnx import encoder

from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.export import web_runtime
from speechbrain_kd.export.onnx_facts import OnnxFacts
from speechbrain_kd.export.onnx_file import export_onnx
from speechbrain_kd.export.web_folder import export_web

RATE = 16000
#: The two cards of the page, and where it keeps the score.
ONE, TWO = ".clip:nth-child(1)", ".clip:nth-child(2)"
SCORE = "document.getElementById('score').value"


def real_archive() -> Path:
    """The archive of onnxruntime-web; the test skips where there is none."""
    named = os.environ.get(web_runtime.ARCHIVE_VARIABLE)
    path = Path(named) if named else web_runtime.cached_archive()
    if not path.is_file():
        pytest.skip(
            f"no onnxruntime-web in {path}: `python -m "
            "speechbrain_kd.export.web_runtime` fetches it"
        )
    return path


def write_archive(path: Path) -> Path:
    """An archive of the form of npm's, with a few bytes in each file."""
    with tarfile.open(path, "w:gz") as archive:
        for name in (*web_runtime.FILES, "ort.webgpu.mjs", "../../escaped"):
            content = f"// {name}".encode()
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def pin(monkeypatch, archive):
    """Takes an archive for the right one."""
    digest = hashlib.sha512(archive.read_bytes()).digest()
    pinned = f"sha512-{base64.b64encode(digest).decode()}"
    monkeypatch.setattr(web_runtime, "INTEGRITY", pinned)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise [samples] whose colour is the seed's."""
    generator = np.random.default_rng(seed)
    colour = generator.standard_normal(9)
    white = generator.standard_normal(round(RATE * seconds) + 8)
    coloured = np.convolve(white, colour, "valid")
    return (0.2 * coloured / np.abs(coloured).max()).astype(np.float32)


def write_wav(path: Path, wave: np.ndarray, rate: int = RATE) -> Path:
    """A WAV file of 32-bit floats, or of what the samples are."""
    kind = "FLOAT" if wave.dtype.kind == "f" else "PCM_16"
    soundfile.write(path, wave, rate, subtype=kind)
    return path


def write_hours(path: Path, hours: float) -> Path:
    """A WAV file of hours, of 8 bits at 8 kHz, that takes no room on disk."""
    size = int(8000 * 3600 * hours)
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8),
        *(b"data", size),
    )
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
    return path


def write_model(path: Path, calibration: dict) -> None:
    """The tiny model, with the mean embedding of noise taken off.

    So its cosines spread, as those of weights of chance do not.
    """
    model = encoder()
    waves = [torch.from_numpy(noise(1.0, seed))[None] for seed in range(8)]
    with torch.no_grad():
        mean = torch.cat([model(wave) for wave in waves]).mean(0)
        model.embedding_model.fc.conv.bias -= mean.reshape(-1)
    export_onnx(path, model, OnnxFacts("tiny", calibration=calibration))


@contextmanager
def opened(folder, model, heard):
    """The page of a model, open; its microphone hears a file over and over."""
    archive = real_archive()
    browser = Page(
        folder / "profile",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={heard}",
    )
    try:
        with served(export_web(folder / "page", model, archive)) as address:
            browser.address = address
            browser.open(f"{address}/index.html")
            ready(browser)
            yield browser
            assert browser.complaints() == []
    finally:
        browser.close()


def ready(browser):
    browser.until("document.getElementById('status').innerText.match('ready')")


def python(verifier, one, other):
    """Python's score of two files."""
    waves = [load_audio(path).numpy() for path in (one, other)]
    return verifier.verify(*waves).score


def shown(page, one, other):
    """The page's score of two files."""
    page.run("document.getElementById('score').value = ''")
    page.choose(f"{ONE} input", one)
    page.choose(f"{TWO} input", other)
    page.until("document.querySelectorAll('audio:not([hidden])').length == 2")
    return float(page.until(SCORE))


def text(page, selector):
    return page.run(f"document.querySelector({json.dumps(selector)}).innerText")


def permit(page, setting):
    page.send(
        "Browser.setPermission",
        permission={"name": "microphone"},
        setting=setting,
        origin=page.address,
    )
