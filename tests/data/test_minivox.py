"""The embedded corpus as a whole: layout, determinism, resumption, errors."""

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import soundfile

from speechbrain_kd.data import minivox
from speechbrain_kd.data.minivox import make_minivox
from speechbrain_kd.data.minivox_voices import VoiceSpace

pytest.importorskip("espeakng_loader", reason="needs the extra [demo]")

TINY = {
    "num_train_speakers": 3,
    "num_test_speakers": 4,
    "utterances_per_speaker": 6,
    "progressbar": False,
}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("minivox")
    return make_minivox(folder, num_workers=0, **TINY)


def test_layout(corpus):
    files = sorted((corpus / "wav").glob("id1*/rec*/*.wav"))
    assert len(files) == (3 + 4) * 6
    info = soundfile.info(files[0])
    assert (info.samplerate, info.channels) == (16000, 1)
    assert info.subtype == "PCM_16"
    assert len({path.read_bytes() for path in files}) == len(files)
    # Nothing else, hidden or half-made, is left among the speakers.
    assert len(list((corpus / "wav").iterdir())) == 7
    assert sorted(path.name for path in (corpus / "meta").iterdir()) == [
        "minivox.json",
        "speakers.csv",
        "veri_test.txt",
    ]


def test_durations(corpus):
    lengths = [
        soundfile.info(path).duration
        for path in (corpus / "wav").glob("*/*/*.wav")
    ]
    assert 1.8 < min(lengths) and max(lengths) < 6.0
    assert 3.0 < sum(lengths) / len(lengths) < 4.0


def test_trials(corpus):
    lines = (corpus / "meta" / "veri_test.txt").read_text().splitlines()
    trials = [line.split() for line in lines]
    assert len({frozenset(trial[1:]) for trial in trials}) == len(trials)
    for label, enrol, test in trials:
        assert (corpus / "wav" / enrol).is_file()
        assert (corpus / "wav" / test).is_file()
        one, two = Path(enrol).parts, Path(test).parts
        assert (one[0] == two[0]) == (label == "1")
        assert one[:2] != two[:2]
    with open(corpus / "meta" / "speakers.csv", newline="") as file:
        use = {row["speaker"]: row["set"] for row in csv.DictReader(file)}
    assert sorted(use.values()) == ["test"] * 4 + ["train"] * 3
    heard = {Path(path).parts[0] for trial in trials for path in trial[1:]}
    assert {use[speaker] for speaker in heard} == {"test"}


def test_same_bytes_from_several_processes(corpus, tmp_path):
    other = make_minivox(tmp_path / "new", num_workers=2, **TINY)
    assert contents(other) == contents(corpus)


def test_more_speakers_leave_the_others_as_they_were(corpus, tmp_path):
    more = {**TINY, "num_train_speakers": 4}
    more = contents(make_minivox(tmp_path, num_workers=0, **more))
    del more["meta/minivox.json"], more["meta/speakers.csv"]
    fewer = contents(corpus)
    del fewer["meta/minivox.json"], fewer["meta/speakers.csv"]
    assert fewer.items() < more.items()


def test_goes_on_after_an_interruption(corpus, tmp_path, monkeypatch):
    made, make = [], minivox.make_speaker

    def interrupted(plan, wav, speaker):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(speaker)
        make(plan, wav, speaker)

    monkeypatch.setattr(minivox, "make_speaker", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_minivox(tmp_path, num_workers=0, **TINY)
    assert not (tmp_path / "meta" / "minivox.json").exists()
    # What a killed process leaves behind.
    (tmp_path / "wav" / ".id10003.abc" / "id10003").mkdir(parents=True)
    monkeypatch.setattr(minivox, "make_speaker", make)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    make_minivox(tmp_path, num_workers=0, **TINY)
    assert len(before) == 12
    for path, modified in before.items():
        assert path.stat().st_mtime_ns == modified
    assert contents(tmp_path) == contents(corpus)


def test_an_unknown_accent_leaves_no_speaker(tmp_path):
    space = VoiceSpace(accents=("gmw/en-nowhere",))
    with pytest.raises(ValueError, match="no voice 'gmw/en-nowhere'"):
        make_minivox(tmp_path, num_workers=0, voices=space, **TINY)
    assert not list(tmp_path.rglob("*id1*"))


def test_a_worker_ends_with_its_parent(tmp_path, monkeypatch):
    ended, ignored = threading.Event(), []
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(minivox.signal, "signal", lambda *a: ignored.append(a))
    monkeypatch.setattr(minivox.os, "_exit", lambda status: ended.set())
    monkeypatch.setattr(tempfile, "tempdir", None)
    parent = threading.Thread(target=lambda: None)
    parent.start()
    monkeypatch.setattr(
        minivox.multiprocessing, "parent_process", lambda: parent
    )
    minivox._start_worker(str(scratch))
    assert ended.wait(10)
    assert not scratch.exists()
    assert tempfile.tempdir == str(scratch)
    assert ignored == [(signal.SIGINT, signal.SIG_IGN)]


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_goes_on(corpus, tmp_path):
    """SIGKILL: the workers end too, their files go, and nothing is lost."""
    script = tmp_path / "make.py"
    script.write_text(
        "from speechbrain_kd.data.minivox import make_minivox\n"
        "if __name__ == '__main__':\n"
        f"    make_minivox({str(tmp_path / 'corpus')!r}, 300, 4, 6,"
        " num_workers=2, progressbar=False)\n"
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {
        **os.environ,
        "TMPDIR": str(scratch),
        "PYTHONPATH": str(Path(minivox.__file__).parents[2]),
    }
    process = subprocess.Popen([sys.executable, script], env=environment)
    wav = tmp_path / "corpus" / "wav"
    _wait_for(lambda: len(list(wav.glob("id1*"))) >= 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait_for(lambda: not list(scratch.iterdir()))
    done = {path.name for path in wav.glob("id1*")}
    for path in done & {path.name for path in (corpus / "wav").iterdir()}:
        assert contents(wav / path) == contents(corpus / "wav" / path)
    # No worker goes on making speakers.
    time.sleep(2)
    assert {path.name for path in wav.glob("id1*")} == done


def _wait_for(condition) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("waited two minutes in vain")


def test_a_finished_corpus_is_used_as_it_is(corpus, monkeypatch):
    def fail():
        raise AssertionError("made again")

    monkeypatch.setattr(minivox, "espeak_version", fail)
    before = contents(corpus)
    assert make_minivox(corpus, **TINY) == corpus
    assert contents(corpus) == before


def test_other_parameters_are_refused(corpus, tmp_path):
    with pytest.raises(ValueError, match="seed: there 1986, wanted 7") as told:
        make_minivox(corpus, seed=7, **TINY)
    assert str(corpus / "meta" / "minivox.json") in str(told.value)
    assert f"delete {corpus}" in str(told.value)
    with pytest.raises(ValueError, match="breath"):
        make_minivox(corpus, voices=VoiceSpace(breath=(1, 2)), **TINY)
    note = json.loads((corpus / "meta" / "minivox.json").read_text())
    begun = tmp_path / "meta" / "minivox.part.json"
    begun.parent.mkdir()
    begun.write_text(json.dumps(note))
    with pytest.raises(ValueError, match="seed: there 1986, wanted 7"):
        make_minivox(tmp_path, seed=7, **TINY)


def test_another_corpus_is_left_alone(tmp_path):
    (tmp_path / "wav" / "id10001").mkdir(parents=True)
    with pytest.raises(ValueError, match="a wav folder that is not minivox"):
        make_minivox(tmp_path, **TINY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_train_speakers", 0),
        ("num_train_speakers", 9001),
        ("num_test_speakers", 1),
        ("recordings_per_speaker", 1),
        ("utterances_per_speaker", 3),
    ],
)
def test_impossible_numbers(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"expected {name} from .* {value}"):
        make_minivox(tmp_path, **{**TINY, name: value})
    assert not list(tmp_path.iterdir())
