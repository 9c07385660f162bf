"""Many files: the tree, the steps, memory and the table."""

import json
import mmap
import os
import subprocess

import pytest

from speechbrain_kd.bench import million
from speechbrain_kd.bench.common import Options
from speechbrain_kd.bench.memory import memory_mb, tree_memory_mb


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("million")
    million.make_tree(folder / "tree", 400)
    return folder, million.prepare(folder)


def test_the_tree_is_prepared_whole(prepared):
    folder, result = prepared
    assert result["speakers"] == 3
    rows = [
        (folder / "save" / name).read_text().splitlines()[1:]
        for name in ("train.csv", "dev.csv")
    ]
    assert sum(map(len, rows)) == 400


@pytest.mark.parametrize("workers", [0, 2])
def test_both_datasets_hold_the_same_and_all_processes_are_seen(
    prepared, workers
):
    folder, _ = prepared
    table = million.load(folder, "table", workers)
    dicts = million.load(folder, "dicts", workers)
    assert table["utterances"] == dicts["utterances"] == 360
    for result in (table, dicts):
        for moment in ("start", "middle", "end"):
            assert len(result[moment]) == 1 + workers


def test_memory_of_a_process_is_that_of_its_pages():
    before = memory_mb()
    # Not of the heap, which may have as much that is free.
    ballast = mmap.mmap(-1, 50_000_000, flags=mmap.MAP_PRIVATE)
    ballast.write(b"x" * len(ballast))
    after = memory_mb()
    assert after["private"] - before["private"] > 0.5 * len(ballast) / 2**20
    assert after["private"] <= after["pss"] <= after["rss"]


def test_a_process_that_ended_has_no_memory():
    with subprocess.Popen(["sleep", "60"]) as process:
        assert len(tree_memory_mb(os.getpid())) >= 2
        process.kill()
    assert tree_memory_mb(process.pid) == []


def test_a_folder_that_is_there_is_not_touched(tmp_path):
    keep = tmp_path / "million" / "keep.txt"
    keep.parent.mkdir()
    keep.write_text("mine")
    with pytest.raises(ValueError, match="is there already"):
        million.measure(Options(work=tmp_path, files=170))
    assert keep.read_text() == "mine"


def fake_step(step, folder, *options):
    """The step in this process, with memory that is easy to add up."""
    if step == "prepare":
        said = million.prepare(folder)
    else:
        said = million.load(folder, step, workers=0)
        processes = 1 + int(options[1])
        for moment, private in (("start", 10.0), ("end", 15.0)):
            said[moment] = [{"private": private}] * processes
    return said | {"peak_mb": {"pss": 70.0, "rss": 80.0}}


def test_all_steps_and_nothing_left(tmp_path, monkeypatch):
    monkeypatch.setattr(million, "run_step", fake_step)
    facts = million.measure(Options(work=tmp_path, files=200))
    facts = json.loads(json.dumps(facts))
    assert not (tmp_path / "million").exists()
    assert facts["tree"]["speakers"] == 2
    assert facts["bytes"]["train.csv"] > 0
    rows = million.report(facts).splitlines()
    loaded = [row for row in rows if row.startswith("| our table | 2 |")]
    assert len(loaded) == 1 and loaded[0].endswith("| 30 | 45 | 15 |")
    assert any(row.startswith("| first time |") for row in rows)


def test_a_step_that_fails_is_an_error(tmp_path, capfd):
    with pytest.raises(RuntimeError, match="step table ended with 1"):
        million.run_step("table", tmp_path)
    assert "train.csv" in capfd.readouterr().err
