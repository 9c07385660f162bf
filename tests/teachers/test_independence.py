"""An embedding is the utterance's alone, whatever it is embedded with."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization
from teacher_layout import write_model
from test_onnx import Pooled, export

from speechbrain_kd.evaluation import embed_files
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.teachers import OnnxTeacher, RunTeacher, SpeechBrainTeacher
from speechbrain_kd.teachers.pooling import silence_pooling

STUDENTS = Path(__file__).parents[2] / "hparams" / "students"
CAMPPLUS = Path("/work/tmp/campplus.onnx")
LENGTHS = (16000, 24000, 16000, 20001, 24000, 16000, 1200)
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Noise of several lengths, some alike."""
    folder, rng = tmp_path_factory.mktemp("wav"), np.random.default_rng(0)
    found = {}
    for number, samples in enumerate(LENGTHS):
        found[f"u{number}"] = folder / f"{number}.wav"
        wav = 0.1 * rng.standard_normal(samples)
        soundfile.write(found[f"u{number}"], wav, 16000, subtype="FLOAT")
    return found


def check(embed, files):
    """All at once, backwards, a few at a time and each alone are one."""
    names = list(files)
    rows = unit(embed_files(embed, files, progressbar=False)[1])
    assert rows.isfinite().all()
    orders = [names[::-1], [names[at] for at in (5, 0, 3, 6, 1, 2, 4)]]
    for order, size in zip(orders, (32, 2), strict=True):
        shuffled = {name: files[name] for name in order}
        ids, again = embed_files(
            embed, shuffled, batch_size=size, progressbar=False
        )
        place = [ids.index(name) for name in names]
        torch.testing.assert_close(
            unit(again[place]), rows, atol=TOLERANCE, rtol=0
        )
    for row, name in zip(rows, names, strict=True):
        _, alone = embed_files(embed, {name: files[name]}, progressbar=False)
        torch.testing.assert_close(unit(alone)[0], row, atol=TOLERANCE, rtol=0)


def unit(rows):
    """Rows of length one, as they are scored."""
    return torch.nn.functional.normalize(rows, dim=1)


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in STUDENTS.glob("*.yaml"))
)
def test_students(name, files):
    torch.manual_seed(0)
    made = load_hyperpyyaml(f"made: !include:{STUDENTS / name}.yaml")["made"]
    norm = InputNormalization(norm_type="sentence", std_norm=False)
    encoder = SpeakerEncoder(Fbank(n_mels=80), norm, made).eval()
    # SpeechBrain's x-vector adds noise of up to 9e-5 in eval mode too.
    silence_pooling(encoder)
    check(encoder, files)


@pytest.mark.parametrize("kind", ["ecapa", "resnet", "xvector"])
def test_folders(kind, files, tmp_path):
    folder = write_model(tmp_path / "run" / "export", kind)
    check(SpeechBrainTeacher(str(folder)).embed, files)
    check(RunTeacher(str(tmp_path / "run")).embed, files)


def test_small_onnx(files, tmp_path):
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    path = export(tmp_path / "a.onnx", Pooled(), torch.randn(2, 50, 80))
    check(OnnxTeacher(str(path), num_threads=1).embed, files)


@pytest.mark.skipif(not CAMPPLUS.is_file(), reason=f"no {CAMPPLUS}")
def test_campplus(files):
    check(OnnxTeacher(str(CAMPPLUS), num_threads=1).embed, files)
