"""Filling a store in bulk: by several processes, and after a kill."""

import multiprocessing
import os
import signal
import time
import zlib

import numpy as np
import pytest
import torch

from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.build import build_views
from speechbrain_kd.teachers.store import TeacherStore

NAMES = [f"spk{number % 5}/utt{number}" for number in range(50)]
BLOCK = 8


class Ends(Teacher):
    """Says the first and the last sample; notes how often it is asked."""

    def __init__(self, log=None, delay=0.0):
        super().__init__("ends", embedding_dim=2)
        self.log, self.delay = log, delay
        self.shapes = []
        self.freeze()

    def encode(self, wavs, lens):
        assert torch.is_inference_mode_enabled()
        assert (lens == 1).all()
        self.shapes.append(tuple(wavs.shape))
        if self.log is not None:
            with open(self.log, "ab", buffering=0) as stream:
                stream.write(b"." * len(wavs))
        time.sleep(self.delay)
        return torch.stack([wavs[:, 0], wavs[:, -1] + wavs.shape[1]], 1)


def wave(position, view):
    """Noise of a length of its own, the same whenever it is made."""
    generator = torch.Generator().manual_seed(1000 * view + position)
    return torch.rand(100 + 10 * (position % 2), generator=generator)


def waves(position, view):
    """What the teacher hears: one waveform."""
    wav = wave(position, view)
    yield NAMES[position], view, zlib.crc32(wav.numpy().tobytes()), wav


def open_store(folder):
    return TeacherStore(folder, "ends", "f", 2, {"seconds": 1})


def build(folder, teacher=None, views=3, **options):
    options = {"batch_size": 4, "block": BLOCK, "progressbar": False} | options
    return build_views(
        open_store(folder), teacher or Ends(), NAMES, waves, views, **options
    )


def check(folder, views=3):
    """All is there and right, whoever made it."""
    store = open_store(folder)
    for view in range(views):
        for position, name in enumerate(NAMES):
            wav = wave(position, view)
            found = store.read(name, view, zlib.crc32(wav.numpy().tobytes()))
            expected = torch.stack([wav[0], wav[-1] + len(wav)])
            assert found is not None, (name, view)
            np.testing.assert_array_equal(
                found, expected.half().numpy(), strict=True
            )


@pytest.mark.parametrize("num_workers", [0, 2])
def test_builds_all_and_only_what_lacks(tmp_path, num_workers):
    before = torch.get_rng_state()
    teacher = Ends()
    report = build(tmp_path, teacher, views=2, num_workers=num_workers)
    assert (report.asked, report.kept) == (100, 0)
    assert report.seconds > 0
    check(tmp_path, views=2)
    assert {samples for _, samples in teacher.shapes} == {100, 110}
    assert max(batch for batch, _ in teacher.shapes) <= 4
    # More views re-use these.
    report = build(tmp_path, num_workers=num_workers)
    assert (report.asked, report.kept) == (50, 100)
    check(tmp_path)
    assert build(tmp_path, num_workers=num_workers).asked == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_equals_asking_one_by_one(tmp_path):
    build(tmp_path / "batches", views=1)
    build(tmp_path / "singly", views=1, batch_size=1, block=1000)
    files = [
        next((tmp_path / kind).glob("*/shard-*")).read_bytes()
        for kind in ("batches", "singly")
    ]
    assert files[0] == files[1]


def test_a_view_may_fill_several(tmp_path):
    def clean_and_noisy(position, view):
        wav = wave(position, view)
        yield NAMES[position], 2 * view, 1, wav
        yield NAMES[position], 2 * view + 1, 2, wav + 1

    store = open_store(tmp_path)
    arguments = (store, Ends(), NAMES, clean_and_noisy, 2)
    options = {
        "store_views": lambda view: (2 * view, 2 * view + 1),
        "progressbar": False,
    }
    assert build_views(*arguments, **options).asked == 200
    assert all(store.holds(NAMES, view).all() for view in range(4))
    assert build_views(*arguments, **options).asked == 0
    clean, noisy = store.read(NAMES[3], 2, 1), store.read(NAMES[3], 3, 2)
    assert noisy[0] == pytest.approx(clean[0] + 1, abs=1e-3)


def test_what_was_damaged_is_asked_again(tmp_path):
    build(tmp_path)
    path = open_store(tmp_path).path / "shard-00000.view-001.bin"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert build(tmp_path).asked == 1
    check(tmp_path)


def test_a_teacher_gone_wrong_stops_the_build(tmp_path):
    class Broken(Ends):
        def encode(self, wavs, lens):
            return super().encode(wavs, lens) * float("nan")

    with pytest.raises(ValueError, match="The teacher ends gave view 0 of spk"):
        build(tmp_path, Broken())
    assert build(tmp_path).asked == 150  # and the claims are free


def _start(folder, log, delay, **options):
    """Builds in a process of its own."""
    process = multiprocessing.get_context("fork").Process(
        target=build, args=(folder, Ends(log, delay)), kwargs=options
    )
    process.start()
    return process


def _asked(log):
    return log.stat().st_size if log.exists() else 0


def _wait_until(condition):
    """Waits for what must happen, at most a minute."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("nothing happened for a minute")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_killed_and_resumed(tmp_path, num_workers):
    log = tmp_path / "log"
    process = _start(tmp_path / "s", log, 0.02, num_workers=num_workers)
    _wait_until(lambda: _asked(log) >= 40)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    before = _asked(log)
    assert 40 <= before < 150
    report = build(tmp_path / "s")
    # What was asked for when it was killed is lost, but for a batch no more.
    assert 150 - before <= report.asked <= 150 - before + 4
    assert report.asked + report.kept == 150
    check(tmp_path / "s")


def test_two_at_once_share_the_work(tmp_path):
    log = tmp_path / "log"
    processes = [_start(tmp_path / "s", log, 0.01) for _ in range(2)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert 150 <= _asked(log) <= 150 + BLOCK
    check(tmp_path / "s")


def test_one_of_two_is_killed(tmp_path):
    """The other ends only when that one's block is there as well."""
    log, slow = tmp_path / "log", tmp_path / "slow"
    first = _start(tmp_path / "s", slow, 60.0)
    _wait_until(lambda: _asked(slow) > 0)
    second = _start(tmp_path / "s", log, 0.0)
    _wait_until(lambda: _asked(log) == 150 - BLOCK)
    second.join(0.3)
    assert second.is_alive()  # it waits for the block that is claimed
    os.kill(first.pid, signal.SIGKILL)
    second.join()
    first.join()
    assert second.exitcode == 0
    assert _asked(log) == 150
    check(tmp_path / "s")
