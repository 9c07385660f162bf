"""Preparation: manifests, resuming, skipping, and every bad input."""

import csv
import json
import logging
import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speechbrain.dataio.dataset import DynamicItemDataset

from speechbrain_kd.data import load_corpus, prepare_corpus, scan
from speechbrain_kd.data.manifest import validation_part
from speechbrain_kd.data.scan_file import ScanFile

CSVS = ("train.csv", "dev.csv", "test.csv")


def write(path, samples=3200, rate=16000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    wav = np.random.default_rng(0).normal(0, 0.1, (samples, channels))
    soundfile.write(path, wav, rate, subtype="PCM_16")
    return path


def write_m4a(path, samples=8000):
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    wav = np.random.default_rng(0).normal(0, 0.1, (1, samples))
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            wav.astype("float32"), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 16000, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.fixture
def vox(tmp_path):
    """Three speakers to train on (4 utterances each), one to test on."""
    folder = tmp_path / "vox"
    for speaker in ("id1", "id2", "id3", "id9"):
        for name in ("a/1", "a/2", "b/1", "b/2"):
            write(folder / "wav" / speaker / f"{name}.wav")
    trials = folder / "meta" / "veri_test.txt"
    trials.parent.mkdir()
    trials.write_text("1 id9/a/1.wav id9/b/1.wav\n1 id9/a/2.wav id9/b/1.wav\n")
    return folder


@pytest.fixture
def prepare(tmp_path):
    """Prepares into one folder, in this process."""

    def run(folder, **settings):
        return prepare_corpus(
            folder,
            tmp_path / "save",
            num_workers=1,
            progressbar=False,
            **settings,
        )

    return run


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_manifests(vox, prepare):
    corpus = prepare(vox)
    train, valid = rows(corpus.train_csv), rows(corpus.valid_csv)
    assert list(train[0]) == "ID duration wav start stop spk_id".split()
    assert [len(train), len(valid)] == [9, 3]
    assert sorted(row["spk_id"] for row in valid) == ["id1", "id2", "id3"]
    ids = [row["ID"] for row in train + valid]
    assert len(set(ids)) == 12 and "id9" not in "".join(ids)
    assert [row["ID"] for row in train] == sorted(row["ID"] for row in train)
    row = train[0]
    speaker, recording, number = row["ID"].split("--")
    assert row["wav"] == f"$data_root/wav/{speaker}/{recording}/{number}.wav"
    assert (row["duration"], row["start"], row["stop"]) == (
        "0.200000",
        "0",
        "3200",
    )
    assert corpus.speakers == ["id1", "id2", "id3"]
    assert corpus.data_root == str(vox)


def test_test_files_and_manifest(vox, prepare):
    corpus = prepare(vox)
    assert corpus.trials == vox / "meta" / "veri_test.txt"
    assert corpus.test_files == {
        f"id9/{name}.wav": vox / "wav" / "id9" / f"{name}.wav"
        for name in ("a/1", "b/1", "a/2")
    }
    assert [row["ID"] for row in rows(corpus.test_csv)] == [
        "id9--a--1",
        "id9--a--2",
        "id9--b--1",
    ]


def test_speechbrain_reads_the_manifests(vox, prepare):
    corpus = prepare(vox)
    data = DynamicItemDataset.from_csv(
        corpus.train_csv, replacements={"data_root": corpus.data_root}
    )
    data.set_output_keys(["wav", "duration"])
    item = data[0]
    assert Path(item["wav"]).is_file() and item["duration"] == 0.2


def test_list_names_another_format(vox, prepare):
    for path in sorted((vox / "wav" / "id9").glob("*/*.wav")):
        write(path.with_suffix(".flac"))
        path.unlink()
    found = prepare(vox).test_files["id9/a/1.wav"]
    assert found == vox / "wav" / "id9" / "a" / "1.flac"


def test_no_list_no_test(vox, prepare, caplog):
    prepare(vox)
    (vox / "meta" / "veri_test.txt").unlink()
    caplog.set_level(logging.INFO)
    corpus = prepare(vox)
    assert corpus.trials is corpus.test_csv is None and not corpus.test_files
    assert "nothing to test on" in caplog.text
    assert "id9" in corpus.speakers
    assert not (corpus.train_csv.parent / "test.csv").exists()


def test_both_voxcelebs(vox, prepare, tmp_path, caplog):
    vox2 = tmp_path / "vox2"
    for number in (1, 2):
        write_m4a(vox2 / "dev" / "aac" / "id7" / "rec" / f"{number}.m4a")
        write_m4a(vox2 / "test" / "aac" / "id8" / "rec" / f"{number}.m4a")
    write_m4a(vox2 / "dev" / "aac" / "id1" / "a" / "1.m4a")
    caplog.set_level(logging.INFO)
    corpus = prepare(f"{vox},{vox2}")
    # id8 is VoxCeleb2's own test part.
    assert corpus.speakers == ["id1", "id2", "id3", "id7"]
    assert "1 files passed over" in caplog.text
    wavs = {
        row["ID"]: row["wav"]
        for row in rows(corpus.train_csv) + rows(corpus.valid_csv)
    }
    assert len(wavs) == 14
    assert wavs["id1--a--1"] == str(vox / "wav" / "id1" / "a" / "1.wav")
    m4a = vox2 / "dev" / "aac" / "id7" / "rec" / "1.m4a"
    assert wavs["id7--rec--1"] == str(m4a)
    assert corpus.test_files["id9/a/1.wav"].is_file()


def test_rates_and_channels_are_said_once(vox, prepare, caplog):
    write(vox / "wav" / "id1" / "a" / "1.wav", 1601, rate=8000)
    write(vox / "wav" / "id2" / "a" / "1.wav", channels=2)
    write(vox / "wav" / "id2" / "a" / "2.wav", channels=2)
    caplog.set_level(logging.INFO)
    corpus = prepare(vox)
    assert caplog.text.count("1 files are not at 16 kHz: resampled") == 1
    assert caplog.text.count("2 files are not mono: mixed") == 1
    both = rows(corpus.train_csv) + rows(corpus.valid_csv)
    (row,) = [row for row in both if row["ID"] == "id1--a--1"]
    assert (row["duration"], row["stop"]) == ("0.200125", "3202")


def test_short_clips_are_left_out_of_training_only(vox, prepare, caplog):
    write(vox / "wav" / "id1" / "a" / "1.wav", samples=800)
    write(vox / "wav" / "id9" / "a" / "1.wav", samples=800)
    caplog.set_level(logging.INFO)
    corpus = prepare(vox, min_duration_s=0.1)
    assert len(rows(corpus.train_csv) + rows(corpus.valid_csv)) == 11
    assert "1 clips under 0.1 s are left out" in caplog.text
    assert "id9/a/1.wav" in corpus.test_files


def test_speakers_csv_sets_speakers_apart(vox, prepare):
    (vox / "meta" / "speakers.csv").write_text("id,set\nid2,test\nid1,dev\n")
    assert prepare(vox).speakers == ["id1", "id3"]


def test_split_depends_on_seed_and_speaker_alone():
    keys = [f"id1/a/{number}" for number in range(50)]
    part = validation_part(keys, "id1", 0.1, seed=1)
    assert len(part) == 5 and part < set(keys)
    assert validation_part(keys[::-1], "id1", 0.1, seed=1) == part
    assert validation_part(keys, "id1", 0.1, seed=2) != part
    assert validation_part(keys, "id2", 0.1, seed=1) != part
    assert len(validation_part(keys[:2], "id1", 0.9, seed=1)) == 1
    assert validation_part(keys[:1], "id1", 0.5, seed=1) == set()


def test_who_has_enough_is_held_out_twice_to_make_a_target_trial():
    keys = [f"id1/a/{number}" for number in range(10)]
    held_out = [
        len(validation_part(keys[:n], "id1", 0.1, 1)) for n in (4, 5, 10)
    ]
    assert held_out == [1, 2, 2]


def test_fewer_speakers_are_drawn_and_the_test_stays(vox, prepare):
    every = prepare(vox).speakers
    fewer = prepare(vox, max_speakers=1)
    assert len(fewer.speakers) == 1 and set(fewer.speakers) < set(every)
    assert {row["spk_id"] for row in rows(fewer.train_csv)} == set(
        fewer.speakers
    )
    assert prepare(vox, max_speakers=99).speakers == every
    with pytest.raises(ValueError, match="max_speakers must be at least 1"):
        prepare(vox, max_speakers=0)


def test_split_ratio(vox, prepare):
    corpus = prepare(vox, split_ratio=[50, 50])
    assert len(rows(corpus.train_csv)) == len(rows(corpus.valid_csv)) == 6


def count_headers(monkeypatch):
    """The files whose headers are read from now on."""
    seen = []
    read = scan.audio_info
    monkeypatch.setattr(
        scan, "audio_info", lambda path: seen.append(path) or read(path)
    )
    return seen


def test_nothing_changed_nothing_read(vox, prepare, monkeypatch, caplog):
    first = prepare(vox)
    caplog.set_level(logging.INFO)
    seen = count_headers(monkeypatch)
    stamp = first.train_csv.stat().st_mtime_ns
    assert prepare(vox) == first == load_corpus(first.train_csv.parent)
    assert not seen and first.train_csv.stat().st_mtime_ns == stamp
    assert "skipped" in caplog.text


def test_changes_are_noticed(vox, prepare, monkeypatch):
    first = prepare(vox)
    seen = count_headers(monkeypatch)
    prepare(vox, seed=7)
    assert not seen
    first.valid_csv.unlink()
    prepare(vox, seed=7)
    assert not seen and first.valid_csv.is_file()
    write(vox / "wav" / "id2" / "c" / "1.wav", samples=4000)
    corpus = prepare(vox, seed=7)
    assert {Path(path).parts[-3] for path in seen} == {"id2"} and len(seen) == 5
    assert len(rows(corpus.train_csv) + rows(corpus.valid_csv)) == 13
    # One line a speaker: what was replaced is gone.
    lines = (corpus.train_csv.parent / "scan.jsonl").read_text().splitlines()
    assert len(lines) == 4
    shutil.rmtree(vox / "wav" / "id3")
    assert prepare(vox).speakers == ["id1", "id2"]


def test_interrupted_scan_goes_on(vox, prepare, monkeypatch, tmp_path):
    read = scan.audio_info

    def stop_at_id3(path):
        if "id3" in path:
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(scan, "audio_info", stop_at_id3)
    with pytest.raises(KeyboardInterrupt):
        prepare(vox)
    save = tmp_path / "save"
    assert not (save / "train.csv").exists()
    with open(save / "scan.jsonl", "a") as file:
        file.write('{"speaker": "id3", "dig')
    monkeypatch.setattr(scan, "audio_info", read)
    seen = count_headers(monkeypatch)
    corpus = prepare(vox)
    assert {Path(path).parts[-3] for path in seen} == {"id3", "id9"}
    resumed = corpus.train_csv.read_text()
    shutil.rmtree(save)
    assert prepare(vox).train_csv.read_text() == resumed


def test_workers_do_not_matter(vox, prepare, tmp_path, monkeypatch):
    one = prepare(vox)
    monkeypatch.setattr(scan, "_FILES_FOR_PROCESSES", 1)
    for workers, name in ((2, "processes"), (None, "default")):
        two = prepare_corpus(vox, tmp_path / name, num_workers=workers)
        assert two.train_csv.read_text() == one.train_csv.read_text()


def test_skip_prep(vox, prepare, tmp_path):
    with pytest.raises(FileNotFoundError, match="run without skip_prep"):
        prepare(vox, skip_prep=True)
    corpus = prepare(vox)
    shutil.rmtree(vox / "wav" / "id1")
    assert prepare(vox, skip_prep=True) == corpus


def test_failed_write_leaves_the_old_manifests(vox, prepare):
    corpus = prepare(vox)
    before = corpus.train_csv.read_text()
    (vox / "wav" / "id1" / "a" / "1.wav").write_bytes(b"")
    with pytest.raises(ValueError, match="1 files cannot be read"):
        prepare(vox)
    assert corpus.train_csv.read_text() == before
    assert load_corpus(corpus.train_csv.parent) == corpus


def test_missing_folder_and_no_audio(tmp_path, prepare):
    with pytest.raises(FileNotFoundError, match="no folder .*gone; expected"):
        prepare(tmp_path / "gone")
    (tmp_path / "vox" / "wav" / "id1").mkdir(parents=True)
    (tmp_path / "vox" / "notes").mkdir()
    message = "no audio found; expected <speaker>.*notes, wav.*speakers: id1"
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path / "vox")


def test_broken_files(vox, prepare, caplog):
    paths = [vox / "wav" / name for name in ("id1/a/1.wav", "id2/a/1.wav")]
    paths[0].write_bytes(b"")
    paths[1].write_bytes(b"not audio" * 100)
    message = r"(?s)2 files cannot be read: .*on_broken: drop.*1.wav: empty.*"
    with pytest.raises(ValueError, match=message + "1.wav: not readable"):
        prepare(vox)
    caplog.set_level(logging.WARNING)
    corpus = prepare(vox, on_broken="drop")
    assert "2 unreadable files are left out" in caplog.text
    assert len(rows(corpus.train_csv) + rows(corpus.valid_csv)) == 10
    # Repaired without a trace: it is read again all the same.
    write(paths[0])
    corpus = prepare(vox, on_broken="drop")
    assert len(rows(corpus.train_csv) + rows(corpus.valid_csv)) == 11


def test_many_broken_files_are_counted(vox, prepare):
    for number in range(12):
        path = vox / "wav" / "id1" / "c" / f"{number:02d}.wav"
        write(path).write_bytes(b"")
    with pytest.raises(
        ValueError, match="(?s)12 files .*09.wav.*and 2 more"
    ) as e:
        prepare(vox)
    assert "10.wav" not in str(e.value)


def test_broken_link_and_broken_test_file(vox, prepare):
    (vox / "wav" / "id9" / "a" / "1.wav").unlink()
    (vox / "wav" / "id9" / "a" / "1.wav").symlink_to("nowhere.wav")
    message = r"1 files cannot be read \(1 of them in the trial list\)"
    with pytest.raises(ValueError, match=message):
        prepare(vox, on_broken="drop")


def test_single_utterance(vox, prepare, caplog):
    write(vox / "wav" / "id5" / "a" / "1.wav")
    message = (
        "1 speakers have a single utterance, .*: id5. Set single_utterance"
    )
    with pytest.raises(ValueError, match=message):
        prepare(vox)
    caplog.set_level(logging.WARNING)
    assert "id5" not in prepare(vox, single_utterance="drop").speakers
    assert "1 speakers have one utterance (single_utterance: dr" in caplog.text
    corpus = prepare(vox, single_utterance="train")
    assert "id5" in corpus.speakers
    assert "id5--a--1" in [row["ID"] for row in rows(corpus.train_csv)]


def test_nothing_to_train_or_validate_on(vox, prepare):
    with pytest.raises(ValueError, match="nothing is left to train on"):
        prepare(vox, min_duration_s=9.0)
    for path in sorted((vox / "wav").glob("id[123]/*/*.wav")):
        if path.stem != "1" or path.parts[-2] != "a":
            path.unlink()
    with pytest.raises(ValueError, match="nothing is left to validate on"):
        prepare(vox, single_utterance="train")


def test_list_of_every_speaker(vox, prepare):
    trials = vox / "meta" / "veri_test.txt"
    lines = [
        f"1 {name}/a/1.wav {name}/b/1.wav" for name in "id1 id2 id3".split()
    ]
    trials.write_text(trials.read_text() + "\n".join(lines))
    with pytest.raises(
        ValueError, match="no speaker is left .* all 4 .*-E and -H"
    ):
        prepare(vox)


def test_list_that_names_missing_files(vox, prepare, tmp_path):
    trials = tmp_path / "list.txt"
    pairs = [f"0 id9/a/1.wav id9/z/{number:02d}.wav" for number in range(12)]
    trials.write_text("\n".join(pairs))
    message = "list.txt: 12 of the 13 files it names are not .*id9/z/09.wav, "
    with pytest.raises(FileNotFoundError, match=message) as error:
        prepare(vox, verification_file=trials)
    assert "id9/z/10.wav" not in str(error.value)
    with pytest.raises(FileNotFoundError, match="no trial list .*gone.txt"):
        prepare(vox, verification_file=tmp_path / "gone.txt")
    trials.write_text("id9/a/1.wav id9/z/1.wav\n")
    with pytest.raises(ValueError, match="list.txt, line 1: expected"):
        prepare(vox, verification_file=trials)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"split_ratio": [90]}, "split_ratio: expected two numbers"),
        ({"split_ratio": "90, 10"}, "split_ratio: expected two numbers"),
        ({"split_ratio": [100, 0]}, "both above 0"),
        ({"min_duration_s": -1.0}, "min_duration_s: expected seconds"),
        ({"single_utterance": "no"}, "single_utterance: .* got 'no'"),
        ({"on_broken": "train"}, "on_broken: expected error or drop"),
    ],
)
def test_bad_settings(vox, prepare, settings, message):
    with pytest.raises(ValueError, match=message):
        prepare(vox, **settings)


def test_scan_file_passes_over_what_it_cannot_read(tmp_path):
    path = tmp_path / "scan.jsonl"
    good = {"speaker": "a", "digest": "1", "headers": [], "broken": []}
    path.write_text(f"nonsense\n{json.dumps(good)}\n[1]\n{{")
    found = ScanFile(path)
    assert found.digests == {"a": "1"}
    assert list(found.extend([good | {"speaker": "b"}]))
    again = ScanFile(path)
    assert [x["speaker"] for x in again.read(["b", "a"])] == ["b", "a"]


def test_realvox(realvox, prepare):
    folder = realvox
    corpus = prepare(folder)
    assert len(corpus.speakers) == 143
    tested = {name.split("/")[0] for name in corpus.test_files}
    assert len(tested) == 61 and not tested & set(corpus.speakers)
    train, valid = rows(corpus.train_csv), rows(corpus.valid_csv)
    assert {row["spk_id"] for row in train} == set(corpus.speakers)
    assert {row["spk_id"] for row in valid} == set(corpus.speakers)
    assert all(path.is_file() for path in corpus.test_files.values())


def _prepare_with_others(folder, save, barrier, answers):
    barrier.wait()
    corpus = prepare_corpus(folder, save, num_workers=1, progressbar=False)
    answers.put((corpus.speakers, len(corpus.test_files)))


def test_processes_that_prepare_at_once_get_one_corpus(tiny_corpus, tmp_path):
    alone = prepare_corpus(tiny_corpus, tmp_path / "one", progressbar=False)
    wanted = [(tmp_path / "one" / name).read_bytes() for name in CSVS]
    context = multiprocessing.get_context("fork")
    for attempt in range(3):
        save, answers = tmp_path / f"save{attempt}", context.Queue()
        given = (tiny_corpus, save, context.Barrier(4), answers)
        processes = [
            context.Process(target=_prepare_with_others, args=given)
            for _ in range(4)
        ]
        for process in processes:
            process.start()
        expected = (alone.speakers, len(alone.test_files))
        assert [answers.get(timeout=60) for _ in processes] == [expected] * 4
        for process in processes:
            process.join()
        assert [(save / name).read_bytes() for name in CSVS] == wanted
