"""A damaged store gives the right embedding or none, never another."""

import shutil
import subprocess

import pytest
import torch
from test_store import check, crop_sum, fill, make

from speechbrain_kd.teachers.store_files import StoreFull
from speechbrain_kd.teachers.store_record import record_size

NAMES = ["a", "b", "c", "d"]
VIEWS = [0, 1]


@pytest.fixture
def whole(tmp_path):
    """A store, and what it holds."""
    store = make(tmp_path, dim=3)
    return store, fill(store, NAMES, VIEWS)


def shard(store, view=0):
    """The file of a view."""
    return store.path / f"shard-00000.view-{view:03d}.bin"


def never_wrong(folder, expected):
    """Reads all by a fresh store; gives how many were right, fails if any
    was wrong. Each way of looking must agree."""
    store = make(folder, dim=3)
    right = 0
    for (name, view), row in expected.items():
        found = store.read(name, view, crop_sum(name, view))
        assert found is None or found.tobytes() == row.tobytes(), (name, view)
        right += found is not None
        assert store.holds([name], view)[0] == (found is not None)
    return right


def mended(folder, expected):
    """Stores the same anew: then all is there."""
    store = make(folder, dim=3)
    check(store, expected | fill(store, NAMES, VIEWS))


def test_any_flipped_byte(whole):
    store, expected = whole
    folder = store.path.parent
    assert never_wrong(folder, expected) == 8
    files = [shard(store, 0), shard(store, 1), store.path / "index.bin"]
    for path in files:
        intact = path.read_bytes()
        for place in range(len(intact)):
            for flip in (0x01, 0x80, 0xFF):
                spoiled = bytearray(intact)
                spoiled[place] ^= flip
                path.write_bytes(spoiled)
                # A byte of a record costs it; one of the index, two views.
                lost = 2 if path.name == "index.bin" else 1
                assert never_wrong(folder, expected) == 8 - lost
        path.write_bytes(intact)
    spoiled = bytearray(intact)
    spoiled[3] ^= 4
    path.write_bytes(spoiled)
    mended(folder, expected)


def test_a_damaged_record_is_told_of_once(whole, caplog):
    store, expected = whole
    size = record_size(3)
    with open(shard(store, 1), "r+b") as stream:
        for row in (1, 2):
            stream.seek(row * size + 10)
            stream.write(b"\xaa\xbb")
    for name in NAMES:
        store.read(name, 1, crop_sum(name, 1))
    assert store.refused.damaged == 2 and store.refused.changed == 0
    assert caplog.text.count("is damaged") == 1
    assert f"{shard(store, 1)} is damaged: the record of view 1 of b" in (
        caplog.text
    )
    reports = store.verify()
    assert [report.view for report in reports] == [0, 1]
    assert [report.whole for report in reports] == [4, 2]
    assert [report.damaged for report in reports] == [0, 2]
    assert [report.absent for report in reports] == [0, 0]
    mended(store.path.parent, expected)


def test_a_truncated_shard(whole):
    store, expected = whole
    size = record_size(3)
    for length in range(4 * size - 1, -1, -1):
        with open(shard(store), "r+b") as stream:
            stream.truncate(length)
        # Also by the store that had the longer file open.
        for name in NAMES:
            found = store.read(name, 0, crop_sum(name, 0))
            assert found is None or NAMES.index(name) < length // size
        right = never_wrong(store.path.parent, expected)
        assert right == 4 + length // size
    (first, _) = store.verify()
    assert (first.whole, first.absent, first.damaged) == (0, 4, 0)
    mended(store.path.parent, expected)


def test_a_truncated_index(whole):
    store, expected = whole
    index = store.path / "index.bin"
    for length in range(31, -1, -1):
        with open(index, "r+b") as stream:
            stream.truncate(length)
        right = never_wrong(store.path.parent, expected)
        assert right == 2 * (length // 8)
    # The rows of others are given away, their records not mistaken.
    again = make(store.path.parent, dim=3)
    again.register(reversed(NAMES))
    assert never_wrong(store.path.parent, expected) == 0
    mended(store.path.parent, expected)
    check(store, expected | fill(store, NAMES, VIEWS))


@pytest.mark.parametrize("torn", [1, 5, 7])
def test_a_torn_end_of_the_index(whole, torn):
    store, expected = whole
    with open(store.path / "index.bin", "ab") as stream:
        stream.write(b"\x01" * torn)
    assert never_wrong(store.path.parent, expected) == 8
    again = make(store.path.parent, dim=3)
    expected |= fill(again, ["e"], [0], seed=1)
    assert (store.path / "index.bin").stat().st_size == 5 * 8
    check(again, expected)
    check(store, expected)


def test_zeroed_blocks_and_shifted_records(whole):
    store, expected = whole
    size = record_size(3)
    intact = shard(store).read_bytes()
    shard(store).write_bytes(bytes(len(intact)))
    assert never_wrong(store.path.parent, expected) == 4
    assert store.verify()[0].absent == 4
    for shift in (1, size, 2 * size):
        shard(store).write_bytes(intact[shift:] + intact[:shift])
        assert never_wrong(store.path.parent, expected) == 4
    shard(store).write_bytes(shard(store, 1).read_bytes())
    assert never_wrong(store.path.parent, expected) == 4
    shard(store).unlink()
    assert never_wrong(store.path.parent, expected) == 4
    (store.path / "index.bin").unlink()
    assert never_wrong(store.path.parent, expected) == 0
    mended(store.path.parent, expected)


def test_files_of_another_teacher(tmp_path):
    """Copied from one folder to another, they are of no use there."""
    store = make(tmp_path, dim=3)
    other = make(tmp_path, dim=3, fingerprint="other")
    fill(store, NAMES, VIEWS)
    for file in store.path.glob("*.bin"):
        shutil.copy(file, other.path)
    for name in NAMES:
        assert other.read(name, 0, crop_sum(name, 0)) is None
    assert other.refused.damaged == len(NAMES)


def test_an_all_zero_embedding_is_stored(tmp_path):
    store = make(tmp_path, dim=3)
    expected = fill(store, ["a"], [0])
    check(store, expected)
    store.write(["a"], [0], [0], torch.zeros(1, 3))
    assert store.read("a", 0, 0).tolist() == [0.0, 0.0, 0.0]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here, so no small file system")
    if done.returncode:
        pytest.skip(f"a small file system needs root: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk):
    store = make(small_disk, dim=64)
    names = [f"u{number}" for number in range(300)]
    expected, stopped = {}, None
    for start in range(0, 300, 20):
        try:
            expected |= fill(store, names[start : start + 20], VIEWS, start)
        except StoreFull as error:
            stopped = error
            break
    assert stopped is not None and len(expected) >= 80
    assert f"{store.path} is full (No space left on device" in str(stopped)
    assert "2720 bytes to write, 0 free" in str(stopped)
    check(store, expected)
    with pytest.raises(StoreFull):  # the index, too, cannot grow for ever
        store.register(f"more{number}" for number in range(20_000))
    assert (store.path / "index.bin").stat().st_size % 8 == 0
    with pytest.raises(StoreFull):
        make(small_disk, dim=64, filler=[number for number in range(30_000)])
    check(make(small_disk, dim=64), expected)
    for report in store.verify():
        assert report.damaged <= 1
    room = ["mount", "-o", "remount,size=1m", str(small_disk)]
    subprocess.run(room, check=True)
    store.register(names)
    check(store, expected | fill(store, names, VIEWS, seed=9))
