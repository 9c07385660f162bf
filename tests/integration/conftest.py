"""Fixtures of whole runs."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_runs import train, write_teacher

from speechbrain_kd import run


@pytest.fixture(scope="session")
def plain_run(tiny_corpus, tmp_path_factory) -> Path:
    """A finished run without a teacher. Tests must not write into it."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    return train(tiny_corpus, folder, "--number_of_epochs=12")


@pytest.fixture(scope="session")
def teacher(plain_run, tmp_path_factory) -> Path:
    """A fragment: that run as teacher."""
    return write_teacher(tmp_path_factory.mktemp("fragments"), plain_run)


@pytest.fixture
def watched(monkeypatch) -> SimpleNamespace:
    """The Brain of the run that a test makes, and its teacher beforehand."""
    seen = SimpleNamespace(brain=None, teacher=None, data=None)
    fit = run.train

    def watch(brain, *datasets):
        seen.brain, seen.data = brain, datasets[0]
        if brain.teacher is not None:
            seen.teacher = copy.deepcopy(brain.teacher.state_dict())
        seen.classifier = copy.deepcopy(brain.modules.classifier.state_dict())
        fit(brain, *datasets)

    monkeypatch.setattr(run, "train", watch)
    return seen


@pytest.fixture
def training_only(monkeypatch) -> None:
    """Runs end with the training: what follows it is tested elsewhere."""
    monkeypatch.setattr(run, "finish_run", lambda *given: None)
