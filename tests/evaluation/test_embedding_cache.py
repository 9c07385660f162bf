"""The cache of embeddings: re-used, continued, and never wrong."""

import multiprocessing
import os
import time

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_kd.evaluation import audio_digests, filling
from speechbrain_kd.evaluation.audio_digests import AudioDigests
from speechbrain_kd.evaluation.embedding_cache import EmbeddingCache
from speechbrain_kd.evaluation.filling import embed_cached, fill_cache


def level(wavs):
    """Two numbers of a waveform."""
    return torch.stack([wavs.mean(dim=1), wavs.square().mean(dim=1)], dim=1)


class Counted:
    """Counts what it is asked about, and can be told to fail."""

    def __init__(self, fails_after=None):
        self.asked = 0
        self.fails_after = fails_after

    def __call__(self, wavs):
        if self.asked == self.fails_after:
            raise KeyboardInterrupt
        self.asked += len(wavs)
        return level(wavs)


def write(path, seed, samples=2000):
    """Noise that another seed does not make."""
    wav = np.random.default_rng(seed).uniform(-0.5, 0.5, samples)
    soundfile.write(path, wav, 16000)
    return path


@pytest.fixture
def files(tmp_path):
    """Ten utterances, each of another length and content."""
    (tmp_path / "wav").mkdir()
    return {
        f"s/{n}": write(tmp_path / "wav" / f"{n}.wav", n, 2000 + n)
        for n in range(10)
    }


@pytest.fixture
def embed(tmp_path, files):
    """Embeds the files through a cache that is opened anew each time."""

    def embed(model, fingerprint="ab", these=None):
        cache = EmbeddingCache(tmp_path / "cache", "m", fingerprint, 2)
        digests = AudioDigests(tmp_path / "cache" / "audio.npy")
        these = files if these is None else these
        return embed_cached(model, these, cache, digests, progressbar=False)[1]

    return embed


def test_second_time_nothing_is_asked(embed, files):
    first, again = Counted(), Counted()
    expected = embed(first)
    plain = np.stack(
        [level(torch.tensor(_read(f))[None])[0].numpy() for f in files.values()]
    )
    np.testing.assert_allclose(expected, plain, atol=1e-6)
    assert first.asked == 10
    assert np.array_equal(embed(again), expected) and again.asked == 0
    backwards = dict(reversed(files.items()))
    assert np.array_equal(embed(again, these=backwards), expected[::-1])
    assert again.asked == 0


def _read(path):
    return soundfile.read(path, dtype="float32")[0]


def test_interrupted_it_continues(embed):
    with pytest.raises(KeyboardInterrupt):
        embed(Counted(fails_after=4))
    rest = Counted()
    embed(rest)
    assert rest.asked == 6


def test_another_model_shares_nothing(embed):
    embed(Counted())
    other = Counted()
    embed(other, fingerprint="cd")
    assert other.asked == 10


def test_same_audio_under_two_names_is_asked_once(embed, files, tmp_path):
    twin = tmp_path / "wav" / "twin.wav"
    twin.write_bytes(files["s/3"].read_bytes())
    model = Counted()
    rows = embed(model, these=files | {"twin": twin})
    assert model.asked == 10 and np.array_equal(rows[-1], rows[3])


@pytest.mark.parametrize("settled", [True, False])
def test_changed_file_of_old_size_and_date(embed, files, settled, monkeypatch):
    if settled:  # the notes are trusted at once
        monkeypatch.setattr(audio_digests, "_SETTLED_NS", -(10**12))
    before, path = embed(Counted()), files["s/3"]
    stat = path.stat()
    if settled:
        time.sleep(0.02)  # for the clock of the file system to go on
    write(path, seed=77, samples=2003)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    model = Counted()
    after = embed(model)
    assert model.asked == 1
    changed = np.flatnonzero((after != before).any(axis=1))
    assert changed.tolist() == [3]


def test_notes_save_reading_and_damage_is_harmless(
    files, tmp_path, monkeypatch
):
    monkeypatch.setattr(audio_digests, "_SETTLED_NS", -(10**12))
    paths, notes = list(files.values()), tmp_path / "audio.npy"
    expected = AudioDigests(notes).of(paths, progressbar=False)
    read = []
    real = audio_digests._hash
    monkeypatch.setattr(
        audio_digests, "_hash", lambda path: read.append(path) or real(path)
    )
    again = AudioDigests(notes).of(paths, progressbar=False)
    assert not read and (again == expected).all()
    notes.write_bytes(notes.read_bytes()[:-7])
    again = AudioDigests(notes).of(paths, progressbar=False)
    assert len(read) == 10 and (again == expected).all()
    with pytest.raises(FileNotFoundError, match="gone.wav"):
        AudioDigests(notes).of([*paths, tmp_path / "gone.wav"])


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damaged_record_is_made_again(embed, tmp_path, damage):
    expected = embed(Counted())
    (shard,) = (tmp_path / "cache").glob("*/shard-*.bin")
    data = bytearray(shard.read_bytes())
    if damage == "flip":
        data[20] ^= 1
    else:
        del data[-5:]
    shard.write_bytes(data)
    model = Counted()
    assert np.array_equal(embed(model), expected) and model.asked == 1


def test_wrong_rows_are_refused(tmp_path):
    cache = EmbeddingCache(tmp_path, "m", "ab", 3)
    digests = np.zeros(2, audio_digests.DIGEST)
    with pytest.raises(ValueError, match=r"\[2, 3\], got shape \[2, 2\]"):
        cache.write(digests, np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="no file to embed"):
        embed_cached(level, {}, cache, AudioDigests(tmp_path / "a.npy"))


def _fill_slowly(folder, said):
    """Fills the cache, a fifth of a second an utterance; says what it did."""
    paths = sorted((folder / "wav").glob("*.wav"))
    model = Counted()

    def slow(wavs):
        time.sleep(0.2)
        return model(wavs)

    cache = EmbeddingCache(folder / "cache", "m", "ab", 2)
    digests = AudioDigests(folder / "cache" / "audio.npy").of(paths, False)
    fill_cache(cache, slow, paths, digests, False)
    said.send((model.asked, bool(cache.holds(digests).all())))


def test_processes_share_the_work_and_one_dies(
    files, tmp_path, embed, monkeypatch
):
    monkeypatch.setattr(filling, "_BLOCK", 2)
    fork = multiprocessing.get_context("fork")
    heard, said = fork.Pipe(duplex=False)
    dying, *others = (
        fork.Process(target=_fill_slowly, args=(tmp_path, said))
        for _ in range(3)
    )
    dying.start()
    while not list((tmp_path / "cache").glob("*/shard-*.bin")):
        time.sleep(0.01)
    dying.kill()  # in the middle of its work
    dying.join()
    for process in others:
        process.start()
    for process in others:
        process.join(60)
    asked, whole = zip(heard.recv(), heard.recv(), strict=True)
    assert all(whole) and all(asked) and sum(asked) < 10
    rest = Counted()
    embed(rest)
    assert rest.asked == 0


def test_fill_counts_only_its_own(files, tmp_path):
    paths = list(files.values())
    digests = AudioDigests(tmp_path / "a.npy").of(paths, progressbar=False)
    cache = EmbeddingCache(tmp_path / "cache", "m", "ab", 2)
    assert fill_cache(cache, level, paths[:4], digests[:4], False) == 4
    assert fill_cache(cache, level, paths, digests, False) == 6
