"""Plain values that would break a run after it has begun."""

from pathlib import Path

import pytest

from speechbrain_kd.checks import REQUIRED, check_required, check_values
from speechbrain_kd.experiment import Tagged
from speechbrain_kd.experiment_keys import DEFAULTS

FILE = Path("mine.yaml")


@pytest.fixture
def values():
    """What a plain training needs."""
    some = Tagged("!new:some.Class", {})
    return (
        DEFAULTS
        | dict.fromkeys(REQUIRED, some)
        | {"dataloader_options": {"batch_size": 8}}
        | {"classifier": some, "compute_cost": some}
    )


def test_sound_values_pass(values):
    check_values(FILE, values)
    some = values["opt_class"]
    terms = values | {"teacher": some, "distillation": some}
    check_values(FILE, terms)
    check_values(FILE, terms | {"compute_cost": None, "classifier": None})


@pytest.mark.parametrize("key", REQUIRED)
def test_required(values, key):
    with pytest.raises(ValueError, match=f"mine.yaml: the key {key} is miss"):
        check_values(FILE, values | {key: None})
    with pytest.raises(ValueError, match=key):
        check_required(FILE, {key: None})
    check_required(FILE, {})


@pytest.mark.parametrize("key", ["seed", "number_of_epochs", "out_n_neurons"])
def test_numbers(values, key):
    with pytest.raises(ValueError, match=f"{key} must be a number; got '1o'"):
        check_values(FILE, values | {key: "1o"})


def test_batch_size(values):
    values["dataloader_options"] = {"batch_size": "many"}
    with pytest.raises(ValueError, match="batch_size must be a number"):
        check_values(FILE, values)


@pytest.mark.parametrize(
    "change, match",
    [
        ({"distillation": "terms"}, "teacher is null: name a teacher"),
        ({"compute_cost": None}, "nothing to learn from"),
        ({"classifier": None}, "compute_cost needs a classifier"),
    ],
)
def test_parts_that_need_each_other(values, change, match):
    with pytest.raises(ValueError, match=match):
        check_values(FILE, values | change)


def test_parts_are_no_longer_than_crops(values):
    check_values(FILE, values | {"student_len": [0.5, 3.0]})
    with pytest.raises(ValueError, match=r"a part of 3.5 s.*sentence_len: 3 s"):
        check_values(FILE, values | {"student_len": [0.5, 3.5]})
    with pytest.raises(ValueError, match="mine.yaml: student_len must be"):
        check_values(FILE, values | {"student_len": 2})
