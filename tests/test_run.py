"""The steps of a run, each by itself."""

import functools
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
import speechbrain as sb
import torch
from speechbrain.dataio.dataio import load_data_csv

from speechbrain_kd import run
from speechbrain_kd.data import minivox
from speechbrain_kd.data.pipeline import collate
from speechbrain_kd.experiment import Experiment

ROOT = Path(__file__).parents[1]
STUDENT = ROOT / "hparams" / "student.yaml"
PLAIN = {"teacher": None, "distillation": None}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def experiment(corpus, **overrides):
    """student.yaml on a corpus, in the folder ``run``."""
    options = {"data_folder": str(corpus), "output_folder": "run"}
    return Experiment(STUDENT, PLAIN | options | overrides)


# The teacher that is made first


@pytest.fixture
def processes(monkeypatch):
    """Processes that do nothing and end well; gives their commands."""
    commands = []

    def start(command, check, env):
        commands.append(command)
        assert "RANK" not in env and "PATH" in env
        return subprocess.CompletedProcess(command, processes.status)

    processes = SimpleNamespace(commands=commands, status=0)
    monkeypatch.setattr(subprocess, "run", start)
    return processes


def test_a_missing_teacher_is_trained_in_a_process_of_its_own(
    folder, processes, monkeypatch
):
    monkeypatch.setenv("RANK", "0")  # as under torchrun
    run.make_missing_teacher(Experiment(STUDENT))
    assert processes.commands == [
        [
            sys.executable,
            "-m",
            "speechbrain_kd.run",
            "hparams/teacher.yaml",
            "--output_folder=results/demo/teacher",
        ]
    ]


def test_a_teacher_that_is_there_is_not_trained(folder, processes):
    export = folder / "results" / "demo" / "teacher" / "export"
    export.mkdir(parents=True)
    (export / "hyperparams.yaml").touch()
    run.make_missing_teacher(Experiment(STUDENT))
    run.make_missing_teacher(Experiment(STUDENT, PLAIN))
    other = str(ROOT / "hparams" / "teachers" / "campplus_onnx.yaml")
    run.make_missing_teacher(Experiment(STUDENT, {"teacher": other}))
    assert processes.commands == []


def test_a_teacher_whose_training_fails(folder, processes):
    processes.status = 1
    with pytest.raises(ValueError, match="failed: hparams/teacher.yaml"):
        run.make_missing_teacher(Experiment(STUDENT))


def test_the_embedded_corpus_teacher_for_another_corpus(folder, processes):
    with pytest.raises(ValueError, match="data_folder is /mine: name a teach"):
        run.make_missing_teacher(Experiment(STUDENT, {"data_folder": "/mine"}))
    assert processes.commands == []


# The data


def test_the_embedded_corpus_is_made_and_its_classes_counted(
    folder, tiny_corpus, monkeypatch
):
    monkeypatch.setattr(
        minivox, "make_minivox", lambda at: shutil.copytree(tiny_corpus, at)
    )
    made = experiment("minivox")
    run.create_folder(made)
    corpus = run.prepare_data(made)
    assert corpus.data_folders == [folder / "results" / "minivox"]
    assert made.values["data_folder"] == "results/minivox"
    assert made.values["max_speakers"] == 100
    assert made.values["out_n_neurons"] == len(corpus.speakers) == 6
    written = (folder / "run" / "hyperparams.yaml").read_text()
    assert "\nout_n_neurons: 6" in written
    assert written.startswith(f"# {STUDENT} with its overrides\n")
    assert "\ndata_folder: results/minivox" in written


@pytest.mark.parametrize("classes", [6, 9])
def test_classes_that_the_yaml_counts(folder, tiny_corpus, classes):
    made = experiment(tiny_corpus, out_n_neurons=classes)
    run.prepare_data(made)
    assert made.values["out_n_neurons"] == classes


def test_classes_and_rates_that_do_not_fit(folder, tiny_corpus):
    with pytest.raises(ValueError, match="give --out_n_neurons=6"):
        run.prepare_data(experiment(tiny_corpus, out_n_neurons=2))
    with pytest.raises(ValueError, match="sample_rate must be 16000, got 8"):
        run.prepare_data(experiment(tiny_corpus, sample_rate=8000))


# Noises and impulse responses


@pytest.fixture
def prepare(folder):
    """Upstream's preparation, which here only notes that it was called."""
    calls = []

    def download(**settings):
        calls.append(settings)

    settings = {"dest_folder": "noise", "ext": "wav", "csv_file": "noise.csv"}
    return functools.partial(download, **settings), calls


def test_noises_that_are_not_here_are_downloaded(prepare, folder):
    partial, calls = prepare
    run.prepare_augmentation(partial)
    (folder / "noise").mkdir()
    run.prepare_augmentation(partial)
    assert calls == [partial.keywords] * 2


def test_a_folder_of_noises_is_listed(prepare, folder):
    partial, calls = prepare
    (folder / "noise" / "deep").mkdir(parents=True)
    for name in ("deep/a.wav", "b.wav"):
        soundfile.write(folder / "noise" / name, torch.zeros(800), 16000)
    run.prepare_augmentation(partial)
    rows = load_data_csv("noise.csv")
    assert {Path(row["wav"]).name for row in rows.values()} == {
        "a.wav",
        "b.wav",
    }
    (folder / "noise.csv").write_text("kept")
    run.prepare_augmentation(partial)
    assert (folder / "noise.csv").read_text() == "kept" and calls == []


# Building and fitting


def test_build_prepares_augmentation_and_makes_the_brain(
    folder, tiny_corpus, monkeypatch
):
    prepared = []
    monkeypatch.setattr(run, "prepare_augmentation", prepared.append)
    made = experiment(tiny_corpus, prepare_noise_data="some", sentence_len=0.5)
    corpus = run.prepare_data(made)
    brain, train_data, valid_data = run.build(made, corpus, None)
    assert prepared == ["some"]
    assert (len(train_data), len(valid_data)) == (24, 12)
    assert train_data[0]["sig"].shape == valid_data[0]["sig"].shape == (8000,)
    assert brain.hparams.classifier.weight.shape[0] == 6
    assert (folder / "run" / "save" / "label_encoder.txt").is_file()


@pytest.mark.parametrize("utterances, drop_last", [(7, False), (8, True)])
def test_the_loaders(utterances, drop_last):
    calls = []
    options = {"batch_size": 8, "num_workers": 3, "shuffle": False}
    brain = SimpleNamespace(
        fit=lambda *args, **kwargs: calls.append((args, kwargs)),
        hparams=SimpleNamespace(epoch_counter=[1], dataloader_options=options),
        device_type="cpu",
    )
    added = {
        "collate_fn": collate,
        "pin_memory": False,
        "persistent_workers": True,
        "prefetch_factor": 4,
        "multiprocessing_context": "fork",
    }
    run.train(brain, range(utterances), "valid")
    (args, kwargs) = calls[0]
    assert args == ([1], range(utterances), "valid")
    expected = added | options | {"drop_last": drop_last}
    assert kwargs["train_loader_kwargs"] == expected
    expected = added | {"batch_size": 8, "num_workers": 3}
    assert kwargs["valid_loader_kwargs"] == expected


# All of it


@pytest.fixture
def steps(monkeypatch, folder):
    """``main`` with every step but the yaml's replaced."""
    called = []
    for name in ("create_folder", "make_missing_teacher", "prepare_data"):
        monkeypatch.setattr(
            run, name, lambda *_, name=name: called.append(name)
        )
    brain = SimpleNamespace(stores=None)
    monkeypatch.setattr(run, "build", lambda *_: (brain, "train", "valid"))
    monkeypatch.setattr(run, "train", lambda *args: called.append(args[1:]))
    monkeypatch.setattr(run, "finish_run", lambda *args: called.append("end"))
    return called


def test_main_takes_the_command_line(steps, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train_kd.py", str(STUDENT), "--seed=3"])
    run.main()
    assert steps == [
        "create_folder",
        "make_missing_teacher",
        "prepare_data",
        ("train", "valid"),
        "end",
    ]


@pytest.mark.parametrize("step", ["prepare_data", "train", "finish_run"])
def test_ctrl_c_ends_with_its_own_status(steps, monkeypatch, caplog, step):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, step, interrupted)
    with pytest.raises(SystemExit) as caught:
        run.main([str(STUDENT)])
    assert caught.value.code == 130
    assert "The same command goes on from here" in caplog.text
    assert "end" not in steps


def test_a_mistake_of_ours_is_not_hidden(steps, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(run, "build", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run.main([str(STUDENT)])
    assert sb.Stage.TRAIN not in steps
