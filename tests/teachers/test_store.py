"""The store of the teacher's embeddings: what goes in comes out."""

import json
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch

from speechbrain_kd.teachers.store import TeacherStore
from speechbrain_kd.teachers.store_files import ROWS, StoreFull
from speechbrain_kd.teachers.store_index import Index, digest_of, digests_of
from speechbrain_kd.teachers.store_record import record_size

RECIPE = {"sentence_len": 3.0, "view_seed": 1, "wav_augment": None}


def make(folder, fingerprint="ab12cd34ef", dim=5, teacher="t", **changes):
    """A store, with changes to the recipe."""
    return TeacherStore(folder, teacher, fingerprint, dim, RECIPE | changes)


def crop_sum(name, view):
    """Stands for the CRC-32 of the view's audio."""
    return zlib.crc32(f"{name}/{view}".encode())


def fill(store, names, views, seed=0):
    """Stores random embeddings and gives them, rounded, by name and view."""
    torch.manual_seed(seed)
    expected = {}
    for view in views:
        batch = torch.randn(len(names), store.dim)
        sums = [crop_sum(name, view) for name in names]
        store.write(names, [view] * len(names), sums, batch)
        for name, row in zip(names, store.round(batch), strict=True):
            expected[name, view] = row.numpy().astype(np.float16)
    return expected


def check(store, expected):
    """Each record is there, and its own."""
    for (name, view), row in expected.items():
        found = store.read(name, view, crop_sum(name, view))
        assert found is not None, (name, view)
        assert found.dtype == np.float16
        assert found.tobytes() == row.tobytes()


def test_round_trip_in_any_order_and_by_another_process(tmp_path):
    store = make(tmp_path)
    names = [f"spk/utt{number}" for number in range(40)]
    store.register(reversed(names))
    expected = fill(store, names[::3] + names[1::3] + names[2::3], [0, 3])
    check(store, expected)
    check(make(tmp_path), expected)
    check(pickle.loads(pickle.dumps(store)), expected)
    for method in ("fork", "spawn"):
        process = multiprocessing.get_context(method).Process(
            target=check, args=(store, expected)
        )
        process.start()
        process.join()
        assert process.exitcode == 0
    assert store.read("spk/utt1", 1, crop_sum("spk/utt1", 1)) is None
    assert store.read("nobody", 0, 0) is None
    assert store.refused.damaged == store.refused.changed == 0


def test_bits_are_those_of_round(tmp_path):
    store = make(tmp_path, dim=8)
    hard = torch.tensor(
        [[65504.0, -65504.0, 2.0**-24, 2.0**-25, -0.0, 1e-9, 2049.0, 1 / 3]]
    )
    store.write(["a"], [0], [1], hard)
    found = store.read("a", 0, 1)
    assert torch.from_numpy(found).float().equal(store.round(hard)[0])
    assert np.signbit(found[4])
    again = store.round(store.round(hard))
    assert again.equal(store.round(hard))
    assert store.round(hard).dtype == torch.float32


def test_a_read_row_is_a_copy(tmp_path):
    store = make(tmp_path)
    expected = fill(store, ["a"], [0])
    store.read("a", 0, crop_sum("a", 0))[:] = 7.0
    check(store, expected)


def test_one_call_may_hold_several_views_and_a_view_twice(tmp_path):
    store = make(tmp_path, dim=1)
    rows = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    store.write(["a", "b", "a", "a"], [0, 0, 1, 0], [5, 6, 7, 8], rows)
    assert store.read("b", 0, 6) == 2.0
    assert store.read("a", 1, 7) == 3.0
    assert store.read("a", 0, 8) == 4.0  # the last one counts
    store.write([], [], [], torch.empty(0, 1))


def test_what_cannot_be_stored_is_named(tmp_path):
    store = make(tmp_path, dim=2, teacher="results/teacher")
    good = torch.ones(2, 2)
    for value in (float("nan"), float("inf"), -65505.0):
        bad = good.clone()
        bad[1, 0] = value
        with pytest.raises(ValueError, match="results/teacher.*view 3 of b "):
            store.write(["a", "b"], [3, 3], [0, 0], bad)
    assert not store.holds(["a", "b"], 3).any()
    with pytest.raises(ValueError, match=r"\[2, 2\], got the shape \[2, 3\]"):
        store.write(["a", "b"], [0, 0], [0, 0], torch.ones(2, 3))
    with pytest.raises(ValueError, match="a view from 0 .* got 1"):
        store.write(["a", "b"], [0], [0, 0], good)
    with pytest.raises(ValueError, match=r"a view from 0 .* got \[-1\]"):
        store.write(["a", "b"], [0, -1], [0, 0], good)
    with pytest.raises(ValueError, match=r"a crop_sum .* got \[4294967296\]"):
        store.write(["a", "b"], [0, 0], [0, 1 << 32], good)


def test_changed_audio_is_not_used(tmp_path, caplog):
    store = make(tmp_path)
    expected = fill(store, ["a", "b"], [0])
    assert store.read("a", 0, 1) is None
    assert store.read("b", 0, 1) is None
    assert store.refused.changed == 2 and store.refused.damaged == 0
    assert caplog.text.count("has changed") == 1
    assert "The audio of a (view 0) has changed" in caplog.text
    assert store.holds(["a", "b", "c"], 0).tolist() == [True, True, False]
    check(store, expected)


def test_size_for_voxceleb2(tmp_path):
    store = make(tmp_path, dim=192)
    names = [f"u{number}" for number in range(100)]
    fill(store, names, range(8))
    files = [file.stat() for file in store.path.glob("shard-*")]
    assert len(files) == 8
    assert sum(file.st_size for file in files) == 800 * record_size(192)
    index = (store.path / "index.bin").stat().st_size
    assert index == 8 * len(names)
    assert 1_100_000 * (8 * record_size(192) + 8) < 4e9


def test_rows_of_a_second_shard(tmp_path):
    store = make(tmp_path, dim=1)
    store.register(f"u{number}" for number in range(ROWS + 3))
    names = [f"u{number}" for number in range(ROWS - 2, ROWS + 3)]
    expected = fill(store, names, [1])
    check(store, expected)
    assert store.holds(names, 1).all()
    assert sorted(file.name for file in store.path.glob("shard-*")) == [
        "shard-00000.view-001.bin",
        "shard-00001.view-001.bin",
    ]
    (report,) = store.verify()
    assert (report.view, report.whole, report.absent, report.damaged) == (
        1,
        5,
        ROWS - 2,
        0,
    )


@pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="open files cannot be counted"
)
def test_more_files_than_are_kept_open(tmp_path):
    store = make(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    expected = fill(store, ["a", "b"], range(150))
    check(store, expected)
    assert len(os.listdir("/proc/self/fd")) < before + 80
    del store
    assert len(os.listdir("/proc/self/fd")) <= before


# Keys and recipes


def test_the_key_depends_on_teacher_and_recipe_alone(tmp_path):
    store = make(tmp_path)
    assert make(tmp_path, teacher="moved/elsewhere").path == store.path
    others = [
        make(tmp_path, fingerprint="other"),
        make(tmp_path, dim=6),
        make(tmp_path, sentence_len=2.0),
        make(tmp_path, more=1),
    ]
    assert len({store.path, *(other.path for other in others)}) == 5
    recipe = json.loads((store.path / "recipe.json").read_text())
    assert recipe["views"] == RECIPE
    assert recipe["teacher"]["source"] == "t"


def test_more_views_reuse_fewer(tmp_path):
    expected = fill(make(tmp_path), ["a"], range(8))
    store = make(tmp_path)
    expected |= fill(store, ["a"], range(8, 16), seed=1)
    check(store, expected)


def test_other_recipes_are_told_apart_by_name(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    far = make(tmp_path, fingerprint="ffff", sentence_len=9.0)
    assert f"{far.path} begun\n" in caplog.text
    first = make(tmp_path)
    caplog.clear()
    make(tmp_path)
    assert not caplog.text
    second = make(tmp_path, sentence_len=2.0)
    assert (
        f"{second.path} begun; the nearest, {first.path.name}, differs in "
        "sentence_len (3.0, now 2.0)\n"
    ) in caplog.text
    make(tmp_path, fingerprint="98765432100", wav_augment={"speed": [95]})
    assert "differs in teacher (ab12cd34, now 98765432)" in caplog.text
    assert "wav_augment.speed (absent, now [95])" in caplog.text


def test_nothing_is_mixed(tmp_path):
    expected = fill(make(tmp_path), ["a"], [0])
    other = make(tmp_path, sentence_len=2.0)
    assert other.read("a", 0, crop_sum("a", 0)) is None
    check(make(tmp_path), expected)


def test_a_recipe_that_is_not_its_own(tmp_path):
    path = make(tmp_path).path / "recipe.json"
    whole = path.read_text()
    path.write_text(whole.replace("3.0", "2.0"))
    with pytest.raises(ValueError, match=f"recipe.json .*{path.parent.name}"):
        make(tmp_path)
    path.write_text(whole[:20])
    with pytest.raises(ValueError, match="none that can be read"):
        make(tmp_path)
    with pytest.raises(ValueError, match="plain values only"):
        make(tmp_path, sentence_len=float("nan"))
    with pytest.raises(ValueError, match="plain values only"):
        make(tmp_path, sentence_len=object())


# The index


def test_registering_is_idempotent_and_keeps_rows(tmp_path):
    index = Index(tmp_path / "index.bin")
    names = [f"u{number}" for number in range(1000)]
    generator = np.random.default_rng(0)
    for _ in range(60):
        some = generator.integers(0, 1000, 40)
        index.register(digests_of([names[one] for one in some]))
    index.register(digests_of(names))
    stored = index.stored(0, 2000).tolist()
    assert sorted(stored) == sorted(digests_of(names).tolist())
    rows = index.rows(digests_of(names)).tolist()
    assert [stored[row] for row in rows] == digests_of(names).tolist()
    assert [index.row(digest_of(name)) for name in names] == rows
    assert Index(index.path).rows(digests_of(names)).tolist() == rows
    assert index.row(digest_of("unknown")) == -1


def _register(path, first):
    """Registers half of its names together with another process."""
    index = Index(path)
    for start in range(first, first + 300, 7):
        names = [f"u{number}" for number in range(start, start + 7)]
        index.register(digests_of(names))


def test_several_processes_register_at_once(tmp_path):
    path = tmp_path / "index.bin"
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_register, args=(path, first))
        for first in (0, 150, 300)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    stored = Index(path).stored(0, 10_000)
    assert len(stored) == len(np.unique(stored)) == 601
    assert len(Index(path)) == 601


def test_an_open_store_sees_what_others_add(tmp_path):
    reader = make(tmp_path)
    assert reader.read("a", 0, crop_sum("a", 0)) is None
    expected = fill(make(tmp_path), ["a"], [0])
    check(reader, expected)
    expected |= fill(make(tmp_path), ["b", "c"], [0, 1], seed=1)
    check(reader, expected)


# Claims


def _try(store, block, answers):
    """Says from another process whether it gets a block."""
    with store.claim(block) as ours:
        answers.put(ours)


def _ask_elsewhere(store, block):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_try, args=(store, block, answers))
    process.start()
    answer = answers.get(timeout=30)
    process.join()
    return answer


def test_claims_exclude_other_processes(tmp_path):
    store = make(tmp_path)
    with store.claim(3) as ours:
        assert ours
        assert not _ask_elsewhere(store, 3)
        assert _ask_elsewhere(store, 4)
    assert _ask_elsewhere(store, 3)


_HOLD = """
import sys, time
from speechbrain_kd.teachers.store import TeacherStore
store = TeacherStore(sys.argv[1], "t", "f", 2, {})
with store.claim(3):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_claim_ends_with_its_process(tmp_path):
    store = TeacherStore(tmp_path, "t", "f", 2, {})
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    with store.claim(3) as ours:
        assert not ours
    process.kill()
    with store.claim(3, wait=True) as ours:
        assert ours
    process.wait()


# Writing fails

_READ_ONLY = """
import os, sys
import torch
from speechbrain_kd.teachers.store import TeacherStore
os.chdir(sys.argv[1])  # the folders above are closed to others
if os.getuid() == 0:  # whom no permission stops
    os.seteuid(65534)
store = TeacherStore(".", "t", "f", 2, {})
print(store.read("a", 0, 1).tolist(), store.holds(["a", "b"], 0).tolist())
for act in (
    lambda: store.write(["a"], [0], [1], torch.ones(1, 2)),
    lambda: store.register(["b"]),
    lambda: store.claim(0).__enter__(),
    lambda: TeacherStore(".", "t", "g", 2, {}),
):
    try:
        act()
        print("written")
    except PermissionError as error:
        print(error)
"""


def test_a_read_only_store_is_read(tmp_path):
    store = TeacherStore(tmp_path, "t", "f", 2, {})
    store.write(["a"], [0], [1], torch.ones(1, 2))
    files = [*store.path.iterdir(), store.path, tmp_path]
    for file in files:
        file.chmod(0o555 if file.is_dir() else 0o444)
    try:
        output = subprocess.run(
            [sys.executable, "-c", _READ_ONLY, str(tmp_path)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
    finally:
        for file in reversed(files):
            file.chmod(0o755)
    assert output[0] == "[1.0, 1.0] [True, False]"
    assert len(output) == 5
    for line in output[1:]:
        assert "can be read but not written" in line
        assert "`store_folder`" in line


def _limited(store, names, answers):
    """Writes with a limit on the size of files."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    try:
        fill(store, names, [0])
    except StoreFull as error:
        answers.put(str(error))


def test_a_limit_on_files(tmp_path):
    store = make(tmp_path, dim=100)
    names = [f"u{number}" for number in range(20)]
    expected = fill(store, names[:3], [0])
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_limited, args=(store, names, answers))
    process.start()
    message = answers.get(timeout=30)
    process.join()
    assert str(store.path) in message
    assert "is full" in message and "4160 bytes to write" in message
    assert "make room" in message
    held = store.holds(names, 0)
    assert held[:3].all() and not held[10:].any()
    for name, there in zip(names, held, strict=True):
        assert (store.read(name, 0, crop_sum(name, 0)) is not None) == there
    (report,) = store.verify()
    assert report.whole == held.sum() and report.damaged <= 1
    expected = fill(store, names, [0], seed=2)
    check(store, expected)
