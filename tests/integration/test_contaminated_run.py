"""A test on speakers of the teacher: refused twice, or marked everywhere."""

import json
import runpy
import shutil
from pathlib import Path

import pytest
from small_runs import EMBEDDING, arguments, distil

from speechbrain_kd import evaluate, run
from speechbrain_kd.data.prepare import load_corpus

LAYOUT = Path(__file__).parents[1] / "teachers" / "teacher_layout.py"
TESTERS = 12


@pytest.fixture(scope="module")
def voxceleb(tiny_corpus, tmp_path_factory):
    """Two of VoxCeleb2 to train on; twelve of VoxCeleb1's dev set to test."""
    folder = tmp_path_factory.mktemp("voxceleb")
    names = ["id00020", "id00021"]
    names += [f"id{10001 + number}" for number in range(TESTERS)]
    for number, name in enumerate(names):
        source = tiny_corpus / "wav" / f"id{number % 8:05d}" / "rec0"
        shutil.copytree(source, folder / "wav" / name / f"5r0dWxy17C{number:x}")
    utterances = [
        f"{name}/5r0dWxy17C{number:x}/0000{utterance}.wav"
        for number, name in enumerate(names[2:], start=2)
        for utterance in (1, 2)
    ]
    pairs = zip(utterances, utterances[1:], strict=False)
    lines = [f"{int(a[:7] == b[:7])} {a} {b}\n" for a, b in pairs]
    (folder / "E.txt").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A fragment as those of the published teachers are, but small."""
    folder = tmp_path_factory.mktemp("teacher")
    model = runpy.run_path(str(LAYOUT))["write_model"](folder / "model")
    path = folder / "teacher.yaml"
    path.write_text(
        f"!new:speechbrain_kd.teachers.SpeechBrainTeacher\nsource: {model}\n"
        "trained_on: [voxceleb1-dev, voxceleb2-dev]\n"
    )
    return path


def test_e_of_a_teacher_that_has_met_its_speakers(voxceleb, teacher, tmp_path):
    folder = tmp_path / "run"
    given = [
        f"--verification_file={voxceleb / 'E.txt'}",
        f"--teacher={teacher}",
        f"--distillation={EMBEDDING}",
    ]
    with pytest.raises(SystemExit) as refused:
        run.main(arguments(voxceleb, folder, *given))
    named = ", ".join(f"id{10001 + number}" for number in range(10))
    assert f"{named} and 2 more" in str(refused.value)
    assert not (folder / "train_log.txt").exists()  # before any training

    allowed = [*given[:1], "--allow_contaminated=True"]
    distil(voxceleb, folder, teacher, *allowed, objective=EMBEDDING)
    met = f"contaminated: {TESTERS} of {TESTERS} test speakers seen by "
    report = json.loads((folder / "report" / "results.json").read_text())
    assert report["systems"]["student"]["seen"].startswith(f"{met}its teacher")
    assert report["systems"]["teacher"]["seen"] == f"{met}itself"
    for text in ("report/report.md", "export/README.md"):
        assert (folder / text).read_text().count(f"| {met}") == 2
    assert load_corpus(folder / "save").speakers == ["id00020", "id00021"]

    # The student alone, months later and somewhere else.
    student = tmp_path / "elsewhere"
    shutil.move(folder / "export", student)
    command = [str(student), f"--data_folder={voxceleb}", "--draws=0"]
    command += ["--noprogressbar", "--nocosts", "--where=none"]
    command += [f"--output={tmp_path / 'out'}", f"--cache={tmp_path / 'cache'}"]
    command += ["--trials", f"E={voxceleb / 'E.txt'}"]
    with pytest.raises(SystemExit) as refused:
        evaluate.main(command)
    assert f"{named} and 2 more" in str(refused.value)
    assert "test speakers seen by its teacher" in str(refused.value)
    evaluate.main([*command, "--allow-contaminated"])
    for text in ("report.md", "index.html"):
        assert met in (tmp_path / "out" / text).read_text()
