"""Comparing numbers of ranks: who is started, and what is noted."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import speechbrain as sb
import torch

from speechbrain_kd.bench import rank_steps, ranks
from speechbrain_kd.bench.common import Options

STUDENTS = Path(__file__).parents[2] / "hparams" / "students"


def notes(losses, seconds):
    return {
        "losses": losses,
        "steps_s": [9.0, seconds, seconds],
        "validations_s": [8 * seconds],
        "validations_cpu_s": [4 * seconds],
        "train_utterances": 20,
        "valid_utterances": 10,
    }


def test_each_number_of_ranks_is_compared_with_one(tmp_path, monkeypatch):
    found = {
        1: notes([2.0, 1.0], 1.0),
        2: notes([2.0, 1.00005], 0.5),
        4: notes([2.5, 1.0], 0.25),
    }
    turned = notes([2.0, 1.25], 1.0)
    monkeypatch.setattr(
        ranks,
        "train_on",
        lambda world, options, order="drawn": (
            turned if order == "reversed" else found[world]
        ),
    )
    facts = json.loads(json.dumps(ranks.measure(Options(work=tmp_path))))
    one, two, four = (facts["runs"][world] for world in ("1", "2", "4"))
    assert one["largest_difference"] == 0
    assert two["largest_difference"] == pytest.approx(5e-5)
    assert four["largest_difference"] == 0.5
    assert [run["equal_steps"] for run in (one, two, four)] == [2, 2, 0]
    assert facts["reversed"]["largest_difference"] == 0.25
    assert facts["reversed"]["equal_steps"] == 1
    assert (two["step_s"], two["step_ratio"]) == (0.5, 0.5)
    assert (four["validation_s"], four["validation_ratio"]) == (2.0, 0.25)
    assert four["validation_cpu_ratio"] == 0.25
    text = ranks.report(facts)
    rows = text.splitlines()
    assert rows[4].startswith("| 4 | 0.5 | 0 of 2 | 0.25 | 0.25 | 2 | 0.25 |")
    assert rows[5].startswith("| 1, rows reversed | 0.25 | 1 of 2 |")


def test_a_shorter_run_is_not_compared():
    with pytest.raises(ValueError):
        ranks.compare(notes([2.0], 1.0), notes([2.0, 1.0], 1.0))


def test_a_batch_that_cannot_be_divided(tmp_path):
    with pytest.raises(ValueError, match="multiple of 4"):
        ranks.measure(Options(work=tmp_path, batch_size=6))


def test_ranks_share_the_batch_and_the_preparation(tmp_path):
    options = Options(work=tmp_path, batch_size=64, students=STUDENTS)
    one, four = (ranks.arguments(world, options) for world in (1, 4))
    assert "--batch_size=64" in one and "--batch_size=16" in four
    differing = {x.split("=")[0] for x in set(one) ^ set(four)}
    assert differing == {"--batch_size", "--output_folder"}
    assert Path(one[0]).is_file()
    assert ranks.launcher(1)[:2] == [sys.executable, "-m"]
    assert "torch.distributed.run" not in ranks.launcher(1)
    assert "--nproc_per_node=4" in ranks.launcher(4)


def test_a_run_that_fails_says_why(tmp_path, monkeypatch):
    fails = [sys.executable, "-c", "import sys; sys.exit('no such luck')"]
    monkeypatch.setattr(ranks, "launcher", lambda world: fails)
    with pytest.raises(ValueError, match="no such luck"):
        ranks.train_on(2, Options(work=tmp_path, students=STUDENTS))


def test_a_loss_that_is_no_number_is_not_equal():
    broken = notes([2.0, float("nan")], 1.0)
    assert ranks.compare(broken, notes([2.0, 1.0], 1.0))["equal_steps"] == 1


def test_reversed_rows_are_the_same_rows():
    items = [
        {"id": str(row), "sig": torch.full((3,), float(row))}
        for row in range(3)
    ]
    batch = rank_steps.collate_reversed(items)
    assert batch.id == ["2", "1", "0"]
    assert batch.sig.data[:, 0].tolist() == [2.0, 1.0, 0.0]


class Hooks:
    """A Brain's hooks; notes that they were called."""

    def __init__(self):
        self.called = []

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        self.called.append("step")

    def on_stage_start(self, stage, epoch=None):
        self.called.append(stage)

    def _fit_valid(self, *args):
        self.called.append("valid")


def test_notes_of_a_brain(monkeypatch):
    brain = Hooks()
    watch = rank_steps.Notes(brain)
    now = iter([1.0, 1.5, 1.75, 3.0, 7.0, 9.0])
    clock = SimpleNamespace(
        perf_counter=lambda: next(now), process_time=lambda: 0.0
    )
    monkeypatch.setattr(rank_steps, "time", clock)
    brain.on_stage_start(sb.Stage.TRAIN, 1)
    for loss in (3.0, 2.0, 1.0):
        brain.on_fit_batch_end(None, None, torch.tensor(loss), True)
    brain._fit_valid()
    brain.on_stage_start(sb.Stage.TRAIN, 2)
    brain.on_fit_batch_end(None, None, torch.tensor(0.5), True)
    assert brain.called[:2] == [sb.Stage.TRAIN, "step"]
    assert brain.called.count("valid") == 1
    # The first step of an epoch has no time: the loader starts with it.
    assert watch.of_all_ranks() == {
        "losses": [3.0, 2.0, 1.0, 0.5],
        "steps_s": [0.5, 0.25],
        "validations_s": [4.0],
        "validations_cpu_s": [0.0],
    }


def test_losses_are_means_and_times_those_of_the_slowest(monkeypatch):
    other = {
        "losses": [4.0],
        "steps_s": [],
        "validations_s": [5.0],
        "validations_cpu_s": [1.0],
    }
    watch = rank_steps.Notes(Hooks())
    watch.losses, watch.validations_s = [2.0], [3.0]
    watch.validations_cpu_s = [2.0]
    monkeypatch.setattr(rank_steps, "gather_objects", lambda own: [own, other])
    found = watch.of_all_ranks()
    assert found["losses"] == [3.0]
    assert found["validations_s"] == [5.0]
    assert found["validations_cpu_s"] == [2.0]
