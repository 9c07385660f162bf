"""``speechbrain-kd label``: speech without labels as a corpus."""

import csv
import shutil
from pathlib import Path

import pytest
import soundfile

from speechbrain_kd.data.prepare import prepare_corpus
from speechbrain_kd.label import main
from speechbrain_kd.training_data import training_data


@pytest.fixture
def corpus(tiny_corpus, tmp_path):
    """Without two of its training speakers."""
    folder = tmp_path / "corpus"
    shutil.copytree(tiny_corpus, folder)
    for speaker in ("id00002", "id00003"):
        shutil.rmtree(folder / "wav" / speaker)
    return folder


@pytest.fixture
def speech(tiny_corpus, tmp_path):
    """Of those two, of one who stays, and of a test speaker."""
    folder = tmp_path / "speech"
    for speaker, count in (
        ("id00002", 6),
        ("id00003", 2),
        ("id00004", 5),
        ("id00006", 4),
    ):
        files = sorted((tiny_corpus / "wav" / speaker).rglob("*.wav"))
        for number, file in enumerate(files[:count]):
            place = folder / f"at {number % 2}" / f"{speaker[-1]}-{number}.FLAC"
            place.parent.mkdir(parents=True, exist_ok=True)
            wav, rate = soundfile.read(file, dtype="int16")
            soundfile.write(place, wav, rate, format="FLAC")
    return folder


@pytest.fixture
def label(ear, corpus, tmp_path, capsys):
    """Runs the command; gives its status and what it printed."""

    def label(folder, *arguments):
        status = 0
        try:
            main(
                [
                    f"{ear},allowed=[own_ear.]",
                    str(folder),
                    f"--data_folder={corpus}",
                    f"--output={tmp_path / 'heard'}",
                    f"--cache={tmp_path / 'cache'}",
                    "--threshold=0.98",
                    "--noprogressbar",
                    *arguments,
                ]
            )
        except SystemExit as error:
            status = error.code
        return status, capsys.readouterr().out

    return label


def listed(folder):
    """Rows of the list that the command wrote."""
    with open(folder / "voices.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_files_that_end_too_soon_are_found_before_the_ear_is_asked(
    label, speech, tmp_path
):
    first, second, *_ = sorted(speech.rglob("*.FLAC"))
    for file in (first, second):
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
    status, _ = label(speech)
    assert "2 of 17 files cannot be read" in str(status)
    assert first.name in str(status)
    assert not (tmp_path / "cache" / "learned").exists()
    status, text = label(speech, "--on_broken=drop")
    assert status == 0, status
    assert "15 utterances" in text


def test_voices_become_speakers(label, corpus, speech, tmp_path):
    status, text = label(speech)
    assert status == 0, status
    assert "17 utterances" in text and "as given" in text
    assert "11 have one of 2 voices; 1 of these are training sp" in text
    assert "2 have none that is heard often enough; 4 are like a test" in text
    heard = tmp_path / "heard"
    assert f"--data_folder={corpus},{heard}" in text
    voices = {"2": "voice00001", "3": "-", "4": "id00004", "6": "(test)"}
    rows = listed(heard)
    assert [row["file"] for row in rows] == sorted(x["file"] for x in rows)
    for row in rows:
        assert row["voice"] == voices[Path(row["file"]).name[0]], row
        if row["voice"] == "(test)":
            assert row["path"] == ""
            continue
        place = heard / row["path"]
        assert place.resolve() == speech / row["file"]
        folder = "unlabelled/" if row["voice"] == "-" else "wav/"
        assert row["path"].startswith(folder) and place.suffix == ".flac"
    assert len(list((heard / "unlabelled").iterdir())) == 2


def test_a_training_takes_both(label, corpus, speech, tmp_path):
    label(speech)
    both = f"{corpus},{tmp_path / 'heard'}"
    found = prepare_corpus(both, tmp_path / "save", progressbar=False)
    speakers = ["id00000", "id00001", "id00004", "id00005", "voice00001"]
    assert found.speakers == speakers
    with open(found.train_csv) as train, open(found.valid_csv) as valid:
        rows = [*csv.DictReader(train), *csv.DictReader(valid)]
    heard = [row["spk_id"] for row in rows].count
    assert heard("voice00001") == 6 and heard("id00004") == 6 + 5
    # Nobody knows who they are, whatever the folders are called.
    (learner,) = training_data(found.train_csv, "both")["learners"]
    assert learner["unknown"] == ["voices of heard"]


def test_again(label, speech, tmp_path):
    """The same folder in the end, and nothing of the earlier one."""
    label(speech)
    first = listed(tmp_path / "heard")
    status, _ = label(speech)
    assert status == 0 and listed(tmp_path / "heard") == first
    for file in speech.rglob("2-*"):
        file.unlink()
    status, text = label(speech, "--least=2", "--prefix=spk-")
    assert status == 0 and "2 voices" in text
    names = {path.name for path in (tmp_path / "heard" / "wav").iterdir()}
    assert names == {"id00004", "spk-00001"}


def test_copies_stay_without_the_source(label, speech, tmp_path):
    status, _ = label(speech, "--copy")
    shutil.rmtree(speech)
    files = list((tmp_path / "heard" / "wav").rglob("*.flac"))
    assert status == 0 and len(files) == 11
    assert all(soundfile.info(file).frames > 0 for file in files)


def test_without_trials_nobody_is_tested(label, corpus, speech):
    (corpus / "meta" / "veri_test.txt").unlink()
    status, text = label(speech)
    assert status == 0 and "0 are like a test speaker" in text
    assert "15 have one of 3 voices; 2 of these" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--least=9"], "no voice is heard often enough at a cosine of 0.98"),
        (["--trials=nothing.txt"], "nothing.txt"),
        (["--data_folder=nothing"], "no folder"),
    ],
)
def test_what_cannot_be_done(label, speech, tmp_path, arguments, said):
    status, _ = label(speech, *arguments)
    assert status.startswith("label: error:") and said in status, status
    assert "\n" not in status and not (tmp_path / "heard").exists()


def test_a_voice_is_not_called_as_a_speaker(label, corpus, speech, tmp_path):
    shutil.move(corpus / "wav" / "id00000", corpus / "wav" / "voice00001")
    status, _ = label(speech)
    assert "the corpus has a speaker voice00001" in status
    assert not (tmp_path / "heard").exists()


def test_another_folder_is_not_replaced(label, speech, tmp_path):
    (tmp_path / "heard").mkdir()
    (tmp_path / "heard" / "thesis.txt").write_text("mine")
    status, _ = label(speech)
    assert "expected no folder there" in status
    assert (tmp_path / "heard" / "thesis.txt").read_text() == "mine"


def test_audio_of_the_trial_list_is_refused(label, corpus, speech, tmp_path):
    file = next((corpus / "wav" / "id00006").rglob("*.wav"))
    shutil.copy(file, speech / "other.wav")
    status, _ = label(speech)
    assert "of the trial list" in status and "other.wav" in status
    assert not (tmp_path / "heard").exists()


def test_a_broken_file(label, speech, tmp_path):
    (speech / "broken.wav").write_bytes(b"RIFF")
    status, _ = label(speech)
    assert "broken.wav" in status and not (tmp_path / "heard").exists()
    status, text = label(speech, "--on_broken=drop")
    assert status == 0 and "17 utterances" in text


@pytest.mark.parametrize(
    "arguments",
    [["--threshold=1.5"], ["--least=1"], ["--prefix="], ["--prefix=a/b"]],
)
def test_slips_of_the_pen(label, speech, arguments):
    status, _ = label(speech, *arguments)
    assert status == 2
