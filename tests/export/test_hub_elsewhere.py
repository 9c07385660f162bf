"""A pushed model, loaded by its id where this package does not exist.

$SPEECHBRAIN_PYTHON may name the Python of an environment with SpeechBrain
alone; without it, this one's is told that there is no such package.
"""

import json
import os
import subprocess
import sys

import pytest
import torch
from hub_uploads import UploadHub, Uploads
from small_hub import point_at, serve
from small_run import write_run
from speechbrain.inference.speaker import SpeakerRecognition

from speechbrain_kd.push import main

# huggingface_hub's own way of sending a file.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:httpx2.*"),
]

ID = "ann/tiny"
_ELSEWHERE = """\
import json, sys

class Refuse:
    def find_spec(self, name, *given):
        if name.split(".")[0] == "speechbrain_kd":
            raise ImportError(f"{name} is not installed here")

source, out, alone = json.loads(sys.argv[1])
if not alone:
    sys.meta_path.insert(0, Refuse())
try:
    import speechbrain_kd
except ImportError:
    pass
else:
    sys.exit("this package is here")
import torch
from speechbrain.inference.speaker import SpeakerRecognition

verifier = SpeakerRecognition.from_hparams(source, savedir=out + "-savedir")
wavs = 0.1 * torch.randn(2, 16000, generator=torch.manual_seed(1))
score, same = verifier.verify_batch(wavs[:1], wavs[1:])
embedding = verifier.encode_batch(wavs)
threshold = verifier.hparams.threshold
torch.save([embedding, float(score), threshold], out)
"""


def test_by_id_with_speechbrain_alone(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    python = os.environ.get("SPEECHBRAIN_PYTHON")
    with serve(UploadHub(root=tmp_path / "hub"), Uploads) as hub:
        point_at(hub, tmp_path / "cache", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", hub.token)
        main([str(run), ID, "--license=apache-2.0", "--draws=20"])
        given = json.dumps([ID, str(tmp_path / "out.pt"), bool(python)])
        done = subprocess.run(
            [python or sys.executable, "-I", "-c", _ELSEWHERE, given],
            env={
                **{"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"},
                **{"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"},
                "HF_HOME": str(tmp_path / "home"),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    embedding, score, threshold = torch.load(tmp_path / "out.pt")
    ours = SpeakerRecognition.from_hparams(str(run / "export"))
    wavs = 0.1 * torch.randn(2, 16000, generator=torch.manual_seed(1))
    expected = ours.encode_batch(wavs)
    torch.testing.assert_close(embedding, expected, atol=1e-5, rtol=0)
    cosine = torch.cosine_similarity(expected[0], expected[1])
    assert score == pytest.approx(cosine.item(), abs=1e-5)
    assert threshold == 0.31
