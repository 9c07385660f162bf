"""Where a system fails: its error rate by duration, noise and speaker.

The enrolment side stays whole and clean: in practice it is recorded once and
with care, while what is verified comes as it comes. Scores are cosines.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechbrain_kd.data.audio import audio_info
from speechbrain_kd.evaluation.babble import Babble
from speechbrain_kd.evaluation.breakdown import (
    Breakdown,
    MakeInterval,
    break_down,
    by_column,
)
from speechbrain_kd.evaluation.changes import (
    Change,
    add_noise,
    cut,
    embed_changed,
    utterance_rng,
)
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.trials import TrialList

NOISES = ("white", "babble")
Rows = torch.Tensor | np.ndarray
Embed = Callable[..., tuple[list[str], torch.Tensor]]

__all__ = [
    "Breakdown",
    "by_column",
    "by_duration",
    "by_snr",
    "changed_tests",
    "embed_changed",
]


def by_duration(
    models: Mapping[str, torch.nn.Module],
    rows: Mapping[str, Rows],
    trials: TrialList,
    files: Mapping[str, str | Path],
    durations_s: Sequence[float] = (1.0, 2.0, 3.0, 5.0),
    seed: int = 0,
    **options: Any,
) -> Breakdown:
    """EER where test utterances are cut, enrolment whole.

    Arguments
    ---------
    models : Mapping[str, Teacher]
        The systems by name.
    rows : Mapping[str, torch.Tensor | np.ndarray]
        The whole utterances' embeddings by system, [utterances, dim], a row
        for each of ``trials.utterances``.
    trials : TrialList
        The trials.
    files : Mapping[str, str | Path]
        The file of each test utterance.
    durations_s : Sequence[float]
        Seconds to cut to; a shorter utterance stays whole.
    seed : int
        Seed of where the cuts begin.
    **options : Any
        As `changed_tests`: ``device``, ``progressbar``, ``embed``,
        ``interval``.

    Returns
    -------
    Breakdown
        A group for each duration, and the whole utterances.
    """

    def shorten(seconds: float, wav: torch.Tensor, name: str) -> torch.Tensor:
        return cut(wav, seconds, utterance_rng(name, seed))

    lengths = np.array(
        [
            audio_info(files[name]).duration_s
            for name in tested_utterances(trials)
        ]
    )
    shortened = ", ".join(
        f"{int((lengths > seconds).sum()):,} to {seconds:g} s"
        for seconds in durations_s
    )
    return changed_tests(
        "Duration of the test utterance",
        "Test utterances cut to a random stretch, enrolment whole. Of "
        f"{lengths.size:,} test utterances (median {np.median(lengths):.1f} s) "
        f"these were long enough to be cut: {shortened}; the others stay "
        "whole, so that all groups hold the same trials.",
        {f"{sec:g} s": partial(shorten, sec) for sec in sorted(durations_s)},
        "whole",
        models,
        rows,
        trials,
        files,
        **options,
    )


def by_snr(
    models: Mapping[str, torch.nn.Module],
    rows: Mapping[str, Rows],
    trials: TrialList,
    files: Mapping[str, str | Path],
    snrs_db: Sequence[float] = (20.0, 10.0, 5.0, 0.0),
    noise: str = "babble",
    seed: int = 0,
    **options: Any,
) -> Breakdown:
    """EER where noise is added to test utterances, enrolment clean.

    Arguments
    ---------
    models : Mapping[str, Teacher]
        The systems by name.
    rows : Mapping[str, torch.Tensor | np.ndarray]
        The clean utterances' embeddings by system, [utterances, dim].
    trials : TrialList
        The trials.
    files : Mapping[str, str | Path]
        The file of each test utterance.
    snrs_db : Sequence[float]
        Signal-to-noise ratios, in dB.
    noise : str
        "white" (Gaussian) or "babble" (other speakers' test utterances).
    seed : int
        Seed of the noise.
    **options : Any
        As `changed_tests`.

    Returns
    -------
    Breakdown
        A group for each ratio, and the utterances without noise.

    Raises
    ------
    ValueError
        If the noise is of another kind.
    """
    if noise not in NOISES:
        raise ValueError(f"noise must be one of {NOISES}, got {noise!r}")
    tests = tested_utterances(trials)
    babble = None
    if noise == "babble":
        babble = Babble({name: files[name] for name in tests}, seed=seed)

    def disturb(snr_db: float, wav: torch.Tensor, name: str) -> torch.Tensor:
        rng = utterance_rng(name, seed)
        if babble is None:
            return add_noise(wav, torch.randn(len(wav), generator=rng), snr_db)
        return add_noise(wav, babble(name, len(wav), rng), snr_db)

    kind = "white noise" if babble is None else "babble (6 voices)"
    return changed_tests(
        f"Signal-to-noise ratio, {kind}",
        f"{kind.capitalize()} added to the test utterance at a ratio of mean "
        "powers, the same noise for every system; enrolment clean.",
        {f"{snr:g} dB": partial(disturb, snr) for snr in sorted(snrs_db)},
        "as it is",
        models,
        rows,
        trials,
        files,
        **options,
    )


def changed_tests(
    title: str,
    what: str,
    changes: Mapping[str, Change],
    unchanged: str,
    models: Mapping[str, torch.nn.Module],
    rows: Mapping[str, Rows],
    trials: TrialList,
    files: Mapping[str, str | Path],
    device: str | torch.device = "cpu",
    progressbar: bool = True,
    embed: Embed = embed_changed,
    interval: MakeInterval | None = None,
) -> Breakdown:
    """EER under changes of the test utterances.

    Arguments
    ---------
    title : str
        As in `Breakdown`.
    what : str
        As in `Breakdown`.
    changes : Mapping[str, Callable[[torch.Tensor, str], torch.Tensor]]
        The change of each group; see `embed_changed`.
    unchanged : str
        Name of the group without a change.
    models : Mapping[str, Teacher]
        The systems by name.
    rows : Mapping[str, torch.Tensor | np.ndarray]
        Unchanged embeddings by system, [utterances, dim].
    trials : TrialList
        The trials.
    files : Mapping[str, str | Path]
        The file of each test utterance.
    device : str | torch.device
        Where the models are.
    progressbar : bool
        Whether to show one.
    embed : Callable
        `embed_changed`, or what has its signature.
    interval : Callable[[np.ndarray, TrialList], Interval] | None
        Makes the interval of a rate from scores and trials.

    Returns
    -------
    Breakdown
        The groups in the order of ``changes``, then the unchanged one.
    """
    tests = {name: files[name] for name in tested_utterances(trials)}
    at = np.unique(trials.test)
    scores: dict[str, dict[str, np.ndarray]] = {}
    for system, model in models.items():
        # Rows of utterances that are only enrolled stay, and are not used.
        whole = torch.as_tensor(rows[system]).detach().float().cpu()
        scores[system] = {}
        for group, change in changes.items():
            _, heard = embed(model, tests, change, device, progressbar)
            changed = whole.clone()
            changed[at] = heard
            scores[system][group] = cosine_scores(whole, trials, changed)
        scores[system][unchanged] = cosine_scores(whole, trials)
    groups = {group: np.arange(len(trials)) for group in (*changes, unchanged)}
    what += " Scores are plain cosines."
    return break_down(title, what, groups, scores, trials, interval)


def tested_utterances(trials: TrialList) -> list[str]:
    """The utterances of the test side, in their order."""
    return [trials.utterances[index] for index in np.unique(trials.test)]
