"""Trial lists: what is read, what is refused."""

import numpy as np
import pytest

from speechbrain_kd.evaluation import TrialList, read_trials


def write(tmp_path, text):
    path = tmp_path / "veri_test.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_in_order_and_holds_utterances_once(tmp_path):
    path = write(
        tmp_path,
        "\ufeff1 a/1.wav a/2.wav\n\n  \n0 a/1.wav b/1.wav\r\n0 b/1.wav a/2.wav",
    )
    trials = read_trials(path)
    assert trials.utterances == ["a/1.wav", "a/2.wav", "b/1.wav"]
    assert trials.labels.tolist() == [True, False, False]
    assert trials.enrol.tolist() == [0, 0, 2]
    assert trials.test.tolist() == [1, 2, 1]
    assert len(trials) == 3


@pytest.mark.parametrize(
    "line", ["1 a.wav", "1 a.wav b.wav 0.5", "2 a.wav b.wav", "a.wav b.wav 1"]
)
def test_bad_line_names_file_number_and_content(tmp_path, line):
    path = write(tmp_path, f"1 a.wav c.wav\n\n{line}\n")
    with pytest.raises(ValueError) as error:
        read_trials(path)
    message = str(error.value)
    assert str(path) in message and "line 3" in message and line in message
    assert "label enrol test" in message


def test_missing_empty_and_binary_lists(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such trial list"):
        read_trials(tmp_path / "none.txt")
    with pytest.raises(ValueError, match="veri_test.txt: no trial"):
        read_trials(write(tmp_path, "\n \n"))
    binary = tmp_path / "list.gz"
    binary.write_bytes(b"\x1f\x8b\x08\xff\xfe")
    with pytest.raises(ValueError, match="list.gz: not a text file"):
        read_trials(binary)


def test_split():
    trials = TrialList([1, 0, 1], [0, 0, 1], [1, 2, 1], ["a", "b", "c"])
    target, impostor = trials.split(np.array([0.9, 0.1, 0.8]))
    assert target.tolist() == [0.9, 0.8] and impostor.tolist() == [0.1]
    with pytest.raises(ValueError, match="one score for each of 3 trials"):
        trials.split([0.9, 0.1])


@pytest.mark.parametrize("label, name", [(0, "target"), (1, "impostor")])
def test_one_class_is_an_error_at_scoring(label, name):
    trials = TrialList([label] * 2, [0, 1], [1, 0], ["a", "b"])
    with pytest.raises(ValueError, match=f"2 trials and no {name}"):
        trials.split([0.1, 0.2])


def test_trials_must_fit():
    with pytest.raises(ValueError, match="as long as each other"):
        TrialList([True], [0, 1], [1], ["a", "b"])
    with pytest.raises(ValueError, match="name utterances 0 to 2, but"):
        TrialList([True], [0], [2], ["a", "b"])
