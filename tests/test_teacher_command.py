"""``speechbrain-kd teacher``: a card and checks, or one line and a status."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speechbrain_kd.teacher import main
from speechbrain_kd.teachers.fragment import read_fragment
from speechbrain_kd.training_data import training_data

ROOT = Path(__file__).parents[1]
_LAYOUT = ROOT / "tests" / "teachers" / "teacher_layout.py"
FAST = ["--noprogressbar", "--utterances=8", "--seconds=0.8", "--draws=20"]

OWN = """\
import torch
from speechbrain_kd.teachers import Teacher

class Noisy(Teacher):
    def __init__(self, source):
        super().__init__(source, 4)
        self.freeze()

    def encode(self, wavs, lens):
        return torch.randn(len(wavs), 4)
"""


@pytest.fixture(scope="module")
def ecapa(tmp_path_factory):
    """A small model that knows three of the six training speakers."""
    folder = tmp_path_factory.mktemp("teacher") / "ecapa"
    runpy.run_path(str(_LAYOUT))["write_model"](folder)
    path = folder / "label_encoder.txt"
    path.write_text(path.read_text().replace("id1000", "id0000"))
    path.write_text(path.read_text().replace("id00000", "stranger"))
    path.write_text(path.read_text().replace("id00004", "another"))
    return folder


@pytest.fixture
def teacher(tmp_path, capsys):
    """Runs the command; gives status, output and what it wrote as JSON."""

    def teacher(*arguments):
        out = tmp_path / "out.json"
        places = [f"--json={out}", f"--cache={tmp_path / 'cache'}"]
        status = 0
        try:
            main([*map(str, arguments), *FAST, *places])
        except SystemExit as error:
            status = error.code
        found = json.loads(out.read_text()) if out.is_file() else None
        return status, capsys.readouterr().out, found

    return teacher


def test_all_of_it(teacher, ecapa, tiny_corpus, tmp_path):
    ids = tmp_path / "met.txt"
    ids.write_text("id00001\nid00006\n")
    trials = tiny_corpus / "meta" / "veri_test.txt"
    fragment = tmp_path / "mine.yaml"
    fragment.write_text(
        "!new:speechbrain_kd.teachers.SpeechBrainTeacher\n"
        f"source: {ecapa}\ntrained_on: [{ids}]\n"
    )
    status, text, found = teacher(
        fragment, f"--data_folder={tiny_corpus}", "--trials", f"O={trials}"
    )
    assert status == 0 and not found["failed"]
    card = found["card"]
    assert card["files"]["embedding_model.ckpt"] in text
    assert card["parameters"] > 0 and card["gmac"] > 0 and found["ms"] > 0
    assert "5 by cosines (stranger, id00001, id00002, id00003 …)" in text
    share = found["training"]
    assert (share["speakers"], share["known_speakers"]) == (6, 3)
    assert (share["utterances"], share["known_utterances"]) == (36, 18)
    assert share["missing"] == ["id00000", "id00004", "id00005"]
    assert "3 of 6 speakers (50.0%), 18 of 36 utterances (50.0%)" in text
    result = found["lists"]["O"]
    assert result["trials"] == 36 and 0 <= result["eer"] <= 1
    assert result["eer_interval"]["low"] <= result["eer"]
    seen = found["seen"]["O"]
    assert seen["label"].startswith("contaminated: 1 of 2 test speakers seen")
    assert seen["names"] == ["id00006"] and f"{seen['label']}: id00006" in text
    lines = re.findall(r"^  (PASS|FAIL|NOTE)  (\w+)", text, re.MULTILINE)
    assert ("PASS", "repeats") in lines and ("PASS", "classes") in lines
    assert "8 utterances, of the folder" in text


def test_without_speech_of_ones_own(teacher, ecapa):
    status, text, found = teacher(ecapa)
    assert status == 0 and "8 utterances, synthetic ones" in text
    assert found["training"] is None and not found["lists"]


def test_a_record_says_what_it_was_trained_on(teacher, ecapa, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(ecapa, run / "export")
    manifest = tmp_path / "train.csv"
    manifest.write_text(
        "ID,duration,wav,start,stop,spk_id\n"
        "a-1,1.0,$data_root/a/1.wav,0,16000,a\n"
        "b-1,1.0,$data_root/b/1.wav,0,16000,b\n"
    )
    record = json.dumps(training_data(manifest, "ours"))
    (run / "export" / "training_data.json").write_text(record)
    status, text, _ = teacher(run)
    assert status == 0
    assert re.search(r"trained on +ours \(2 speakers\)", text)


def test_the_lists_of_a_folder_are_looked_at(teacher, ecapa, tiny_corpus):
    status, text, found = teacher(ecapa, f"--data_folder={tiny_corpus}")
    assert status == 0 and not found["lists"]
    assert found["seen"]["veri_test"]["unknown"]
    assert "not known: itself (nothing is stated)" in text


def test_prototypes_know_all_that_they_learn_from(
    teacher, ecapa, tiny_corpus, tmp_path
):
    fragment = tmp_path / "prototypes.yaml"
    fragment.write_text(
        "!new:speechbrain_kd.teachers.PrototypeTeacher\n"
        "teacher: !new:speechbrain_kd.teachers.SpeechBrainTeacher\n"
        f"    source: {ecapa}\n"
    )
    status, text, found = teacher(fragment)
    assert status == 0 and "none made, as it learns" in text
    status, text, found = teacher(fragment, f"--data_folder={tiny_corpus}")
    assert status == 0 and found["training"]["known_speakers"] == 6
    assert "6 by cosines (id00000," in text and "Made of" in text
    assert found["card"]["members"][0]["labels"][0] == "stranger"


def test_an_ensemble_knows_what_all_of_it_know(
    teacher, ecapa, tiny_corpus, tmp_path
):
    one = f"!new:speechbrain_kd.teachers.SpeechBrainTeacher\nsource: {ecapa}\n"
    (tmp_path / "one.yaml").write_text(one)
    fragment = tmp_path / "both.yaml"
    fragment.write_text(
        "!new:speechbrain_kd.teachers.EnsembleTeacher\n"
        "teachers:\n"
        "    - !new:speechbrain_kd.teachers.PrototypeTeacher\n"
        "        teacher: !include:one.yaml\n"
        "    - !include:one.yaml\n"
        "weights: eer\n"
    )
    status, text, found = teacher(fragment, f"--data_folder={tiny_corpus}")
    assert status == 0 and found["training"]["known_speakers"] == 3
    card = found["card"]
    assert [one["kind"].split(" ")[0] for one in card["members"]] == [
        "PrototypeTeacher",
        "SpeechBrainTeacher",
    ]
    assert card["dim"] == 24 and card["classes"] == 3
    assert card["parameters"] == 2 * card["members"][0]["parameters"]


def test_a_check_that_fails_is_a_status(teacher, tmp_path, monkeypatch):
    (tmp_path / "noisy_package.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "noisy.yaml"
    path.write_text("!new:noisy_package.Noisy\nsource: noise\n")
    status, text, found = teacher(f"{path},allowed=[noisy_package.]")
    assert status.startswith("teacher: failed: repeats, batch, order")
    assert "  FAIL  repeats" in text and "dimensions" in text
    assert "repeats" in found["failed"]


def _spoilt(ecapa, folder, what):
    """A copy of the model that is broken in one way, or another place."""
    import shutil

    copy = folder / what
    shutil.copytree(ecapa, copy)
    yaml, weights = copy / "hyperparams.yaml", copy / "embedding_model.ckpt"
    if what == "code":
        ran = f"\nx: !apply:os.system [touch {folder / 'ran'}]\n"
        yaml.write_text(yaml.read_text() + ran)
    elif what == "nothing":
        yaml.unlink()
    elif what == "no_weights":
        weights.unlink()
    elif what == "damaged":
        weights.write_bytes(b"not a checkpoint")
    elif what == "nan":
        state = torch.load(weights)
        state["fc.conv.bias"][:] = torch.nan
        torch.save(state, weights)
    return copy


@pytest.mark.parametrize(
    "what, names",
    [
        ("code", "hyperparams.yaml"),
        ("nothing", "no model here"),
        ("no_weights", "embedding_model.ckpt"),
        ("damaged", "embedding_model.ckpt"),
        ("nan", ""),
    ],
)
def test_a_broken_teacher_is_one_line(teacher, ecapa, tmp_path, what, names):
    status, text, found = teacher(_spoilt(ecapa, tmp_path, what))
    assert status.startswith("teacher: ") and "\n" not in status
    assert names in status and not (tmp_path / "ran").exists()
    assert status.startswith("teacher: failed") or not text and found is None


@pytest.mark.parametrize(
    "arguments, names",
    [
        (["none.onnx"], "none.onnx"),
        (["none.yaml"], "none.yaml"),
        (["{ecapa},mels=3"], "no option 'mels'"),
        (["{ecapa}", "--data_folder=nowhere"], "no folder"),
        (["{ecapa}", "--trials", "no.txt"], "no.txt"),
        (["{ecapa}", "--trials", "{blind}"], "no labels"),
    ],
)
def test_what_is_not_there(teacher, ecapa, tmp_path, arguments, names):
    blind = tmp_path / "blind.txt"
    blind.write_text("a/b/1.wav c/d/1.wav\n")
    given = [one.format(ecapa=ecapa, blind=blind) for one in arguments]
    status, _, _ = teacher(*given)
    assert status.startswith("teacher: error: ") and "\n" not in status
    assert names in status


def test_standard_error_is_that_line(ecapa, tmp_path):
    """In a process of its own, where warnings and logs would show too."""
    done = subprocess.run(
        [sys.executable, "-m", "speechbrain_kd.teacher"]
        + [str(_spoilt(ecapa, tmp_path, "damaged"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert "embedding_model.ckpt is refused" in line


@pytest.mark.parametrize(
    "options, message",
    [
        (["--seconds=0"], "--seconds is 0.5 to 60"),
        (["--utterances=1"], "--utterances is at least 2"),
        (["--draws=1"], "--draws is 0, or at least 2"),
    ],
)
def test_options_out_of_range(options, message, capsys):
    with pytest.raises(SystemExit):
        main(["x", *options])
    assert message in capsys.readouterr().err


DOCS = ROOT / "docs" / "teachers.md"
BLOCKS = re.findall(r"```yaml\n(# (\S+)\n.*?)```", DOCS.read_text(), re.DOTALL)


@pytest.mark.parametrize("name", [name for _, name in BLOCKS])
def test_the_fragments_of_the_documentation(name, tmp_path):
    for path in (ROOT / "hparams" / "teachers").glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    for text, other in BLOCKS:
        (tmp_path / other).write_text(text)
    fragment = read_fragment(tmp_path / name)
    options = re.findall(r"^(\w+):", fragment.text, re.MULTILINE)
    known = fragment.kind.__init__.__annotations__
    assert options and set(options) <= set(known)
