"""What a stored view costs, without a clock."""

import itertools
import json

import pytest

from speechbrain_kd.bench import store
from speechbrain_kd.bench.common import Options
from speechbrain_kd.teachers.store import TeacherStore
from speechbrain_kd.teachers.store_record import record_size


@pytest.fixture
def ticks(monkeypatch):
    """A clock that moves on by a second whenever it is asked."""
    clock = itertools.count()
    monkeypatch.setattr(store.time, "perf_counter", lambda: float(next(clock)))


def test_bytes_times_and_large_corpora(tmp_path, monkeypatch, ticks):
    monkeypatch.setattr(store, "VIEWS", 1600)
    monkeypatch.setattr(store, "DIMS", (4, 8))
    monkeypatch.setattr(store, "step_seconds", lambda options: 0.32)
    facts = store.measure(Options(work=tmp_path, batch_size=64))
    facts = json.loads(json.dumps(facts))
    assert list(tmp_path.iterdir()) == []
    assert facts["step_us"] == 5000
    cost = facts["dims"]["4"]
    assert cost["read_s"] == 8  # eight views, a second each
    assert cost["read_us"] == cost["write_us"] == 1e6 / 200
    assert cost["share_of_step"] == 0.5
    # A record, and a share of index and recipe.
    assert record_size(4) < cost["bytes_a_view"] < record_size(4) + 4
    large = cost["gigabytes"]
    assert large["voxceleb2"] == cost["bytes_a_view"] * 8 * 1.09e6 / 1e9
    assert large["hundredfold"] == pytest.approx(100 * large["voxceleb2"])
    rows = store.report(facts).splitlines()
    assert rows[2].startswith("| 4 | ") and rows[3].startswith("| 8 | ")
    assert "50.00%" in rows[2] and "GB, 109M x 8" in rows[0]


def test_a_store_that_forgets_is_not_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(TeacherStore, "write", lambda *_: None)
    with pytest.raises(ValueError, match="2 views cannot be read"):
        store.measure_store(tmp_path, dim=4, views=16)
