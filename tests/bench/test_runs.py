"""Trainings that are measured: their commands, their notes, their tables."""

import csv
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import speechbrain
import torch

from speechbrain_kd.bench import (
    distilling,
    runs,
    scaling,
    timed_recipe,
    training,
    views,
)
from speechbrain_kd.bench.common import Options
from speechbrain_kd.bench.memory_loop import MemoryLoop
from speechbrain_kd.speed.timing import note_epoch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def options(tmp_path):
    return Options(
        data_folder=str(tmp_path / "corpus"),
        work=tmp_path / "work",
        epochs=3,
        students=ROOT / "hparams" / "students",
        student="ecapa_c16",
        seeds=(1, 2),
        views=(0, 4),
    )


def epochs(folder, *seconds, utterances=100):
    """Notes of a run whose epochs took so long."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, taken in enumerate(seconds, start=1):
        note_epoch(
            folder / "timing.jsonl",
            epoch=number,
            utterances=utterances,
            train_s=taken,
            wait_s=taken / 4,
            valid_s=0.5,
            ended=1000.0 * number,
        )


def test_speed_is_that_of_the_later_epochs(tmp_path):
    epochs(tmp_path, 50.0, 10.0, 20.0, 10.0)
    note_epoch(tmp_path / "timing.jsonl", store_s=3.0, views_asked=1)
    assert runs.speed(tmp_path) == {
        "utterances_per_s": 10.0,
        "wait_share": 0.25,
        "train_s": 10.0,
        "total_s": 90.0,
    }
    alone = tmp_path / "alone"
    epochs(alone, 50.0)
    assert runs.speed(alone)["train_s"] == 50.0


def test_a_command_that_fails_says_what_it_said():
    with pytest.raises(ValueError, match="json.tool no-such-file failed"):
        runs.run("json.tool", "no-such-file")


def test_a_run_is_begun_anew_or_kept(options, monkeypatch):
    started = []
    monkeypatch.setattr(runs, "run", lambda *given: started.append(given))
    folder = options.work / "runs" / "one"
    (folder / "export").mkdir(parents=True)
    (folder / "export" / "hyperparams.yaml").touch()
    assert runs.train_run(options, "one", "student", keep=True) == folder
    assert not started and folder.exists()
    runs.train_run(options, "one", "student", "--seed=7")
    assert not folder.exists()
    (given,) = started
    assert given[0] == "speechbrain_kd.run" and given[-1] == "--seed=7"
    assert f"--output_folder={folder}" in given
    assert Path(given[1]) == ROOT / "hparams" / "student.yaml"


def test_only_the_time_of_training_counts_as_busy():
    watch = runs.GpuWatch("cpu")
    watch.samples = [(89.0, 0.0), (95.0, 0.5), (99.0, 1.0), (101.0, 0.0)]
    noted = [{"ended": 100.0, "train_s": 10.0}]
    assert watch.busy_share(noted) == 0.75


def test_the_gpu_is_watched_until_the_end(monkeypatch):
    monkeypatch.setattr(torch.cuda, "utilization", lambda: 40)
    with runs.GpuWatch("cuda") as watch:
        began = time.time()
        while not watch.samples and time.time() < began + 10:
            time.sleep(0.01)
    (at, share), *_ = watch.samples
    assert share == 0.4 and not watch._thread.is_alive()


def test_the_loop_in_memory_learns(options):
    fragment = options.students / "ecapa_c16.yaml"
    loop = MemoryLoop(fragment, 2, "cpu", "fp32")
    before = [param.clone() for param in loop.params]
    loop.step(0)
    changed = [
        not torch.equal(one, other)
        for one, other in zip(before, loop.params, strict=True)
    ]
    assert sum(changed) > len(changed) / 2


def test_training_is_compared_in_one_table(options, monkeypatch, tiny_corpus):
    options = replace(options, data_folder=str(tiny_corpus))
    monkeypatch.setattr(
        training, "_in_memory", lambda *_: {"utterances_per_s": 200.0}
    )
    given = []

    def fake_run(module, *arguments):
        given.append((module, arguments))
        epochs(options.work / "upstream", 1.0, 2.0)

    def fake_train(options, name, yaml, *overrides):
        folder = options.work / "runs" / name
        (folder / "timing.jsonl").unlink(missing_ok=True)
        epochs(folder, 1.0, 1.0 if "pack" in options.data_folder else 2.0)
        return folder

    monkeypatch.setattr(training, "run", fake_run)
    monkeypatch.setattr(training, "train_run", fake_train)
    monkeypatch.setattr(training, "recipes", lambda: Path("recipe.py"))
    facts = training.measure(options)
    assert json.loads(json.dumps(facts)) == facts
    lines = training.report(facts).splitlines()[2:]
    assert [line.split(" | ")[:3] for line in lines] == [
        ["| tensors in memory, fp32", "200", "1"],
        ["| train_kd.py, files, fp32", "50", "0.25"],
        ["| train_kd.py, packed, fp32", "100", "0.5"],
        ["| SpeechBrain's recipe, 4 workers, fp32", "50", "0.25"],
        ["| SpeechBrain's recipe, 0 workers, fp32", "50", "0.25"],
    ]
    assert given[0][1][1] == "recipe.py"
    written = (options.work / "upstream" / "upstream.yaml").read_text()
    assert "embedding_model: !include:/" in written


def test_no_recipe_no_row(options, monkeypatch, tiny_corpus, caplog):
    monkeypatch.delenv("SPEECHBRAIN_RECIPES", raising=False)
    rates = iter([3.0, 1.0, 5.0, 2.0, 4.0, 4.5])
    for name in ("_in_memory", "_ours"):
        monkeypatch.setattr(
            training, name, lambda *_: {"utterances_per_s": next(rates)}
        )
    facts = training.measure(replace(options, data_folder=str(tiny_corpus)))
    # Two rounds of three systems: the better of each counts.
    best = [one["utterances_per_s"] for one in facts["systems"].values()]
    assert best == [3.0, 4.0, 5.0]
    assert "SPEECHBRAIN_RECIPES is not set" in caplog.text


def test_rows_shorter_than_a_crop_are_left_out(tmp_path):
    source, target = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_text("ID,duration\na,1.5\nb,2.5\n")
    assert training._long_enough(source, target) == 1
    with open(target) as file:
        assert [row["ID"] for row in csv.DictReader(file)] == ["b"]


def test_a_recipe_is_timed_as_it_is(tmp_path, monkeypatch):
    notes, script = tmp_path / "notes.jsonl", tmp_path / "recipe.py"
    script.write_text(
        "import sys, torch, speechbrain as sb\n"
        "class Toy(sb.Brain):\n"
        "    def compute_forward(self, batch, stage):\n"
        "        return self.modules.layer(batch)\n"
        "    def compute_objectives(self, predictions, batch, stage):\n"
        "        return predictions.square().mean()\n"
        "brain = Toy({'layer': torch.nn.Linear(2, 1)},\n"
        "    lambda params: torch.optim.SGD(params, 0.1))\n"
        "brain.fit(range(2), [torch.ones(2)] * 3)\n"
    )
    monkeypatch.setattr(
        speechbrain.Brain, "_fit_train", speechbrain.Brain._fit_train
    )
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    timed_recipe.main([str(notes), str(script)])
    assert [epoch["utterances"] for epoch in runs.read_epochs(notes)] == [3, 3]


@pytest.fixture
def teachers(options, monkeypatch):
    """Runs of a teacher that costs 4 s an epoch, a student that costs 1."""
    commands = []

    def fake_run(module, *arguments):
        folder = next(
            Path(one.split("=")[1])
            for one in arguments
            if one.startswith("--output_folder")
        )
        folder.mkdir(parents=True, exist_ok=True)
        asked = 0 if (folder / "timing.jsonl").exists() else 300
        note_epoch(
            folder / "timing.jsonl",
            store_s=12.6 if asked else 0.1,
            teacher_s=12.0 if asked else 0.0,
            views_asked=asked,
            views_kept=300 - asked,
        )

    def fake_train(options, name, yaml, *overrides):
        commands.append((name, yaml, overrides))
        folder = options.work / "runs" / name
        epochs(folder, *([5.0] * 3 if "online" in name else [1.0] * 3))
        return folder

    monkeypatch.setattr(distilling, "corpus_of", lambda _: None)
    monkeypatch.setattr(distilling, "run", fake_run)
    monkeypatch.setattr(distilling, "train_run", fake_train)
    return commands


def test_teachers_are_compared_with_none(options, teachers):
    facts = distilling.measure(options)
    assert json.loads(json.dumps(facts)) == facts
    lines = distilling.report(facts).splitlines()[2:]
    cells = [line.strip("| ").split(" | ") for line in lines[:3]]
    name = "random-ecapa-c512"
    beside = f"no teacher, beside {name}"
    assert cells[0] == [beside, "1", "1", "–", "–", "40"]
    # 12.6 s for three views of 4 s each; of eight views 33.6 s.
    assert cells[1] == [
        f"{name}, stored (V=3)",
        "1",
        "1",
        "12.6",
        "1.05",
        "73.6",
    ]
    assert cells[2] == [f"{name}, online", "5", "5", "–", "–", "200"]
    assert "took 0.1 s and asked for 0 views" in lines[-1]
    fragment = options.work / f"{name}.yaml"
    assert "channels: 512" in fragment.read_text()
    views = [one for _, _, given in teachers for one in given if "views" in one]
    assert views == ["--teacher_views=0", "--teacher_views=3"]


def test_numbers_of_views_are_compared_over_seeds(options, monkeypatch):
    rates = {"baseline": 0.08, "views0": 0.05, "views4": 0.06}
    given = []

    def fake_train(options, name, yaml, *overrides, keep):
        given.append((name, overrides, keep))
        folder = options.work / "runs" / name
        epochs(folder, 2.0, 3.0)
        kind, seed = name.split("_")
        rate = rates[kind] + 0.01 * int(seed)
        system = "model" if kind == "baseline" else "student"
        (folder / "report").mkdir()
        (folder / "report" / "results.json").write_text(
            json.dumps({"systems": {system: {"eer": rate}}})
        )
        return folder

    monkeypatch.setattr(views, "corpus_of", lambda _: None)
    monkeypatch.setattr(views, "train_run", fake_train)
    text = views.report(views.measure(options))
    assert "| no teacher | 9.00 · 10.00 | 9.50 [" in text
    assert "| online, new views for ever | 6.00 · 7.00 |" in text
    line = next(one for one in text.splitlines() if "V = 4" in one)
    assert "| 1.00 [1.00, 1.00] | 5 |" in line
    assert all(keep for _, _, keep in given)
    names = [name for name, _, _ in given]
    assert names[:3] == ["baseline_1", "views0_1", "views4_1"]


def test_a_tenth_foretells_the_whole(options, monkeypatch):
    def train(options):
        files = len(list((options.work / "tree").rglob("*.wav")))
        (options.work / "store").mkdir()
        (options.work / "store" / "a.bin").write_bytes(bytes(400 * files))
        return {
            "a view of all, by the teacher": 0.002 * files,
            "an epoch of the student": 0.004 * files,
            "a validation": 0.001 * files,
        }

    monkeypatch.setattr(scaling, "_train", train)
    monkeypatch.setattr(scaling, "_SECONDS", 0.2)
    facts = scaling.measure(replace(options, files=9000))
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["small"]["files"], facts["large"]["files"]) == (360, 9000)
    # Two bytes a sample, and what the index needs.
    packed = facts["large"]["bytes"]["packed corpus"]
    assert 9000 * 6400 < packed < 9000 * 9000
    text = scaling.report(facts)
    row = next(one for one in text.splitlines() if "student, s" in one)
    cells = row.strip("| ").split(" | ")
    assert cells[1:5] == ["4,000.0 µs", "36", "36", "1"]
    assert cells[5] == f"{0.004 * scaling.UTTERANCES:,.0f}"
    assert "h of the student" in text
    assert not (options.work / "large").exists()
