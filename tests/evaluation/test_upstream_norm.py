"""Adaptive s-norm against the very functions of SpeechBrain's recipe."""

import importlib.util

import numpy as np
import pytest
import torch

from speechbrain_kd.bench.norms import recipe_scores
from speechbrain_kd.evaluation import TrialList, cosine_scores
from speechbrain_kd.evaluation.normalisation import Cohort, normalise


@pytest.fixture
def recipe(upstream_hparams):
    """Module speaker_verification_cosine.py, without its main part."""
    path = upstream_hparams.parent / "speaker_verification_cosine.py"
    spec = importlib.util.spec_from_file_location("recipe", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "norm, kind, size", [("z", "z", 40), ("t", "t", 40), ("s", "as", 7)]
)
def test_equals_the_recipe(recipe, tmp_path, norm, kind, size):
    rng = np.random.default_rng(0)
    trials = TrialList(
        rng.random(30) < 0.5,
        *rng.integers(20, size=(2, 30)),
        [f"u{n}" for n in range(20)],
    )
    rows, cohort = torch.randn(20, 16), torch.randn(40, 16)
    # The recipe keeps each embedding as [1, dim], by name.
    named = dict(zip(trials.utterances, rows[:, None], strict=True))
    recipe.params = {
        "output_folder": str(tmp_path),
        "score_norm": f"{norm}-norm",
        "cohort_size": size,
    }
    recipe.enrol_dict = recipe.test_dict = named
    recipe.train_dict = dict(enumerate(cohort[:, None]))
    names = trials.utterances
    lines = [
        f"{int(label)} {names[enrol]} {names[test]}"
        for label, enrol, test in zip(
            trials.labels, trials.enrol, trials.test, strict=True
        )
    ]
    target, impostor = recipe.get_verification_scores(lines)
    if kind == "as":
        # What the measurement takes for the recipe is the recipe.
        every = slice(0, 30)
        loop = recipe_scores(rows.numpy(), trials, cohort.numpy(), size, every)
        theirs = [torch.stack(each).flatten() for each in (target, impostor)]
        for mine, each in zip(trials.split(loop), theirs, strict=True):
            np.testing.assert_allclose(mine, each, rtol=1e-5)
    scores = cosine_scores(rows, trials)
    found = normalise(scores, rows, trials, Cohort(cohort), kind, size)
    ours = trials.split(found)
    for theirs, mine in zip((target, impostor), ours, strict=True):
        theirs = torch.stack(theirs).flatten()
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
