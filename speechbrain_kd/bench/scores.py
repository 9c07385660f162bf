"""All rates of so many synthetic scores: time and memory of a process."""

import argparse
import json
import sys
import time
from collections.abc import Sequence

import numpy as np

from speechbrain_kd.bench.memory import memory_mb, peak_mb
from speechbrain_kd.evaluation.likelihood import hull_cllr
from speechbrain_kd.evaluation.points import OperatingPoints


def make_scores(trials: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 scores of target and impostor trials, half each."""
    rng = np.random.default_rng(1986)
    target = rng.standard_normal(trials // 2, dtype=np.float32)
    target += 4
    return target, rng.standard_normal(trials - trials // 2, dtype=np.float32)


def all_rates(target: np.ndarray, impostor: np.ndarray) -> dict[str, float]:
    """Every rate that needs no calibration, of one sort."""
    points = OperatingPoints(target, impostor)
    return {
        "eer": points.eer(),
        "rocch_eer": points.rocch_eer(),
        "min_dcf": points.min_dcf(0.01),
        "min_dcf_05": points.min_dcf(0.05),
        "auc": points.auc(),
        "tmr": points.tmr_at_fmr([0.01, 0.001, 0.0001]),
        "min_cllr": hull_cllr(points),
    }


def of_scores(trials: int) -> dict:
    """Time and peak memory of this process; for a process of its own."""
    target, impostor = make_scores(trials)
    before = memory_mb()["rss"]
    began = time.perf_counter()
    rates = all_rates(target, impostor)
    seconds = time.perf_counter() - began
    return {
        "trials": trials,
        "seconds": seconds,
        "peak_mb": peak_mb(),
        "before_mb": before,
        "rates": rates,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints one JSON of the rates of so many trials.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    parser = argparse.ArgumentParser(description="Rates of many scores.")
    parser.add_argument("--trials", type=int, required=True)
    found = of_scores(parser.parse_args(arguments).trials)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
