"""Reading a plan, and what is refused of it."""

import pytest

from speechbrain_kd.study.plan_file import read_plan


def test_a_cell_that_is_like_another(plan_file):
    plan = read_plan(plan_file)
    assert list(plan.cells) == ["baseline", "cosine", "both"]
    both = plan.cells["both"]
    assert [name for name, _ in both.options] == [
        "distillation",
        "distillation.weights.posteriors",
        "lr",
    ]
    # It takes the value that was chosen for the cell it is like.
    assert both.owner == "cosine" and both.search.values == ("5", "1e1")
    assert both.against == "cosine"
    assert plan.cells["baseline"].against is None
    assert plan.cells["cosine"].against == "baseline"
    assert plan.evaluate.durations == (1.0,)


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "says: Alone.",
            "say: Alone.",
            "cells.baseline: nothing reads the key",
        ),
        ("says: Alone.", "says: 3", "cells.baseline.says: expected str, got 3"),
        ("like: cosine", "like: none", "like: expected a cell that stands"),
        ("against: cosine", "against: x", "against: there is no cell 'x'"),
        ("search_seed: 9", "search_seed: 2", "search_seed 2 is one of seeds"),
        ("values: [5, 1e1]", "values: 5", "search.values: expected a list"),
        ("seeds: [1, 2, 3]", "seeds: [a]", "seeds: expected int, got 'a'"),
        ("teacher: run\n", "", "expected the key teacher"),
        ("durations: [1]", "as_norm: 1", "as_norm: expected 2 or more, got 1"),
        ("durations: [1]", "mapped: 3", "mapped: expected a bool, got 3"),
        ("options: {teacher: null}", "withhold: 2", "withhold: expected 0 to"),
        ("cells:", "cells: [", "not a yaml file"),
    ],
)
def test_a_wrong_plan_names_the_key(plan_file, old, new, message):
    text = plan_file.read_text()
    assert old in text
    plan_file.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_plan(plan_file)


def test_a_plan_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such plan"):
        read_plan(tmp_path / "none.yaml")
