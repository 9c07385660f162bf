"""The card of a hub says what the run measured, and what it does not know."""

import json
import shutil

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from small_run import write_run

from speechbrain_kd.export.hub_folder import without_places, write_hub_folder
from speechbrain_kd.export.hub_results import read_results
from speechbrain_kd.export.model_card_hub import hub_card

ID = "ann/tiny"


def publish(run, **changes):
    settings = {"licence": "apache-2.0", "draws": 20} | changes
    return write_hub_folder(run, run / "hub", ID, **settings)


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


def section(text, name):
    return text.split(f"\n## {name}\n")[1].split("\n## ")[0]


def test_the_card(run):
    folder = publish(run)
    text = (folder / "README.md").read_text()
    facts = json.loads((folder / "results.json").read_text())
    rates = facts["systems"]["student"]
    eer, interval = rates["eer"], facts["intervals"]["student"]["eer"]
    assert 0 < interval["low"] < eer < interval["high"] < 1

    card = ModelCard(text, ignore_metadata_errors=False)
    head = card.data
    assert head.license == "apache-2.0" and head.datasets == ["realvox"]
    assert head.library_name == "speechbrain" and "eer" in head.metrics
    index = {one.metric_type: one for one in head.eval_results}
    assert index["eer"].metric_value == round(100 * eer, 4)
    assert index["eer"].dataset_args["trials"] == 276

    results = section(text, "Results")
    low, high = (f"{100 * interval[end]:.2f}" for end in ("low", "high"))
    assert f"| student | {100 * eer:.2f} | {low} to {high} |" in results
    assert "On veri_test.txt: 276 trials (24 of one speaker, 252 of" in results
    assert "among 8 speakers" in results and facts["trials_sha256"] in results
    cost = section(text, "Cost")
    assert f"| student | {rates['params']:,} | 0.001 | 5 | 1.50 |" in cost
    assert facts["machine"] in cost and "is 12 numbers" in cost
    heard = section(text, "Who has heard whom")
    assert "The model itself: realvox (3 speakers)" in heard
    assert "its teacher cam.onnx: 3dspeaker-200k (speakers not" in heard
    assert "student: not known: its teacher cam.onnx" in heard
    assert "name 3 training speakers" in section(text, "Limits")
    names = [line for line in text.splitlines() if line.startswith("## ")]
    assert len(names) == len(set(names)) and "# tiny" in text


def test_without_trials_nothing_is_made_up(run):
    for file in ("report/results.json", "scores.txt"):
        (run / file).unlink()
    folder = publish(run, licence=None)
    head = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert not {"license", "model-index", "metrics"} & set(head)
    assert "not measured" in section((folder / "README.md").read_text(), "Cost")
    assert not (folder / "results.json").exists()


def test_contaminated_rates_are_marked_and_not_indexed(tmp_path):
    met = "contaminated: 8 of 8 test speakers seen by itself"
    folder = publish(write_run(tmp_path / "run", seen=met))
    text = (folder / "README.md").read_text()
    assert "model-index" not in yaml.safe_load(text.split("---")[1])
    assert met in section(text, "Who has heard whom")
    assert "no results on new speakers" in section(text, "Limits")


def test_what_a_user_has_written_stays(run):
    card = run / "export" / "README.md"
    text = card.read_text().replace("tags:", "language: en\ntags:")
    card.write_text(text + "\n## Thanks\n\nTo all who spoke.\n")
    said = (publish(run, datasets=["a/b"]) / "README.md").read_text()
    assert "To all who spoke." in section(said, "Thanks")
    head = yaml.safe_load(said.split("---")[1])
    assert head["language"] == "en" and head["datasets"] == ["a/b"]
    assert {"speechbrain", "knowledge-distillation"} < set(head["tags"])


def test_without_scores_there_is_no_interval(run):
    (run / "scores.txt").unlink()
    text = (publish(run) / "README.md").read_text()
    assert "| not measured |" in section(text, "Results")
    assert "sha256" not in section(text, "Results")


def test_a_teacher_has_its_row_and_is_not_indexed(run):
    path = run / "report" / "results.json"
    facts = json.loads(path.read_text())
    student = facts["systems"]["student"]
    teacher = student | {"params": 9000, "gmac": None}
    facts["systems"] = {"teacher": teacher, "student": student}
    path.write_text(json.dumps(facts))
    shutil.copy(run / "scores.txt", run / "scores_teacher.txt")
    text = (publish(run) / "README.md").read_text()
    assert "| teacher | 9,000 | not measured | 5 |" in section(text, "Cost")
    rows = section(text, "Results").splitlines()
    both = [row.split(" | ")[1:] for row in rows if row[2:5] in ("tea", "stu")]
    assert len(both) == 2 and both[0] == both[1]
    assert len(ModelCard(text).data.eval_results) == 2


def test_the_digest_is_of_the_list_as_it_was_scored(run):
    before = read_results(run, draws=2).trials_sha256
    path = run / "scores.txt"
    lines = np.array(path.read_text().splitlines())
    path.write_text("\n".join([*lines[1:], lines[0]]) + "\n")
    assert read_results(run, draws=2).trials_sha256 != before


@pytest.mark.parametrize("head", ["[a", "- a\n- b"])
def test_metadata_that_is_none(head):
    with pytest.raises(ValueError, match="README.md"):
        hub_card(f"---\n{head}\n---\n# x", None)


@pytest.mark.parametrize(
    "text, told",
    [
        ("`/a/b/c.onnx`, at 0/1", "`c.onnx`, at 0/1"),
        ('{"who": "its teacher /a/b.pt2"}', '{"who": "its teacher b.pt2"}'),
        ("~/models/x.onnx and ann/tiny", "x.onnx and ann/tiny"),
        ("https://a.org/b/c and 10.1109/I.2/x", None),
        ("results/student/export", None),
    ],
)
def test_paths_of_this_machine(text, told):
    assert without_places(text) == (text if told is None else told)
