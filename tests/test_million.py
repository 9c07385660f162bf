import os
import subprocess

import pytest

from speechbrain_kd import million


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
    before = million.memory_mb()
    ballast = b"x" * 50_000_000
    after = million.memory_mb()
    assert after["private"] - before["private"] > 0.9 * len(ballast) / 2**20
    assert after["private"] <= after["pss"] <= after["rss"]


def test_a_process_that_ended_has_no_memory():
    with subprocess.Popen(["sleep", "60"]) as process:
        assert len(million.tree_memory_mb(os.getpid())) >= 2
        process.kill()
    assert million.tree_memory_mb(process.pid) == []


def test_a_folder_that_is_there_is_not_touched(tmp_path):
    keep = tmp_path / "keep.txt"
    keep.write_text("mine")
    with pytest.raises(FileExistsError):
        million.main(["--folder", str(tmp_path), "--files", "170"])
    assert keep.read_text() == "mine"
