"""SpeechBrain's own speaker recipes, given their paths alone."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from small_runs import BOTH, checkpoint, train_log

from speechbrain_kd import run

OWN = Path(__file__).parent / "own_recipe.yaml"
UPSTREAM = ("train_ecapa_tdnn", "train_resnet", "train_x_vectors")


@pytest.fixture(scope="module")
def paths(tiny_corpus, tmp_path_factory):
    """Overrides of the data's, the noises' and the impulse responses' paths."""
    folder = tmp_path_factory.mktemp("augmentation")
    rng = np.random.default_rng(5)
    for kind, shape in (("noise", 24000), ("rir", 800)):
        (folder / kind).mkdir()
        for number in range(3):
            wav = 0.1 * rng.standard_normal(shape)
            if kind == "rir":
                wav = wav * np.exp(-np.arange(shape) / 100)
                wav[0] = 0.9
            soundfile.write(folder / kind / f"{number}.wav", wav, 16000)
    return [
        f"--data_folder={tiny_corpus}",
        f"--data_folder_noise={folder / 'noise'}",
        f"--data_folder_rir={folder / 'rir'}",
        f"--verification_file={tiny_corpus / 'meta' / 'veri_test.txt'}",
        *("--device=cpu", "--noprogressbar"),
    ]


def test_own_recipe(paths, tmp_path, watched):
    folder = tmp_path / "run"
    run.main([str(OWN), *paths, f"--output_folder={folder}"])
    log = train_log(folder)
    assert [entry["epoch"] for entry in log] == [1, 2]
    assert all(np.isfinite(entry["train classification"]) for entry in log)
    # The scheduler counts batches: 4 an epoch, half a cycle in 2.
    assert watched.brain.hparams.lr_annealing.clr_iterations == 8
    assert (checkpoint(folder) / "lr_annealing.ckpt").is_file()
    for name in ("noise", "rir"):
        assert len((folder / f"save/{name}.csv").read_text().splitlines()) == 4
    assert (folder / "report" / "results.json").is_file()
    labels = (folder / "export" / "label_encoder.txt").read_text()
    assert "'id00005' => 5" in labels
    assert "'no-speaker-8' => 8" in labels  # the yaml has nine classes


def test_own_recipe_gains_a_teacher(
    paths, teacher, tmp_path, watched, training_only
):
    """With the two keys given; five waveforms an utterance, augmented."""
    folder = tmp_path / "run"
    given = [f"--teacher={teacher}", f"--distillation={BOTH}"]
    run.main([str(OWN), *paths, f"--output_folder={folder}", *given])
    assert train_log(folder)[1]["train embedding"] > 0
    assert watched.brain.optimizer_step == 8


def test_a_list_that_cannot_be_had(paths, tmp_path):
    """The yaml's URL, which nobody answers: said before any training."""
    given = [path for path in paths if "verification" not in path]
    with pytest.raises(SystemExit) as stop:
        run.main([str(OWN), *given, f"--output_folder={tmp_path / 'run'}"])
    assert "https://localhost/veri_test2.txt" in str(stop.value)
    assert not (tmp_path / "run" / "train_log.txt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", UPSTREAM)
def test_upstream(paths, tmp_path, name, upstream_hparams):
    recipe = upstream_hparams / f"{name}.yaml"
    folder = tmp_path / "run"
    size = [
        *("--debug", "--debug_batches=1", "--debug_epochs=1"),
        *("--batch_size=4", "--sentence_len=0.8", "--num_workers=0"),
    ]
    run.main([str(recipe), *paths, f"--output_folder={folder}", *size])
    log = train_log(folder)
    assert [entry["epoch"] for entry in log] == [1]
    assert all(np.isfinite(entry["train classification"]) for entry in log)
    state = torch.load(folder / "export" / "embedding_model.ckpt")
    assert all(value.isfinite().all() for value in state.values())
