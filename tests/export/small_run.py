"""A finished run of a tiny student, as `train_kd.py` leaves its folder."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_kd.evaluation.report import write_report
from speechbrain_kd.evaluation.results import measure
from speechbrain_kd.evaluation.score_files import write_scores
from speechbrain_kd.evaluation.trials import TrialList
from speechbrain_kd.export import (
    ExportSpec,
    ModelCard,
    TeacherFacts,
    export_speechbrain,
)

SPEAKERS = ["id1", "id2", "id3"]
#: A path of this machine, which is nobody's business.
TEACHER = "/home/ann/models/cam.onnx"
SEEN = f"not known: its teacher {TEACHER} (3dspeaker-200k)"
YAML = """
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 16
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: 16
    channels: [8, 8, 8, 8, 24]
    attention_channels: 8
    se_channels: 8
    res2net_scale: 2
    lin_neurons: 12
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 12
    out_neurons: 3
"""


def write_run(folder: Path, seen: str = SEEN) -> Path:
    """Scores, report and export of a run without a training."""
    torch.manual_seed(0)
    hparams = load_hyperpyyaml(YAML)
    model = hparams["embedding_model"]
    count = sum(one.numel() for one in model.parameters())
    one, two = np.triu_indices(24, 1)
    names = [f"id{number // 3 + 10}/{number:05d}.wav" for number in range(24)]
    trials = TrialList(one // 3 == two // 3, one, two, names)
    rng = np.random.default_rng(0)
    scores = rng.normal(2 * trials.labels).astype(np.float32)
    folder.mkdir()
    write_scores(folder / "scores.txt", trials, scores)
    found = measure(*trials.split(scores)).to_dict()
    found |= {"params": count, "gmac": 0.001, "ms_per_second": 1.5}
    results = {"student": found | {"bytes": 5000, "seen": seen}}
    write_report(folder / "report", results, {"student": trials.split(scores)})
    spec = ExportSpec(
        hparams_yaml=YAML,
        **{key: hparams[key] for key in hparams if key != "__set_seed"},
        threshold=0.31,
        card=ModelCard(
            "run",
            corpus="realvox",
            seed=1,
            teachers=[TeacherFacts(TEACHER, trained_on=["3dspeaker-200k"])],
            results=results,
            trials="veri_test.txt",
        ),
        labels=SPEAKERS,
        training_data=_training_data(),
    )
    export_speechbrain(folder / "export", spec=spec)
    return folder


def _training_data() -> dict:
    digest = hashlib.sha256("\n".join(SPEAKERS).encode()).hexdigest()
    known = {"name": "realvox", "corpus": None, "speakers": 3}
    nobody = {"trained_on": [], "sets": []}
    return {
        "format": 1,
        "learners": [
            nobody
            | {"who": "itself", "unknown": []}
            | {"sets": [known | {"sha256": digest, "ids": SPEAKERS}]},
            nobody
            | {"who": f"its teacher {TEACHER}", "unknown": ["3dspeaker-200k"]},
        ],
        "teachers": [{"source": TEACHER, "files": {}}],
    }
