"""Small speaker models in exactly the layout that SpeechBrain publishes."""

from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml

_ENCODERS = {
    "ecapa": """\
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [16, 16, 16, 16, 48]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 8
    lin_neurons: 12
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 12
    out_neurons: !ref <out_n_neurons>
""",
    "resnet": """\
embedding_model: !new:speechbrain.lobes.models.ResNet.ResNet
    input_size: !ref <n_mels>
    channels: [8, 8, 8, 8]
    strides: [1, 2, 2, 2]
    block_sizes: [1, 1, 1, 1]
    lin_neurons: 12
classifier: !new:speechbrain.lobes.models.ResNet.Classifier
    input_size: 12
    out_neurons: !ref <out_n_neurons>
""",
    "xvector": """\
embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
    in_channels: !ref <n_mels>
    activation: !name:torch.nn.LeakyReLU
    tdnn_blocks: 5
    tdnn_channels: [16, 16, 16, 16, 24]
    tdnn_kernel_sizes: [5, 3, 3, 1, 1]
    tdnn_dilations: [1, 2, 3, 1, 1]
    lin_neurons: 12
classifier: !new:speechbrain.lobes.models.Xvector.Classifier
    input_shape: [null, null, 12]
    activation: !name:torch.nn.LeakyReLU
    lin_blocks: 1
    lin_neurons: 12
    out_neurons: !ref <out_n_neurons>
""",
}

_YAML = """\
# ################################
# Model: as published on the hub
# ################################
pretrained_path: speechbrain/spkrec-{kind}-voxceleb
n_mels: {n_mels}
out_n_neurons: 5

compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
{encoder}
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        mean_var_norm_emb: !ref <mean_var_norm_emb>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        mean_var_norm_emb: !ref <pretrained_path>/mean_var_norm_emb.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


def write_model(folder: Path, kind: str = "ecapa") -> Path:
    """Writes a small model with random weights and moved statistics."""
    folder.mkdir(parents=True)
    text = _YAML.format(
        kind=kind,
        n_mels=24 if kind == "xvector" else 80,
        encoder=_ENCODERS[kind],
    )
    (folder / "hyperparams.yaml").write_text(text)
    torch.manual_seed(3)
    hparams = load_hyperpyyaml(text)
    feats = torch.randn(4, 120, hparams["n_mels"])
    hparams["classifier"](hparams["embedding_model"](feats))
    for name in ("embedding_model", "classifier"):
        torch.save(hparams[name].state_dict(), folder / f"{name}.ckpt")
    stats = {
        "count": 1,
        "glob_mean": torch.zeros(12),
        "glob_std": torch.ones(12),
        "spk_dict_mean": {},  # as the published files still have it
    }
    torch.save(stats, folder / "mean_var_norm_emb.ckpt")
    lines = [f"'id1000{index}' => {index}\n" for index in range(5)]
    ending = "================\n'starting_index' => 0\n"
    (folder / "label_encoder.txt").write_text("".join(lines) + ending)
    return folder
