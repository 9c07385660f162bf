"""Which audio a quantised model is calibrated on."""

import shutil

import pytest
import soundfile
import torch

from speechbrain_kd.data.audio import load_audio
from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.export.int8_audio import training_audio


def test_a_run_has_its_training_utterances(tiny_corpus, tmp_path):
    run = tmp_path / "run"
    prepare_corpus(tiny_corpus, run / "save", progressbar=False)
    wavs = training_audio(run, count=1000)
    rows = (run / "save" / "train.csv").read_text().splitlines()[1:]
    assert len(wavs) == len(rows) > 10
    tested = [load_audio(one) for one in tiny_corpus.glob("wav/id0000[67]/*/*")]
    for wav in wavs:
        assert not any(torch.equal(wav, other) for other in tested)
    few = training_audio(run, count=5)
    assert all(map(torch.equal, few, training_audio(run, count=5)))
    others = training_audio(run, count=5, seed=1)
    assert [len(one) for one in few] != [len(one) for one in others]


def test_audio_that_is_gone(tiny_corpus, tmp_path):
    corpus = shutil.copytree(tiny_corpus, tmp_path / "corpus")
    prepare_corpus(corpus, tmp_path / "run" / "save", progressbar=False)
    shutil.rmtree(corpus / "wav")
    with pytest.raises(FileNotFoundError, match="not on this .*--calibration"):
        training_audio(tmp_path / "run")


def test_a_folder_of_audio(tmp_path, caplog):
    (tmp_path / "deep").mkdir()
    noise = 0.1 * torch.randn(12 * 16000).numpy()
    soundfile.write(tmp_path / "deep" / "long.wav", noise, 16000)
    soundfile.write(tmp_path / "short.wav", noise[:3000], 16000)
    caplog.set_level("INFO")
    (wav,) = training_audio(tmp_path)
    assert len(wav) == 10 * 16000 and "1 utterances, fewer" in caplog.text
    (tmp_path / "deep" / "long.wav").unlink()
    with pytest.raises(ValueError, match="at least 0.3 s, came none in 1 "):
        training_audio(tmp_path)


def test_a_model_is_no_audio(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text("a: 1")
    with pytest.raises(FileNotFoundError, match="give --calibration FOLDER"):
        training_audio(tmp_path)
