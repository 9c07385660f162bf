"""Speaker models in exactly the layout that SpeechBrain publishes, small or of
the published sizes, with random weights.

ECAPA and the x-vector load five files. The ResNet's pretrainer loads encoder
and classifier alone: its yaml declares a label encoder, and leaves it empty.
"""

from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml

_ENCODERS = {
    "ecapa": """\
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: {channels}
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: {attention}
    lin_neurons: {dim}
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: {dim}
    out_neurons: !ref <out_n_neurons>
""",
    "resnet": """\
embedding_model: !new:speechbrain.lobes.models.ResNet.ResNet
    input_size: !ref <n_mels>
    channels: {channels}
    strides: [1, 2, 2, 2]
    block_sizes: {blocks}
    lin_neurons: {dim}
classifier: !new:speechbrain.lobes.models.ResNet.Classifier
    input_size: {dim}
    out_neurons: !ref <out_n_neurons>
""",
    "xvector": """\
embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
    in_channels: !ref <n_mels>
    activation: !name:torch.nn.LeakyReLU
    tdnn_blocks: 5
    tdnn_channels: {channels}
    tdnn_kernel_sizes: [5, 3, 3, 1, 1]
    tdnn_dilations: [1, 2, 3, 1, 1]
    lin_neurons: {dim}
classifier: !new:speechbrain.lobes.models.Xvector.Classifier
    input_shape: [null, null, {dim}]
    activation: !name:torch.nn.LeakyReLU
    lin_blocks: 1
    lin_neurons: {dim}
    out_neurons: !ref <out_n_neurons>
""",
}
_SMALL = {
    "ecapa": {"channels": [16] * 4 + [48], "attention": 8, "dim": 12},
    "resnet": {"channels": [8] * 4, "blocks": [1] * 4, "dim": 12},
    "xvector": {"channels": [16] * 4 + [24], "dim": 12},
}
_PUBLISHED = {
    "ecapa": {"channels": [1024] * 4 + [3072], "attention": 128, "dim": 192},
    "resnet": {
        "channels": [128, 128, 256, 256],
        "blocks": [3, 4, 6, 3],
        "dim": 256,
    },
    "xvector": {"channels": [512] * 4 + [1500], "dim": 512},
}
#: Where each kind is published, and the number of its classes there.
HUB_IDS = {
    "ecapa": "speechbrain/spkrec-ecapa-voxceleb",
    "resnet": "speechbrain/spkrec-resnet-voxceleb",
    "xvector": "speechbrain/spkrec-xvect-voxceleb",
}
PUBLISHED_CLASSES = 7205

_YAML = """\
# ################################
# Model: as published on the hub
# ################################
n_mels: {n_mels}
pretrained_path: {hub_id}
out_n_neurons: {classes}

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
{loadables}
    paths:
{paths}
"""
_LOADED = {
    "embedding_model": "embedding_model.ckpt",
    "mean_var_norm_emb": "mean_var_norm_emb.ckpt",
    "classifier": "classifier.ckpt",
    "label_encoder": "label_encoder.txt",
}
#: All files of an ECAPA or an x-vector.
FILES = {"hyperparams.yaml", *_LOADED.values()}


def write_model(
    folder: Path,
    kind: str = "ecapa",
    classes: int = 5,
    published: bool = False,
    seed: int = 3,
    first: int = 10000,
) -> Path:
    """Writes a model with random weights and moved statistics.

    Its classes are the speakers from id10000 (or another number) on.
    """
    folder.mkdir(parents=True)
    sizes = (_PUBLISHED if published else _SMALL)[kind]
    text = _text(kind, classes, sizes)
    (folder / "hyperparams.yaml").write_text(text)
    torch.manual_seed(seed)
    hparams = load_hyperpyyaml(text)
    feats = torch.randn(4, 120, hparams["n_mels"])
    with torch.no_grad():
        hparams["classifier"](hparams["embedding_model"](feats))
    for name in ("embedding_model", "classifier"):
        torch.save(hparams[name].state_dict(), folder / f"{name}.ckpt")
    if kind != "resnet":
        stats = {
            "count": 1,
            "glob_mean": torch.zeros(sizes["dim"]),
            "glob_std": torch.ones(sizes["dim"]),
            "spk_dict_mean": {},  # as the published files still have it
        }
        torch.save(stats, folder / "mean_var_norm_emb.ckpt")
    lines = [
        f"'id{first + index:05d}' => {index}\n" for index in range(classes)
    ]
    ending = "================\n'starting_index' => 0\n"
    (folder / "label_encoder.txt").write_text("".join(lines) + ending)
    return folder


def _text(kind: str, classes: int, sizes: dict) -> str:
    """The yaml of a kind."""
    loaded = ("embedding_model", "classifier") if kind == "resnet" else _LOADED
    loadables = [f"        {name}: !ref <{name}>" for name in loaded]
    paths = [
        f"        {name}: !ref <pretrained_path>/{_LOADED[name]}"
        for name in loaded
    ]
    return _YAML.format(
        hub_id=HUB_IDS[kind],
        n_mels=24 if kind == "xvector" else 80,
        classes=classes,
        encoder=_ENCODERS[kind].format(**sizes),
        loadables="\n".join(loadables),
        paths="\n".join(paths),
    )


def edit(folder, old, new):
    """Changes the yaml of a model folder."""
    path = folder / "hyperparams.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
