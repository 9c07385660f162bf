"""Tiny speaker models as ONNX files."""

from pathlib import Path

import torch
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.export.onnx_facts import OnnxFacts
from speechbrain_kd.export.onnx_file import export_onnx
from speechbrain_kd.students.encoder import SpeakerEncoder

CALIBRATION = {
    "score": "cosine",
    "eer_threshold": 0.4,
    "calibration": {"weights": [8.0], "offset": -4.0, "quality_names": []},
    "with_quality": {"weights": [1.0, 1.0], "offset": 0.0},
}


def encoder(embedding_model: torch.nn.Module | None = None) -> SpeakerEncoder:
    """An encoder of 16 mel bins; by default a little trained ECAPA-TDNN."""
    if embedding_model is None:
        torch.manual_seed(0)
        embedding_model = ECAPA_TDNN(
            16,
            channels=[8, 8, 8, 8, 24],
            attention_channels=8,
            se_channels=8,
            res2net_scale=2,
            lin_neurons=12,
        )
        # Its statistics have moved.
        embedding_model.train()(torch.randn(4, 60, 16))
    norm = InputNormalization(norm_type="sentence", std_norm=False)
    return SpeakerEncoder(Fbank(n_mels=16), norm, embedding_model).eval()


def write(path: Path, calibration: dict | None = CALIBRATION) -> SpeakerEncoder:
    """Writes the tiny ECAPA-TDNN, and gives it."""
    model = encoder()
    export_onnx(path, model, OnnxFacts("tiny", calibration=calibration))
    return model
