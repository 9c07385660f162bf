"""The measurement of the error rates, small."""

import json

import pytest

from speechbrain_kd.bench import metrics
from speechbrain_kd.bench.common import Options


def test_values_are_those_of_speechbrain():
    for found in metrics.against_speechbrain(600).values():
        # Its thresholds are scores and their middles: no line between points.
        assert found["ours"] == pytest.approx(found["theirs"], abs=1 / 300)
        assert found["ratio"] > 0


def test_all_sections_are_measured_and_shown(monkeypatch):
    monkeypatch.setattr(metrics, "VOXCELEB_O", 200)
    monkeypatch.setattr(metrics, "SIZES", (3000,))
    monkeypatch.setattr(metrics, "CORPORA", 3)
    monkeypatch.setattr(metrics, "DRAWS", 5)
    facts = json.loads(json.dumps(metrics.measure(Options())))
    size = facts["sizes"][0]
    assert size["trials"] == 3000 and 0 < size["rates"]["eer"] < 0.1
    assert size["peak_mb"] >= size["before_mb"] > 0
    rows = metrics.report(facts).splitlines()
    assert sum(row.startswith("| min_dcf, ") for row in rows) == 3
    assert any(row.startswith("| 3,000 |") for row in rows)
    assert any("5 draws of 1,251 speakers with 3,000" in row for row in rows)
