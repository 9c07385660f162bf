"""Fixtures for teachers: model folders, a hub, waveforms."""

import time

import pytest
import torch
from small_hub import COMMIT, TINY, point_at, serve
from teacher_layout import write_model


@pytest.fixture
def wavs():
    """Two seconds of noise, four times."""
    return 0.1 * torch.randn(
        4, 32000, generator=torch.Generator().manual_seed(1)
    )


@pytest.fixture
def ecapa(tmp_path):
    """A folder with a small ECAPA, for a test to spoil."""
    return write_model(tmp_path / "ecapa")


@pytest.fixture
def small_hub(tmp_path, monkeypatch):
    """An empty hub of this machine, which the client asks."""
    with serve() as hub:
        point_at(hub, tmp_path / "cache", monkeypatch)
        yield hub


@pytest.fixture
def served(small_hub, ecapa):
    """A hub with one model, one commit and the names main and v1."""
    small_hub.publish(TINY, ecapa, COMMIT, "v1")
    return small_hub


@pytest.fixture
def hub(served):
    """The paths that were asked of that hub."""
    return served.asked


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were to be waited, which nobody waits."""
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited
