"""Error rates: time and memory by trials, and how sure intervals are.

The rates of VoxCeleb1-O's 37,720 trials by SpeechBrain's functions and ours in
one process; of more trials, up to 20 million, by ours, each in a process of
its own; and how often intervals hold the truth in simulated corpora. The
first alone, printed as JSON:

python -m speechbrain_kd.bench.metrics TRIALS
"""

import json
import sys
import time

import numpy as np
import torch
from speechbrain.utils.metric_stats import EER, minDCF

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.bench.coverage import KINDS, coverage
from speechbrain_kd.bench.runs import run
from speechbrain_kd.bench.scores import make_scores
from speechbrain_kd.bench.turns import best_of_each
from speechbrain_kd.evaluation.certainty import speaker_bootstrap
from speechbrain_kd.evaluation.points import OperatingPoints
from speechbrain_kd.evaluation.trials import TrialList

VOXCELEB_O = 37_720
SIZES = (580_000, 3_700_000, 20_000_000)
CORPORA = 500
DRAWS = 1000

_P_TARGET = 0.01


def against_speechbrain(trials: int) -> dict:
    """SpeechBrain's functions once, ours at their best.

    Arguments
    ---------
    trials : int
        How many.

    Returns
    -------
    dict
        Seconds, values and ratios by name. SpeechBrain's cost is divided by
        ``p_target``, as NIST divides it and ours is.
    """
    target, impostor = make_scores(trials)
    tensors = torch.from_numpy(target), torch.from_numpy(impostor)
    ours = {
        "eer": lambda: OperatingPoints(target, impostor).eer(),
        "min_dcf": lambda: OperatingPoints(target, impostor).min_dcf(_P_TARGET),
    }
    theirs = {
        "eer": lambda: EER(*tensors)[0],
        "min_dcf": lambda: minDCF(*tensors, p_target=_P_TARGET)[0] / _P_TARGET,
    }
    best = best_of_each(ours, repeats=20)
    facts = {}
    for name, function in theirs.items():
        began = time.perf_counter()
        value = function()
        seconds = time.perf_counter() - began
        facts[name] = {
            "theirs": value,
            "ours": ours[name](),
            "theirs_s": seconds,
            "ours_s": best[name],
            "ratio": seconds / best[name],
        }
    return facts


def of_interval(trials: int, speakers: int = 1251) -> dict:
    """Seconds of the intervals of an E-sized list."""
    rng = np.random.default_rng(1986)
    labels = np.arange(trials) % 2 == 0
    enrol, test = rng.integers(0, speakers, (2, trials))
    test = np.where(labels, enrol, (enrol + 1 + test % (speakers - 1)))
    names = [f"s{number}" for number in range(speakers)]
    listed = TrialList(labels, enrol, test % speakers, names)
    scores = rng.standard_normal(trials, dtype=np.float32) + 4 * labels
    began = time.perf_counter()
    speaker_bootstrap(scores, listed, np.arange(speakers), draws=DRAWS)
    seconds = time.perf_counter() - began
    return {"trials": trials, "speakers": speakers, "seconds": seconds}


def run_apart(module: str, *given: str) -> dict:
    """What a module prints, in a process of its own.

    SpeechBrain's cost of 37,720 trials takes most of 24 GB, and all of it
    where freed memory is kept, as this command keeps it.
    """
    return json.loads(run(module, *given).splitlines()[-1])


def measure(options: Options) -> dict:
    """Measures all of it.

    Arguments
    ---------
    options : Options
        Not looked at: the scores are synthetic.

    Returns
    -------
    dict
        ``speechbrain``: both, at 37,720 trials; ``sizes``: ours of more;
        ``interval``: of 580,000 trials; ``coverage``: by kind of corpus.
    """
    return {
        "speechbrain": run_apart(__name__, str(VOXCELEB_O)),
        "sizes": [
            run_apart("speechbrain_kd.bench.scores", f"--trials={trials}")
            for trials in SIZES
        ],
        "interval": {**of_interval(SIZES[0]), "draws": DRAWS},
        "corpora": CORPORA,
        "coverage": {
            statistic: {
                kind: coverage(kind, statistic, _P_TARGET, CORPORA)
                for kind in KINDS
            }
            for statistic in ("eer", "min_dcf")
        },
    }


def report(facts: dict) -> str:
    """Against SpeechBrain, by size, and coverage."""
    keys = ("theirs", "ours", "theirs_s", "ours_s", "ratio")
    both = [
        (name, *(found[key] for key in keys))
        for name, found in facts["speechbrain"].items()
    ]
    sizes = [
        [found[key] for key in ("trials", "seconds", "peak_mb", "before_mb")]
        for found in facts["sizes"]
    ]
    held = [
        (f"{statistic}, {kind}", found["truth"])
        + tuple(100 * found[key] for key in ("held", "above", "below", "false"))
        for statistic, kinds in facts["coverage"].items()
        for kind, found in kinds.items()
    ]
    interval = facts["interval"]
    header = ("rate", "SpeechBrain", "ours", "its s", "our s", "ratio")
    beside = ("interval", "truth", "% held", "% above", "% below", "% false")
    return (
        table(header, both)
        + f"\n{VOXCELEB_O:,} trials; theirs once, ours the best of 20.\n\n"
        + table(("trials", "s for all rates", "peak MB", "MB before"), sizes)
        + f"\n{interval['draws']:,} draws of {interval['speakers']:,} speakers "
        f"with {interval['trials']:,} trials: {interval['seconds']:.1f} s.\n\n"
        + table(beside, held)
        + f"\n95 % intervals over {facts['corpora']:,} simulated corpora of 60 "
        "speakers; the last column is how often the paired test finds two "
        "equally good systems to differ.\n"
    )


if __name__ == "__main__":
    facts = against_speechbrain(int(sys.argv[1]))
    sys.stdout.write(json.dumps(facts) + "\n")
