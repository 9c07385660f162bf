"""Runs in which utterances are heard at other speeds and by other channels."""

import json

import pytest
from small_runs import HPARAMS, distil, train, train_log

SPEEDS = "--speeds=[1.0, 1.0, 0.9, 1.1]"
CHANNEL = f"--wav_augment={HPARAMS / 'augment' / 'channel.yaml'}"


@pytest.mark.parametrize("views", [0, 2])
def test_pseudo_speakers_are_classes_of_their_own(
    tiny_corpus, teacher, tmp_path, watched, views
):
    folder = distil(
        tiny_corpus,
        tmp_path / "run",
        teacher,
        SPEEDS,
        CHANNEL,
        f"--teacher_views={views}",
        "--number_of_epochs=2",
    )
    brain = watched.brain
    assert brain.hparams.out_n_neurons == 18
    assert brain.modules.classifier.weight.shape[0] == 18
    labels = (folder / "export" / "label_encoder.txt").read_text()
    assert "'id00000' => 0" in labels and "'id00000@0.9' => 6" in labels
    assert "'id00005@1.1' => 17" in labels
    # Six of the eighteen are known to the teacher.
    assert all(entry["train posteriors"] > 0 for entry in train_log(folder))
    card = json.loads((folder / "export" / "training_data.json").read_text())
    assert not any("@" in one for one in card["learners"][0]["sets"][0]["ids"])


def test_the_baseline_hears_the_same(tiny_corpus, tmp_path):
    folder = train(tiny_corpus, tmp_path / "run", SPEEDS, CHANNEL)
    labels = (folder / "save" / "label_encoder.txt").read_text()
    assert "'id00000' => 0" in labels and "'id00005@1.1' => 17" in labels
    with pytest.raises(SystemExit, match="of an earlier run"):
        train(tiny_corpus, tmp_path / "run", CHANNEL)
    with pytest.raises(
        SystemExit, match="18 classes .6 speakers, 3 speeds.: giv"
    ):
        train(tiny_corpus, tmp_path / "few", SPEEDS, "--out_n_neurons=6")
