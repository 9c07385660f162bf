"""Adaptive s-norm of VoxCeleb1-E's size, and SpeechBrain's loop over trials.

The embeddings are synthetic: time and memory do not depend on what they say.
The work is done in a process of its own, so that its memory is its own:

python -m speechbrain_kd.bench.norms TRIALS UTTERANCES COHORT TOP_K DIM
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.memory import memory_mb, peak_mb
from speechbrain_kd.bench.runs import run
from speechbrain_kd.evaluation.normalisation import Cohort, normalise
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.trials import TrialList

#: Trials and utterances as VoxCeleb1-E has, cohort and top-k of VoxCeleb2's
#: training speakers, dimension of SpeechBrain's ECAPA.
SIZES = (580_000, 145_000, 6000, 300, 192)

#: More than this and the scores are others.
LIMIT = 1e-4

_SAMPLE = 200
_PART = 20
_REPEATS = 3
_SPEAKERS = 1251


def measure(options: Options) -> dict:
    """Normalises all trials, and a sample of them by SpeechBrain's loop.

    Arguments
    ---------
    options : Options
        None matters.

    Returns
    -------
    dict
        ``sizes``; ``seconds`` of cosine scores, of normalisation and of one
        trial of the loop; ``ratio`` for all trials; ``memory_mb`` before the
        normalisation and at the peak; ``largest_difference`` on the sample.
    """
    return json.loads(run(__name__, *map(str, SIZES)))


def report(facts: dict) -> str:
    """Times and memory as Markdown, and how far apart the scores are."""
    trials, utterances, cohort, top_k, dim = facts["sizes"]
    seconds, memory = facts["seconds"], facts["memory_mb"]
    looped = trials * seconds["one_trial_of_the_loop"]
    rows = [
        ("cosine scores", seconds["cosine"], None),
        ("adaptive s-norm", seconds["normalise"], 1.0),
        ("SpeechBrain's loop", looped, facts["ratio"]),
    ]
    same = "as they must be" if facts["equal"] else "TOO MUCH"
    return (
        table(("step", "s", "times as long"), rows)
        + f"\n{trials:,} trials of {utterances:,} utterances, cohort "
        f"{cohort:,}, top {top_k}, {dim} dimensions, {facts['threads']} "
        f"threads. Best of {_REPEATS}; of the loop, the "
        f"fastest {_PART} of {facts['sample']} trials. Memory of "
        f"the process: {memory['before']:,.0f} MB with list, embeddings and "
        f"scores, {memory['peak']:,.0f} MB at its peak. Largest difference "
        f"on the sample: {facts['largest_difference']:.1e}, {same} (limit "
        f"{LIMIT:.0e}).\n"
    )


def compare(sizes: tuple[int, ...], sample: int = _SAMPLE) -> dict:
    """What `measure` says, in this process.

    Arguments
    ---------
    sizes : tuple[int, ...]
        Trials, utterances, cohort, top-k and dimension.
    sample : int
        Trials of the loop, a multiple of 20.

    Returns
    -------
    dict
        See `measure`.
    """
    trials, rows, cohort = synthetic(sizes)
    top_k = sizes[3]
    scores = cosine_scores(rows, trials)
    # Before the loop, which makes copies of the cohort.
    before = memory_mb()["rss"]
    seconds, ours = _best(
        lambda: normalise(scores, rows, trials, cohort, "as", top_k)
    )
    memory = {"before": before, "peak": peak_mb()}
    # In parts of which the fastest counts, as the best of ours does.
    one, theirs = float("inf"), []
    for start in range(0, sample, _PART):
        part = slice(start, start + _PART)
        began = time.perf_counter()
        theirs += recipe_scores(rows, trials, cohort.embeddings, top_k, part)
        one = min(one, (time.perf_counter() - began) / _PART)
    largest = float(np.abs(ours[:sample] - theirs).max())
    return {
        "sizes": list(sizes),
        "sample": sample,
        "threads": torch.get_num_threads(),
        "seconds": {
            "cosine": _best(lambda: cosine_scores(rows, trials))[0],
            "normalise": seconds,
            "one_trial_of_the_loop": one,
        },
        "ratio": one * len(trials) / seconds,
        "memory_mb": memory,
        "largest_difference": largest,
        "equal": largest < LIMIT,
    }


def recipe_scores(
    rows: np.ndarray,
    trials: TrialList,
    cohort: np.ndarray,
    top_k: int,
    part: slice,
) -> list[float]:
    """Normalised scores of some trials, as the recipe makes them.

    Both embeddings of every trial are repeated as often as the cohort has
    speakers and compared with it anew: ``score_norm: s-norm`` of
    ``speaker_verification_cosine.py``.

    Arguments
    ---------
    rows : np.ndarray
        Embeddings, [utterances, dim].
    trials : TrialList
        The trials.
    cohort : np.ndarray
        A row for each speaker, [speakers, dim].
    top_k : int
        Its ``cohort_size``.
    part : slice
        Which to score.

    Returns
    -------
    list[float]
        Their scores.
    """
    cosine = torch.nn.CosineSimilarity(dim=-1, eps=1e-6)
    others = torch.from_numpy(cohort)[:, None]
    scores = []
    for pair in zip(trials.enrol[part], trials.test[part], strict=True):
        both = [torch.from_numpy(rows[index])[None] for index in pair]
        score, parts = cosine(*both)[0], []
        for one in both:
            against = cosine(one.repeat(len(others), 1, 1), others)
            highest = torch.topk(against, k=top_k, dim=0)[0]
            parts.append((score - highest.mean(dim=0)) / highest.std(dim=0))
        scores.append(0.5 * float(parts[0] + parts[1]))
    return scores


def synthetic(
    sizes: tuple[int, ...],
) -> tuple[TrialList, np.ndarray, Cohort]:
    """Random trials, embeddings around those of speakers, and a cohort."""
    count, utterances, others, _, dim = sizes
    rng = np.random.default_rng(1986)
    voices = rng.standard_normal((_SPEAKERS, dim), dtype=np.float32)
    speaker = np.arange(utterances) * _SPEAKERS // utterances
    rows = rng.standard_normal((utterances, dim), dtype=np.float32)
    rows += voices[speaker]
    enrol, test = rng.integers(utterances, size=(2, count))
    names = [f"id{one}/v/{n}.wav" for n, one in enumerate(speaker)]
    trials = TrialList(speaker[enrol] == speaker[test], enrol, test, names)
    cohort = rng.standard_normal((others, dim), dtype=np.float32)
    return trials, rows, Cohort(cohort, [f"dev{n}" for n in range(others)])


def _best(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """The shortest of a few times, in seconds, and what came."""
    best, given = float("inf"), np.empty(0)
    for _ in range(_REPEATS):
        began = time.perf_counter()
        given = function()
        best = min(best, time.perf_counter() - began)
    return best, given


if __name__ == "__main__":
    facts = compare(tuple(map(int, sys.argv[1:])))
    sys.stdout.write(json.dumps(facts) + "\n")
