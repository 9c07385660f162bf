"""The formats of trial lists and of the files beside them."""

import pytest

from speechbrain_kd.evaluation import read_trials

VOXCELEB = "1 a x\n0 a y\n1 b y\n"
WRITTEN = {
    "VoxCeleb": VOXCELEB,
    "Kaldi": "a x target\na y nontarget\nb y target\n",
    "CN-Celeb": "a x 1\na y 0\nb y 1\n",
}


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def pairs(trials):
    names = trials.utterances
    return [
        (names[e], names[t])
        for e, t in zip(trials.enrol, trials.test, strict=True)
    ]


@pytest.mark.parametrize("name", WRITTEN)
def test_formats_say_the_same(tmp_path, name):
    trials = read_trials(write(tmp_path, "list", WRITTEN[name]))
    assert pairs(trials) == [("a", "x"), ("a", "y"), ("b", "y")]
    assert trials.labels.tolist() == [True, False, True]
    assert trials.recordings == trials.utterances == ["a", "x", "y", "b"]


def test_a_blind_list_has_scores_and_no_error_rate(tmp_path):
    path = write(tmp_path, "blind", "a x\na y\n")
    with pytest.raises(ValueError, match="blind: .*without labels.*VoxSRC"):
        read_trials(path)
    trials = read_trials(path, labelled=False)
    assert len(trials) == 2 and trials.labels is None
    with pytest.raises(ValueError, match="2 trials have no labels"):
        trials.split([0.1, 0.2])
    labelled = read_trials(write(tmp_path, "list", VOXCELEB), labelled=False)
    assert labelled.labels.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "text, number, expected",
    [
        ("a x target\n1 a x\n", 2, "'enrol test label' with label nontarget"),
        ("a x target\na x yes\n", 2, "label nontarget or target"),
        ("a x\na x 1\n", 2, "'enrol test'"),
        ("1 a x\n\na x target\n", 3, "'label enrol test' with label 0 or 1"),
        ("a,x,1\n", 1, "'label enrol test'.*'enrol test label'.*'enrol test'"),
    ],
)
def test_a_file_has_one_format(tmp_path, text, number, expected):
    path = write(tmp_path, "list", text)
    with pytest.raises(ValueError, match=f"line {number}: .*{expected}"):
        read_trials(path, labelled=False)


def test_models_and_files(tmp_path):
    path = write(tmp_path, "trials", "s1 u3 target\ns2 u3 nontarget\n")
    models = write(tmp_path, "spk2utt", "s1 u1 u2\ns2 u4\nother u9\n")
    trials = read_trials(path, models=models)
    assert trials.utterances == ["s1", "u3", "s2"]
    assert trials.models == {"s1": ("u1", "u2"), "s2": ("u4",)}
    assert trials.recordings == ["u1", "u2", "u3", "u4"]
    scp = write(
        tmp_path, "wav.scp", "".join(f"u{n} wav/{n}.wav\n" for n in range(5))
    )
    trials = read_trials(path, models=models, files=scp)
    assert pairs(trials) == [("s1", "wav/3.wav"), ("s2", "wav/3.wav")]
    assert trials.recordings == [f"wav/{n}.wav" for n in (1, 2, 3, 4)]


def test_a_model_of_itself_is_an_utterance(tmp_path):
    path = write(tmp_path, "trials", "u1 u2 target\nu2 u1 nontarget\n")
    models = write(tmp_path, "spk2utt", "u1 u1\nu2 u2\n")
    trials = read_trials(path, models=models)
    assert trials.models == {} and trials.utterances == ["u1", "u2"]


@pytest.mark.parametrize(
    "spk2utt, message",
    [
        ("s1 u1\n", "'s2' is enrolled, but is no model of .*1 of 2 are not"),
        ("s1 u1\ns2\n", "spk2utt, line 2: expected 'model utterance"),
        ("s1 u1\ns2 u2\ns1 u3\n", "line 3: model 's1' comes twice"),
        ("\n", "spk2utt: no model"),
        ("s1 u1\ns2 u2\nu3 u1 u2\n", "no file for utterance 'u1'"),
    ],
)
def test_bad_model_maps(tmp_path, spk2utt, message):
    path = write(tmp_path, "trials", "s1 u3 target\ns2 u3 nontarget\n")
    models = write(tmp_path, "spk2utt", spk2utt)
    scp = write(tmp_path, "wav.scp", "u3 3.wav\n")
    with pytest.raises(ValueError, match=message):
        read_trials(path, models=models, files=scp)


def test_a_name_for_two_things_is_refused(tmp_path):
    path = write(tmp_path, "trials", "u1 u2 target\nu2 u1 nontarget\n")
    models = write(tmp_path, "spk2utt", "u1 u1 u5\nu2 u2\n")
    with pytest.raises(ValueError, match="'u1' is a test utterance and a mod"):
        read_trials(path, models=models)


@pytest.mark.parametrize(
    "line, message",
    [
        ("u1 touch {} |", "'u1' is read by a command .* which is not run"),
        ("u1 touch {}|", "'u1' is read by a command .* which is not run"),
        ("u1", "expected 'utterance file', got 'u1'"),
        ("u1 one two", "expected 'utterance file'"),
        ("u0 other.wav", "utterance 'u0' has two files"),
    ],
)
def test_a_list_of_files_runs_nothing(tmp_path, line, message):
    proof = tmp_path / "proof"
    scp = write(tmp_path, "wav.scp", f"u0 0.wav\n{line.format(proof)}\n")
    path = write(tmp_path, "trials", "u0 u1 target\n")
    with pytest.raises(ValueError, match=f"wav.scp, line 2: .*{message}"):
        read_trials(path, files=scp)
    assert not proof.exists()


def test_missing_files_say_what_they_are(tmp_path):
    path = write(tmp_path, "trials", "s1 u3 target\n")
    with pytest.raises(FileNotFoundError, match="no such model map"):
        read_trials(path, models=tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no such list of files"):
        read_trials(path, files=tmp_path / "none")
