"""Packing: interrupted, repeated, refused, damaged."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch

from speechbrain_kd.data import load_audio, prepare_corpus
from speechbrain_kd.data.packed import checks, shards
from speechbrain_kd.data.packed.checks import alone
from speechbrain_kd.data.packed.index import open_index
from speechbrain_kd.data.packed.verify import verify_pack
from speechbrain_kd.data.packed.writer import pack_corpus

FORMATS = ("int16", "tar")
# Kills itself in the middle of the third shard.
_KILLED = """
import os, signal, sys
from speechbrain_kd.data.packed import shards
from speechbrain_kd.data.packed.writer import pack_corpus
load = shards.load_audio
seen = []
def stop(path):
    seen.append(path)
    if len(seen) == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    return load(path)
shards.load_audio = stop
pack_corpus(sys.argv[1], sys.argv[2], sys.argv[3], 0.25, 1, progressbar=False)
"""


@pytest.fixture
def corpus(tiny_corpus, tmp_path):
    """A copy of the corpus that may be written into."""
    return shutil.copytree(tiny_corpus, tmp_path / "corpus")


def pack(corpus, output, format="int16", **settings):
    settings = {"shard_mb": 0.25, "processes": 1} | settings
    return pack_corpus(corpus, output, format, progressbar=False, **settings)


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != ".pack"
    }


@pytest.mark.parametrize("format", FORMATS)
def test_killed_and_run_again(tiny_corpus, packs, tmp_path, format):
    output = tmp_path / "pack"
    arguments = [str(tiny_corpus), str(output), format, "20"]
    done = subprocess.run([sys.executable, "-c", _KILLED, *arguments])
    assert done.returncode == -9
    kept = sorted(output.glob("shard-*"))
    assert 1 <= len(kept) < len(list(packs[format].glob("shard-*")))
    assert list(output.glob(".shard-*"))
    with pytest.raises(ValueError, match="packing has not been finished here"):
        prepare_corpus(output, tmp_path / "save")
    inodes = [path.stat().st_ino for path in kept]
    pack(tiny_corpus, output, format)
    assert [path.stat().st_ino for path in kept] == inodes
    assert not list(output.glob(".shard-*"))
    assert files(output) == files(packs[format])


@pytest.mark.parametrize("format", FORMATS)
def test_processes_do_not_matter(tiny_corpus, packs, tmp_path, format):
    pack(tiny_corpus, tmp_path / "pack", format, processes=2)
    assert files(tmp_path / "pack") == files(packs[format])


def test_twice_is_once(corpus, tmp_path):
    first = pack(corpus, tmp_path / "pack")
    before = {x: x.stat().st_ino for x in (tmp_path / "pack").iterdir()}
    assert pack(corpus, tmp_path / "pack") == first
    after = {x: x.stat().st_ino for x in (tmp_path / "pack").iterdir()}
    assert before == after


def test_a_file_changed_while_it_was_interrupted(corpus, tmp_path):
    output = tmp_path / "pack"
    pack(corpus, output)
    (output / "pack.json").unlink()
    path = corpus / "wav" / "id00004" / "rec1" / "00002.wav"
    wav = load_audio(path).flip(0)
    soundfile.write(path, wav.numpy(), 16000, subtype="PCM_16")
    pack(corpus, output)
    (item,) = [
        item
        for item in open_index(output).utterances("id00004")
        if item.key == "id00004/rec1/00002"
    ]
    assert torch.equal(load_audio(str(item.reference)), wav)


def test_another_corpus_is_refused(corpus, tiny_corpus, tmp_path):
    output = tmp_path / "pack"
    pack(corpus, output)
    for other, format in ((tiny_corpus, "int16"), (corpus, "tar")):
        with pytest.raises(ValueError, match="give another output folder"):
            pack(other, output, format)
    (output / "pack.json").unlink()
    with pytest.raises(ValueError, match="give another output folder"):
        pack(tiny_corpus, output)
    pack(corpus, output)
    next((corpus / "wav").glob("*/*/*.wav")).unlink()
    with pytest.raises(ValueError, match="have changed since"):
        pack(corpus, output)


def test_folders_that_are_no_output(corpus, tmp_path):
    with pytest.raises(ValueError, match="lies in the data folder"):
        pack(corpus, corpus / "pack")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="an empty folder .*thesis.tex"):
        pack(corpus, tmp_path / "mine")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="no audio found"):
        pack(tmp_path / "nothing", tmp_path / "pack")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"format": "zip"}, "format: expected int16 or tar, got 'zip'"),
        ({"shard_mb": 0}, "shard_mb: expected MiB above 0, got 0"),
        ({"on_broken": "x"}, "on_broken: expected error or drop, got 'x'"),
    ],
)
def test_bad_settings(corpus, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        pack(corpus, tmp_path / "pack", **settings)


def test_files_that_cannot_be_read(corpus, tmp_path):
    output = tmp_path / "pack"
    found = sorted((corpus / "wav").glob("*/*/*.wav"))
    found[3].write_bytes(b"no audio")
    with pytest.raises(ValueError, match="1 files cannot be read") as error:
        pack(corpus, output)
    assert str(found[3]) in str(error.value)
    facts = pack(corpus, output, on_broken="drop")
    assert facts["utterances"] == 47 and open_index(output) is not None


@pytest.mark.parametrize("processes", [1, 2])
def test_files_that_break_while_they_are_decoded(
    corpus, tmp_path, monkeypatch, processes
):
    load = shards.load_audio

    def broken(path):
        if path.endswith("id00002/rec0/00002.wav"):
            raise ValueError(f"{path}: cut short")
        return load(path)

    output = tmp_path / "pack"
    with monkeypatch.context() as patch:
        patch.setattr(shards, "load_audio", broken)
        with pytest.raises(ValueError, match="rec0/00002.wav: cut short"):
            pack(corpus, output, processes=processes)
        assert list(output.glob("shard-*")), "the other shards are kept"
        facts = pack(corpus, output, processes=processes, on_broken="drop")
    assert (facts["utterances"], facts["left_out"]) == (47, 1)
    keys = [x.key for x in open_index(output).utterances("id00002")]
    assert len(keys) == 5 and "id00002/rec0/00002" not in keys
    assert verify_pack(output, progressbar=False) == 47


def test_names_that_ids_cannot_hold(corpus, tmp_path):
    path = sorted((corpus / "wav").glob("*/*/*.wav"))[0]
    path.rename(path.with_name("a--b.wav"))
    with pytest.raises(ValueError, match="a--b.wav: expected a file name"):
        pack(corpus, tmp_path / "pack")


def test_a_full_disk(corpus, tmp_path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    output = tmp_path / "pack"
    with monkeypatch.context() as patch:
        patch.setattr(shards.os, "fsync", full)
        message = "shard-00000.i16: cannot be written .No space left"
        with pytest.raises(OSError, match=message):
            pack(corpus, output)
        assert not [x.name for x in output.iterdir() if "shard" in x.name]
    usage = type(shutil.disk_usage(tmp_path))(1, 1, 0)
    with monkeypatch.context() as patch:
        patch.setattr(checks.shutil, "disk_usage", lambda path: usage)
        with pytest.raises(OSError, match="the disk is too small: 2 MiB"):
            pack(corpus, output)
    pack(corpus, output)
    assert verify_pack(output, progressbar=False) == 48


def test_two_at_once_are_refused(corpus, tmp_path):
    pytest.importorskip("fcntl")
    output = tmp_path / "pack"
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from speechbrain_kd.data.packed.checks import alone\n"
        "try:\n    with alone(Path(sys.argv[1])): pass\n"
        "except ValueError as error: sys.exit(str(error))\n"
    )
    (output / ".pack").mkdir(parents=True)
    command = [sys.executable, "-c", code, str(output / ".pack")]
    with alone(output / ".pack"):
        other = subprocess.run(command, capture_output=True, text=True)
    assert "another packing is under way" in other.stderr
    assert subprocess.run(command).returncode == 0


def flip(path, place):
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("format", FORMATS)
def test_a_flipped_byte_is_found_and_put_right(corpus, tmp_path, format):
    output = tmp_path / "pack"
    pack(corpus, output, format)
    assert verify_pack(output, progressbar=False) == 48
    item = open_index(output).utterances("id00003")[2]
    width = 2 if format == "int16" else 1
    flip(item.reference.shard, (item.reference.start + 700) * width)
    message = f"{item.reference.shard}: {item.key}.wav is damaged"
    with pytest.raises(ValueError, match="damaged in 1 places") as error:
        verify_pack(output, processes=2, progressbar=False)
    assert message in str(error.value)
    os.remove(item.reference.shard)
    with pytest.raises(ValueError, match="no such shard"):
        verify_pack(output, progressbar=False)
    pack(corpus, output, format)
    assert verify_pack(output, progressbar=False) == 48


def test_other_damage_is_found(corpus, tmp_path):
    output = tmp_path / "pack"
    pack(corpus, output, "tar")
    flip(output / "shard-00001.tar", 110)  # in the header of a member
    with pytest.raises(ValueError, match="00001.tar: damaged between its"):
        verify_pack(output, progressbar=False)
    flip(output / "shard-00001.tar", 110)
    flip(output / "index.npy", 200)
    with pytest.raises(ValueError, match="index.npy: not as it was written"):
        verify_pack(output, progressbar=False)
    with pytest.raises(ValueError, match="not a packed corpus"):
        verify_pack(corpus, progressbar=False)


def test_tar_without_webdataset(corpus, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(ImportError, match=r"speechbrain-kd\[tar\]"):
        pack(corpus, tmp_path / "pack", "tar")
    assert not Path(tmp_path / "pack").exists()
