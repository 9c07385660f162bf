"""Bad input: one clear error at the start, which names thing and remedy."""

import logging
import re
import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_kd import run
from speechbrain_kd.data import audio

ROOT = Path(__file__).parents[1]
LAYOUT = ROOT / "tests" / "teachers" / "teacher_layout.py"
WAV = "wav/id00000/rec0/00001.wav"


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """An empty working directory, and the logging of before afterwards."""
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    monkeypatch.chdir(tmp_path)
    # pip freeze takes most of the time of a refusal.
    monkeypatch.setattr(
        "speechbrain.utils.logger.get_environment_description", lambda: ""
    )
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)


@pytest.fixture
def corpus(tiny_corpus, tmp_path):
    """A corpus for a test to spoil."""
    return Path(shutil.copytree(tiny_corpus, tmp_path / "corpus"))


@pytest.fixture
def plain(corpus):
    """Options of a run without a teacher."""
    return [f"--data_folder={corpus}", "--teacher=null", "--distillation=null"]


def start(*options, yaml=ROOT / "hparams" / "student.yaml"):
    """``train_kd.py`` with a run folder of its own."""
    common = ["--output_folder=run", "--number_of_epochs=1", "--batch_size=8"]
    run.main([str(yaml), *common, *map(str, options)])


class _Reached(Exception):
    """Training would begin now."""


@pytest.fixture
def refused(monkeypatch):
    """Starts a run and gives the message with which it ends."""

    def reached(*_):
        raise _Reached

    monkeypatch.setattr(run, "train", reached)

    def refused(*options, **kwargs):
        with pytest.raises(SystemExit) as caught:
            start(*options, **kwargs)
        message = caught.value.code
        assert isinstance(message, str)  # status 1, and printed once
        assert message.startswith("train_kd: error: ")
        assert not list(Path("run").rglob("*CKPT*"))
        assert not Path("run/train_log.txt").exists()
        return message

    return refused


def mentions(message, *words):
    """Whether a message has all words, in their order."""
    return re.search(".*".join(map(re.escape, words)), message, re.DOTALL)


def yaml_with(tmp_path, old, new):
    """student.yaml with one change, beside links to its fragments."""
    for folder in ("students", "teachers", "distillation"):
        (tmp_path / folder).symlink_to(ROOT / "hparams" / folder)
    text = (ROOT / "hparams" / "student.yaml").read_text()
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


# The data


def test_a_missing_data_folder(refused):
    message = refused(
        "--data_folder=/no/such", "--teacher=null", "--distillation=null"
    )
    assert mentions(
        message, "data_folder: no folder /no/such", "expected <speaker>"
    )


def test_a_trial_list_that_names_a_missing_file(refused, corpus, plain):
    trials = corpus / "meta" / "veri_test.txt"
    with open(trials, "a") as file:
        file.write("0 id00006/rec0/00001.wav id00007/rec9/00099.wav\n")
    message = refused(*plain)
    assert mentions(message, str(trials), "1 of the 13 files", str(corpus))
    assert mentions(message, "id00007/rec9/00099.wav", "Add the folder")


def test_a_missing_trial_list(refused, plain):
    message = refused(*plain, "--verification_file=no.txt")
    assert mentions(message, "verification_file", "no.txt", "give a path")


def test_a_trial_list_that_is_none(refused, plain):
    Path("list.txt").write_text("\n1 id00006/rec0/00001.wav\n")
    message = refused(*plain, "--verification_file=list.txt")
    assert mentions(message, "list.txt, line 2: expected '<0 or 1>", "got")


def test_an_unreadable_wav(refused, corpus, plain):
    (corpus / WAV).write_text("this is no audio")
    message = refused(*plain)
    assert mentions(message, "cannot be read", "remove or replace", WAV)
    assert mentions(message, WAV, "not readable as audio")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: soundfile.write(path, np.zeros(0), 16000),
    ],
    ids=["no bytes", "no samples"],
)
def test_an_empty_wav(refused, corpus, plain, spoil):
    spoil(corpus / WAV)
    message = refused(*plain)
    assert mentions(message, "cannot be read", "remove or replace")
    assert mentions(message, WAV, ": empty", "remove it")


def test_an_empty_wav_of_the_trial_list(refused, corpus, plain):
    (corpus / "wav/id00006/rec0/00001.wav").write_bytes(b"")
    message = refused(*plain, "--on_broken=drop")
    assert mentions(message, "1 of them in the trial list", "id00006")


def test_stereo_and_8_khz_work_and_are_said_once(corpus, plain, monkeypatch):
    monkeypatch.setattr(audio, "_SAID", set())
    noise = np.random.default_rng(1).normal(0, 0.1, (16000, 2))
    for number in (1, 2):
        stereo = corpus / f"wav/id00000/rec0/0000{number}.wav"
        soundfile.write(stereo, noise, 16000)
        narrow = corpus / f"wav/id00001/rec0/0000{number}.wav"
        soundfile.write(narrow, noise[:, 0], 8000)
    start(*plain)
    assert list(Path("run/save").glob("CKPT*"))
    log = Path("run/log.txt").read_text()
    for line in (
        "2 files are not at 16 kHz: resampled when read",
        "2 files are not mono: mixed when read",
        "Resampling from 8000 Hz (said once",
        "Mixing 2 channels to one (said once",
    ):
        assert log.count(line) == 1, line


def test_a_speaker_with_one_utterance(refused, corpus, plain):
    for path in sorted((corpus / "wav" / "id00000").rglob("*.wav"))[1:]:
        path.unlink()
    message = refused(*plain)
    assert mentions(message, "single utterance", "id00000")
    assert mentions(message, "single_utterance: drop", "or train")


def test_another_sample_rate(refused, plain):
    message = refused(*plain, "--sample_rate=8000")
    assert mentions(message, "sample_rate must be 16000", "8000", "resampled")


# The classes


def test_too_few_classes(refused, corpus, plain):
    message = refused(*plain, "--out_n_neurons=5")
    assert mentions(
        message, "out_n_neurons is 5", str(corpus), "6 training speakers"
    )
    assert mentions(message, "give --out_n_neurons=6", "null")


def test_too_few_classes_that_the_yaml_wires_by_hand(refused, plain):
    message = refused(*plain, "--classifier={out_neurons: 2}")
    assert mentions(message, "2 classes for 6 training speakers", "null")


def test_too_many_classes_are_said(refused, plain):
    with pytest.raises(_Reached):
        start(*plain, "--out_n_neurons=9")
    log = Path("run/log.txt").read_text()
    assert "out_n_neurons is 9 for 6 training speakers: 3 classes" in log


def test_a_run_folder_of_another_corpus(refused, corpus, plain):
    with pytest.raises(_Reached):
        start(*plain)
    (corpus / "wav/id00000").rename(corpus / "wav/id00009")
    message = refused(*plain)
    assert mentions(message, "label_encoder.txt", "6 speakers of an earlier")
    assert mentions(message, "another output_folder")


# The teacher


BOTH = f"--distillation={ROOT / 'hparams/distillation/both.yaml'}"


@pytest.fixture
def teacher(tmp_path):
    """A small ECAPA of the training speakers: its folder and fragment."""
    folder = runpy.run_path(str(LAYOUT))["write_model"](tmp_path / "model")
    labels = folder / "label_encoder.txt"
    labels.write_text(labels.read_text().replace("id1000", "id0000"))
    fragment = tmp_path / "teacher.yaml"
    fragment.write_text(
        f"!new:speechbrain_kd.teachers.SpeechBrainTeacher\nsource: {folder}\n"
    )
    return folder, fragment


def test_the_teacher_of_these_tests_is_sound(refused, corpus, teacher):
    with pytest.raises(_Reached):
        start(f"--data_folder={corpus}", f"--teacher={teacher[1]}", BOTH)
    log = Path("run/log.txt").read_text()
    assert "Label-level targets for 5 of 6 training speakers" in log


def test_a_teacher_whose_checkpoint_does_not_fit(refused, corpus, teacher):
    folder, fragment = teacher
    path = folder / "embedding_model.ckpt"
    state = torch.load(path)
    state["fc.conv.weight"] = torch.zeros(7, 96, 1)
    torch.save(state, path)
    message = refused(f"--data_folder={corpus}", f"--teacher={fragment}")
    assert mentions(message, str(path), "does not fit the ECAPA_TDNN")
    assert mentions(
        message, "fc.conv.weight expected [12, 96, 1]", "[7, 96, 1]"
    )
    assert mentions(message, "must come from the same model")


def test_a_teacher_that_is_not_there(refused, corpus, teacher):
    folder, fragment = teacher
    shutil.rmtree(folder)
    message = refused(f"--data_folder={corpus}", f"--teacher={fragment}")
    assert mentions(message, f"no teacher folder {folder}", "correct `source`")


def test_label_level_with_a_teacher_without_classes(refused, corpus, teacher):
    folder, fragment = teacher
    yaml = folder / "hyperparams.yaml"
    text = re.sub(r"classifier: !new.*\n( .*\n)*", "", yaml.read_text())
    yaml.write_text(re.sub(r" *(classifier|label_encoder): .*\n", "", text))
    options = (f"--data_folder={corpus}", f"--teacher={fragment}")
    message = refused(*options, BOTH)
    assert mentions(message, "label-level term", str(folder), "has none")
    assert mentions(message, "hparams/distillation/embedding.yaml")
    embedding = ROOT / "hparams/distillation/embedding.yaml"
    with pytest.raises(_Reached):
        start(*options, f"--distillation={embedding}")


def test_label_level_with_a_teacher_of_strangers(refused, corpus, teacher):
    folder, fragment = teacher
    labels = folder / "label_encoder.txt"
    labels.write_text(labels.read_text().replace("id0000", "id1000"))
    message = refused(f"--data_folder={corpus}", f"--teacher={fragment}", BOTH)
    assert mentions(message, "share no speaker", "'id10000'", "'id00000'")
    assert mentions(message, "remove the label-level terms")


def test_label_level_without_the_students_classifier(refused, corpus, teacher):
    message = refused(
        f"--data_folder={corpus}",
        f"--teacher={teacher[1]}",
        "--classifier=null",
        "--compute_cost=null",
        "--margin_schedule=null",
        BOTH,
    )
    assert mentions(message, "label-level term", "classifier: null")


@pytest.mark.parametrize(
    "options, said",
    [
        (
            ["--teacher_target=whole", "--teacher_views=0"],
            ["teacher_target is whole", "give teacher_views of at least 1"],
        ),
        (
            ["--teacher_target=half", "--teacher_views=2"],
            ["teacher_target", "view, clean, whole", "'half'"],
        ),
        (["--teacher_views=-1"], ["teacher_views", "at least 1", "-1"]),
        (["--teacher_views=many"], ["teacher_views must be a number", "many"]),
        (["--num_workers=some"], ["num_workers", "auto", "some"]),
    ],
)
def test_views_that_cannot_be(refused, corpus, teacher, options, said):
    message = refused(
        f"--data_folder={corpus}", f"--teacher={teacher[1]}", *options
    )
    assert mentions(message, *said)


def test_the_embedded_corpus_teacher_for_another_corpus(refused, corpus):
    message = refused(f"--data_folder={corpus}")
    assert mentions(message, "results/demo/teacher", str(corpus))
    assert mentions(message, "--teacher=hparams/teachers/NAME.yaml")


def test_terms_without_a_teacher(refused, corpus):
    message = refused(f"--data_folder={corpus}", "--teacher=null")
    assert mentions(message, "teacher is null", "--distillation=null")


def test_a_teacher_without_terms_is_said(refused, corpus, teacher):
    with pytest.raises(_Reached):
        start(
            f"--data_folder={corpus}",
            f"--teacher={teacher[1]}",
            "--distillation=null",
        )
    log = Path("run/log.txt").read_text()
    assert f"the teacher {teacher[0]} is not used" in log


@pytest.mark.parametrize(
    "value", ["hparams/teachers/none.yaml", "speechbrain/spkrec-ecapa"]
)
def test_a_missing_teacher_fragment(refused, corpus, value):
    message = refused(f"--data_folder={corpus}", f"--teacher={value}")
    assert mentions(message, f"--teacher={value}", "yaml fragment", "hparams/")


# The yaml and its overrides


def test_a_missing_yaml(refused):
    message = refused(yaml="no.yaml")
    assert mentions(message, "no.yaml: no such hyperparameter file")


def test_an_unknown_key_as_override(refused, plain):
    message = refused(*plain, "--sentence_length=3")
    assert mentions(message, "--sentence_length: no such key", "student.yaml")
    assert message.endswith("did you mean sentence_len?")


def test_an_unknown_key_in_the_yaml(refused, plain, tmp_path):
    yaml = yaml_with(tmp_path, "seed: 1986", "clasifier: 3\nseed: 1986")
    message = refused(*plain, yaml=yaml)
    assert mentions(message, f"{yaml}: nothing reads the key clasifier")
    assert message.endswith("did you mean classifier?")


def test_an_unknown_key_in_a_yaml_with_a_base(refused, plain, tmp_path):
    yaml = tmp_path / "heir.yaml"
    yaml.write_text(f"__base__: {ROOT}/hparams/student.yaml\nbatchsize: 8\n")
    message = refused(*plain, yaml=yaml)
    assert mentions(message, f"{yaml}: nothing reads the key batchsize")
    assert message.endswith("did you mean batch_size?")


def test_a_placeholder_left_unset(refused, tmp_path):
    yaml = yaml_with(
        tmp_path, "data_folder: minivox", "data_folder: !PLACEHOLDER"
    )
    message = refused("--teacher=null", "--distillation=null", yaml=yaml)
    assert mentions(message, f"{yaml}: data_folder is not set")
    assert message.endswith("give --data_folder=VALUE")


@pytest.mark.parametrize("key", ["opt_class", "embedding_model"])
def test_null_where_nothing_trains_without(refused, plain, key):
    message = refused(*plain, f"--{key}=null")
    assert mentions(message, "student.yaml", f"the key {key} is missing")
    assert mentions(message, "give it a value")


def test_nothing_to_learn_from(refused, plain):
    message = refused(*plain, "--compute_cost=null")
    assert mentions(message, "compute_cost and distillation are both null")


def test_labels_without_a_classifier(refused, plain):
    message = refused(*plain, "--classifier=null")
    assert mentions(message, "compute_cost needs a classifier")
    assert mentions(message, "--compute_cost=null")


def test_a_margin_for_a_loss_without(refused, corpus, teacher):
    message = refused(
        f"--data_folder={corpus}",
        f"--teacher={teacher[1]}",
        "--compute_cost=null",
    )
    assert mentions(message, "a margin is scheduled", "NoneType")
    assert mentions(message, "set margin_schedule and large_margin to null")


def test_a_number_that_is_none(refused, plain):
    message = refused(*plain, "--sentence_len=long")
    assert mentions(message, "sentence_len must be a number; got 'long'")


def test_an_argument_that_a_class_does_not_take(refused, plain):
    message = refused(*plain, "--lr_annealing={warmup: 3}")
    assert mentions(message, "student.yaml", "WarmupCosine", "'warmup'")


@pytest.mark.parametrize("option", ["--batch_size=9", "--lr={a: ["])
def test_overrides_that_are_no_yaml(refused, plain, option):
    message = refused(*plain, option)
    assert mentions(message, option[:4], "expected --KEY=VALUE, once for each")
