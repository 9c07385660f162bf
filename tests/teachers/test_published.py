"""The fragments of the published teachers, from a hub, in their full sizes."""

from pathlib import Path

import pytest
import torch
import yaml
from hyperpyyaml import load_hyperpyyaml
from small_hub import COMMIT
from speechbrain.inference.classifiers import EncoderClassifier
from teacher_layout import HUB_IDS, PUBLISHED_CLASSES, write_model

from speechbrain_kd.teachers.pooling import silence_pooling

FRAGMENTS = Path(__file__).parents[2] / "hparams" / "teachers"
NAMES = {
    "ecapa": "spkrec_ecapa_voxceleb.yaml",
    "resnet": "spkrec_resnet_voxceleb.yaml",
    "xvector": "spkrec_xvect_voxceleb.yaml",
}


def publish(hub, kind, folder):
    """Serves a folder as the commit that the fragment pins."""
    text = (FRAGMENTS / NAMES[kind]).read_text()
    keys = yaml.safe_load(text.partition("SpeechBrainTeacher")[2])
    assert keys["source"] == HUB_IDS[kind]
    commit = keys["revision"] or COMMIT
    hub.publish(keys["source"], folder, commit)
    return commit


def load(kind, folder):
    """The teacher as an experiment's yaml includes it."""
    path = folder / "experiment.yaml"
    path.write_text(f"teacher: !include:{FRAGMENTS / NAMES[kind]}")
    with path.open() as stream:
        return load_hyperpyyaml(stream)["teacher"]


@pytest.mark.parametrize("kind", NAMES)
def test_equals_speechbrain(kind, small_hub, tmp_path):
    folder = write_model(
        tmp_path / kind, kind, PUBLISHED_CLASSES, published=True
    )
    commit = publish(small_hub, kind, folder)
    teacher = load(kind, tmp_path)
    assert teacher.revision == commit
    assert len(teacher.labels) == PUBLISHED_CLASSES
    theirs = EncoderClassifier.from_hparams(
        source=str(folder),
        savedir=str(tmp_path / "saved"),
        overrides={"pretrained_path": str(folder)},
    )
    silence_pooling(theirs)
    wavs = 0.1 * torch.randn(2, 12000)
    lens = torch.tensor([1.0, 0.6])
    for given in ((wavs[:1], torch.ones(1)), (wavs, lens)):
        with torch.no_grad():
            expected = theirs.encode_batch(*given).squeeze(1)
        torch.testing.assert_close(
            teacher(*given).embeddings, expected, atol=1e-6, rtol=1e-6
        )


@pytest.mark.parametrize("kind", NAMES)
def test_another_model_is_refused(kind, small_hub, tmp_path):
    publish(small_hub, kind, write_model(tmp_path / kind, kind))
    with pytest.raises(ValueError, match="classes: expected 7205, got 5"):
        load(kind, tmp_path)
