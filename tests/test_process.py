"""A training in its own process, and Ctrl-C in this one."""

import signal
import subprocess

import pytest

from speechbrain_kd.process import run_training


def test_an_interrupt_waits_for_the_training(monkeypatch):
    def train(command, check, env):
        assert command[1:] == ["-m", "speechbrain_kd.run", "a.yaml", "--b=1"]
        signal.raise_signal(signal.SIGINT)  # as the terminal sends to all
        return subprocess.CompletedProcess(command, 130)

    monkeypatch.setattr(subprocess, "run", train)
    assert run_training(["a.yaml", "--b=1"]) == 130
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_the_training_is_no_rank(monkeypatch):
    seen = {}
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("KEPT", "1")

    def train(command, check, env):
        seen.update(env)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", train)
    run_training([])
    assert "RANK" not in seen and seen["KEPT"] == "1"
