"""What a run exports, where this package does not exist."""

import json
import subprocess

import pytest
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml
from small_runs import ROOT, checkpoint, environment, python

from speechbrain_kd.students.encoder import SpeakerEncoder

_ELSEWHERE = """\
import json, sys

class Refuse:
    def find_spec(self, name, *given):
        if name.split(".")[0] == "speechbrain_kd":
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Refuse())
import torch
from speechbrain.inference.speaker import EncoderClassifier, SpeakerRecognition

source, out, wavs = json.loads(sys.argv[1])
savedir = out + "-savedir"
verifier = SpeakerRecognition.from_hparams(source=source, savedir=savedir)
encoder = EncoderClassifier.from_hparams(source=source, savedir=savedir)
embeddings = [
    encoder.encode_batch(encoder.load_audio(wav)[None]).flatten()
    for wav in wavs
]
score, same = verifier.verify_files(*wavs[:2])
label = encoder.classify_file(wavs[0])[3]
torch.save([torch.stack(embeddings), float(score), bool(same), label], out)
assert not any(name.startswith("speechbrain_kd") for name in sys.modules)
"""


@pytest.fixture(scope="module")
def wavs(tiny_corpus):
    """Two files of one training speaker, and one of another."""
    names = ["id00001/rec0/00001", "id00001/rec1/00002", "id00004/rec0/00003"]
    return [str(tiny_corpus / "wav" / f"{name}.wav") for name in names]


def test_loads_without_this_package(plain_run, wavs, tmp_path):
    out = tmp_path / "out.pt"
    given = json.dumps([str(plain_run / "export"), str(out), wavs])
    done = subprocess.run(
        python("-c", _ELSEWHERE, given),
        env=environment() | {"PYTHONPATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    embeddings, score, same, label = torch.load(out)
    expected = best_embeddings(plain_run, wavs)
    torch.testing.assert_close(embeddings, expected, atol=1e-5, rtol=0)
    cosine = torch.cosine_similarity(expected[:1], expected[1:2])
    assert score == pytest.approx(cosine.item(), abs=1e-5)
    assert same is True
    assert label == ["id00001"]


def best_embeddings(folder, wavs):
    """By the run's own yaml and best checkpoint; no export in it."""
    yaml = (folder / "hyperparams.yaml").read_text()
    hparams = load_hyperpyyaml(yaml)
    state = torch.load(checkpoint(folder) / "embedding_model.ckpt")
    hparams["embedding_model"].load_state_dict(state)
    encoder = SpeakerEncoder(
        hparams["compute_features"],
        hparams["mean_var_norm"],
        hparams["embedding_model"],
    ).eval()
    with torch.no_grad():
        signals = [torch.tensor(soundfile.read(w)[0]).float() for w in wavs]
        return torch.cat([encoder(signal[None]) for signal in signals])


def test_card_tells_of_the_run(plain_run):
    card = (plain_run / "export" / "README.md").read_text()
    assert "SpeakerRecognition.from_hparams" in card
    assert "tiny_corpus" in card
    assert str(ROOT) not in card
