"""A whole study of small runs: searched, trained, measured, written."""

import json

import pytest
from small_runs import HPARAMS, arguments

from speechbrain_kd import run
from speechbrain_kd.study import command, steps, train

PLAN = """\
recipe: {recipe}
places: {{data_folder: null, teacher: null}}
options:
    data_folder: <data_folder>
    teacher: <teacher>
{options}
students: {{small: {student}}}
seeds: [1]
search_seed: 2
teacher: <teacher>
evaluate: {{durations: [0.5], snrs: []}}
cells:
    baseline:
        says: Alone.
        options: {{teacher: null, distillation: null}}
    cosine:
        says: With the teacher.
        options: {{distillation: {hparams}/distillation/embedding.yaml}}
        search: {{key: distillation.weights.embedding, values: [10]}}
    half:
        says: With the teacher, on half of the labels.
        like: cosine
        withhold: 0.5
"""


@pytest.fixture
def trained(monkeypatch) -> list[list[str]]:
    """Commands of the trainings, which run in this process."""
    commands = []

    def training(given):
        commands.append(given)
        run.main(given)
        return 0

    def run_all(jobs, make, at_once):
        for job in jobs:
            train.run_job(job)
        return []

    monkeypatch.setattr(train, "run_training", training)
    monkeypatch.setattr(steps, "run_all", run_all)
    return commands


def test_a_study(tiny_corpus, teacher, tmp_path, trained, capsys):
    recipe, *given = arguments(
        tiny_corpus, tmp_path / "run", recipe=HPARAMS / "student.yaml"
    )
    own = ("data_folder", "output_folder", "embedding_model", "noprog", "dev")
    named = dict(one[2:].partition("=")[::2] for one in given)
    options = [
        f"    {key}: {value}"
        for key, value in named.items()
        if not key.startswith(own)
    ]
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        PLAN.format(
            recipe=recipe,
            options="\n".join(options),
            student=named["embedding_model"],
            hparams=HPARAMS,
        )
    )
    out = tmp_path / "study"
    again = [str(plan), f"--output={out}", f"--data_folder={tiny_corpus}"]
    again += [f"--teacher={teacher}", "--device=cpu"]
    command.main([*again, "--only=baseline,cosine"])
    assert len(trained) == 3
    facts = json.loads((out / "results.json").read_text())
    small = facts["cells"]["cosine"]["students"]["small"]
    run_eer = json.loads(
        (out / "runs/cosine.small.1/report/results.json").read_text()
    )["systems"]["student"]["eer"]
    assert small["seeds"]["1"]["pooled"] == pytest.approx(100 * run_eer)
    assert small["differences"]["mean"]["low"] is None
    tried = facts["cells"]["cosine"]["search"]["tried"]
    assert set(tried) == {"10"}
    assert facts["teacher"]["mean"] >= 0

    command.main([*again, "--only=baseline,cosine"])
    assert len(trained) == 3  # nothing is done again
    plan.write_text(
        plan.read_text().replace("durations: [0.5]", "durations: []")
    )
    command.main([*again, "--cell=baseline"])
    assert len(trained) == 3  # measured anew, not trained

    command.main([*again, "--cell=half"])
    view = out / "withheld" / "0.5" / "labelled"
    assert f"--data_folder={view}" in trained[-1]
    speakers = (out / "runs/half.small.1/save/label_encoder.txt").read_text()
    assert speakers.count("id0000") == 3
    capsys.readouterr()
