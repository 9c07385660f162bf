"""``speechbrain-kd voices``: one person under several ids."""

import csv
import shutil

import pytest

from speechbrain_kd.voices import main


@pytest.fixture
def corpus(tiny_corpus, tmp_path):
    """Two training ids are one person, and one is a test speaker's, too."""
    folder = tmp_path / "corpus"
    shutil.copytree(tiny_corpus, folder)
    for new, old in (("id00010", "id00001"), ("id00011", "id00006")):
        shutil.copytree(folder / "wav" / old, folder / "wav" / new)
    return folder


@pytest.fixture
def voices(ear, tmp_path, capsys):
    """Runs the command; gives its status and what it printed."""

    def voices(folder, *arguments):
        places = [f"--data_folder={folder}", f"--cache={tmp_path / 'cache'}"]
        status = 0
        try:
            main(
                [
                    f"{ear},allowed=[own_ear.]",
                    *places,
                    "--noprogressbar",
                    *arguments,
                ]
            )
        except SystemExit as error:
            status = error.code
        return status, capsys.readouterr().out

    return voices


def test_all_of_it(voices, corpus, tmp_path):
    output, clean = tmp_path / "voices.csv", tmp_path / "clean.txt"
    status, text = voices(
        corpus, "--threshold=0.99", f"--output={output}", f"--clean={clean}"
    )
    assert status == 0
    assert "8 training and 2 test speakers" in text
    assert "| id00001, id00010 |" in text
    assert "| id00006 (test), id00011 |" in text
    assert "1 of 2 test speakers have the voice of a training speak" in text
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(x["speaker"], x["set"], x["voice"]) for x in rows] == [
        ("id00001", "train", "id00001"),
        ("id00010", "train", "id00001"),
        ("id00006", "test", "id00006"),
        ("id00011", "train", "id00006"),
    ]
    listed = (corpus / "meta" / "veri_test.txt").read_text().splitlines()
    kept = [line for line in listed if "id00006" not in line]
    assert clean.read_text().splitlines() == kept and len(kept) == 9
    assert f"{len(listed) - 9} of {len(listed)} trials" in text
    assert "other 9 trials" in text


def test_a_teacher_that_learns_first(voices, corpus, ear, tmp_path):
    """What it learns from does not take the place of the list's files."""
    ear.write_text(
        "!new:speechbrain_kd.teachers.PrototypeTeacher\n"
        "teacher: !new:own_ear.Spectrum\n    source: spectrum\n"
    )
    trials = tmp_path / "elsewhere.txt"
    shutil.move(corpus / "meta" / "veri_test.txt", trials)
    status, text = voices(corpus, "--threshold=0.99", f"--trials={trials}")
    assert status == 0, status
    assert "8 training and 2 test speakers" in text
    assert "| id00006 (test), id00011 |" in text


def test_impostor_trials_of_one_voice(voices, tiny_corpus, tmp_path):
    folder = tmp_path / "twice"
    shutil.copytree(tiny_corpus, folder)
    shutil.rmtree(folder / "wav" / "id00007")
    shutil.copytree(folder / "wav" / "id00006", folder / "wav" / "id00007")
    clean = tmp_path / "clean.txt"
    status, text = voices(folder, "--threshold=0.99", f"--clean={clean}")
    assert status == 0
    assert "| id00006 (test), id00007 (test) |" in text
    assert "0 of 2 test speakers have the voice" in text
    assert "18 of its impostor trials are of one voice" in text
    lines = clean.read_text().splitlines()
    assert len(lines) == 18 and all(line.startswith("1 ") for line in lines)


def test_nobody_has_anothers_voice(voices, tiny_corpus, tmp_path):
    clean = tmp_path / "clean.txt"
    status, text = voices(tiny_corpus, "--threshold=0.99", f"--clean={clean}")
    assert status == 0 and "No two speakers have one voice." in text
    listed = (tiny_corpus / "meta" / "veri_test.txt").read_text()
    assert clean.read_text() == listed


def test_no_trial_is_left(voices, corpus, tmp_path):
    shutil.rmtree(corpus / "wav" / "id00010")
    shutil.copytree(corpus / "wav" / "id00007", corpus / "wav" / "id00012")
    clean = tmp_path / "clean.txt"
    status, _ = voices(corpus, "--threshold=0.99", f"--clean={clean}")
    assert status.startswith("voices: error:") and "no trial is left" in status
    assert not clean.exists()


def test_a_corpus_without_a_list(voices, corpus, tmp_path):
    (corpus / "meta" / "veri_test.txt").unlink()
    status, text = voices(corpus, "--threshold=0.99")
    assert status == 0 and "10 training and 0 test speakers" in text
    assert "trials" not in text
    status, _ = voices(corpus, "--threshold=0.99", f"--clean={tmp_path / 'c'}")
    assert "needs a trial list" in status


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "give a threshold"),
        (("--threshold=0.01",), "does not tell the voices"),
        (("--trials=nothing.txt", "--threshold=0.9"), "nothing.txt"),
    ],
)
def test_errors_are_one_line(voices, tiny_corpus, options, problem):
    status, text = voices(tiny_corpus, *options)
    assert isinstance(status, str) and problem in status
    assert "\n" not in status and text == ""


def test_a_threshold_that_is_none(voices, tiny_corpus):
    assert voices(tiny_corpus, "--threshold=1.5")[0] == 2
