"""``speechbrain-kd evaluate``: models side by side on trial lists.

speechbrain-kd evaluate teacher=cam.onnx results/student --data_folder VOX \
    --trials O=veri_test2.txt E=list_test_all2.txt H=list_test_hard2.txt
"""

import argparse
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain_kd.errors import EXPECTED
from speechbrain_kd.speed.threads import usable_cores
from speechbrain_kd.teachers.store_files import StoreFull

logger = logging.getLogger(__name__)

WHERE = ("durations", "snr", "columns")


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluates, and writes tables, ``results.json`` and the page.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # Imported here, so that --help and a slip of the pen cost nothing.
    from speechbrain_kd.evaluating.run import run

    others = _helpers(arguments, options)
    try:
        text = run(options, lambda: _wait(others))
    except (*EXPECTED, StoreFull) as error:
        sys.exit(f"evaluate: error: {error}")
    except KeyboardInterrupt:
        logger.warning("Stopped. The same command goes on from here.")
        sys.exit(130)
    finally:
        for other in others:
            other.terminate()
    if text:
        sys.stdout.write(f"{text}\nThe whole of it: {options.output}\n")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads and checks the options."""
    parser = argparse.ArgumentParser(
        prog="speechbrain-kd evaluate",
        description="Models side by side on trial lists.",
        epilog="MODEL: a run folder, an exported folder, a hub id, an ONNX "
        "file, or a yaml fragment of hparams/teachers; NAME=MODEL names it, "
        "and ,KEY=VALUE after it gives arguments of its class.",
    )
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL")
    add("--trials", nargs="+", required=True, metavar="[NAME=]FILE")
    add("--data_folder", help="or several, separated by commas")
    add("--spk2utt", nargs="+", default=[], metavar="LIST=FILE")
    add("--wav_scp", nargs="+", default=[], metavar="LIST=FILE")
    add("--backend", choices=("cosine", "plda"), default="cosine")
    add("--norm", choices=("z", "t", "s", "as"), help="of the scores")
    add("--centre", action="store_true", help="subtract the cohort's mean")
    add("--cohort", help="a manifest or a folder of other speakers")
    add("--cohort_folder", help="data_folder of the manifest")
    add("--cohort_utterances", type=int, default=20, help="of a speaker")
    add("--top_k", type=int, default=300, help="of the cohort, by --norm as")
    add("--calibrate", help="a list to calibrate on, not one of --trials")
    add("--quality", nargs="+", default=[], choices=("duration", "magnitude"))
    add("--p_target", type=float, nargs="+", default=[0.01, 0.05])
    add("--fmr", type=float, nargs="+", default=[0.001, 0.01, 0.1])
    add("--draws", type=int, default=1000, help="of the bootstrap; 0 for none")
    add("--level", type=float, default=0.95, help="of the intervals")
    add("--seed", type=int, default=0)
    add("--reference", help="compared with all others (default: the first)")
    add("--speakers", type=Path, help="a table of the speakers")
    add(
        "--allow-contaminated",
        "--allow_contaminated",
        action="store_true",
        help="mark, not refuse, lists whose speakers a system has met",
    )
    add("--cross", action="store_true", help="one enrols, another verifies")
    add(
        "--map",
        action="store_true",
        help="with --cross, also enrolments mapped for the other, by the cohort",
    )
    add("--where", default="columns", help=f"of {','.join(WHERE)}, or none")
    add("--title", default="Speaker verification", help="of the page")
    add("--output", type=Path, default=Path("results/evaluation"))
    add("--cache", type=Path, default=Path("results/embeddings"))
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--processes", type=int, default=1, help="that embed")
    add("--num_workers", type=int, default=0, help="that read, each")
    add("--noprogressbar", action="store_true")
    add("--nocosts", action="store_true", help="measure no size and time")
    add("--embed_only", action="store_true", help="fill the cache, no more")
    options = parser.parse_args(arguments)
    problem = _problem(options)
    if problem:
        parser.error(problem)
    return options


def _problem(options: argparse.Namespace) -> str | None:
    """What is wrong with the options together."""
    options.where = [
        part for part in options.where.split(",") if part not in ("", "none")
    ]
    unknown = set(options.where) - set(WHERE)
    if unknown:
        return f"--where takes {', '.join(WHERE)}; got {unknown.pop()!r}"
    if not all(0 < p < 1 for p in options.p_target):
        return (
            f"--p_target takes numbers between 0 and 1; got {options.p_target}"
        )
    if not all(0 < rate < 1 for rate in options.fmr):
        return f"--fmr takes numbers between 0 and 1; got {options.fmr}"
    if not 0 < options.level < 1:
        return f"--level is between 0 and 1; got {options.level}"
    if options.draws < 0 or options.draws == 1:
        return f"--draws is 0, or at least 2; got {options.draws}"
    plda = options.backend == "plda"
    if (options.norm or options.centre or plda) and not options.cohort:
        return "--norm, --centre and PLDA take a --cohort of other speakers"
    if options.map and not (options.cross and options.cohort):
        return "--map takes --cross and a --cohort of other speakers"
    if (options.norm or options.centre) and plda:
        return "--norm and --centre are of cosines, not of PLDA"
    if options.quality and not options.calibrate:
        return "--quality takes a list to --calibrate on"
    if options.processes < 1:
        return f"--processes is at least 1; got {options.processes}"
    return None


def _helpers(
    arguments: Sequence[str], options: argparse.Namespace
) -> list[subprocess.Popen]:
    """Starts processes beside this one that only embed."""
    if options.processes == 1:
        return []
    threads = max(1, usable_cores() // options.processes)
    torch.set_num_threads(threads)
    command = [sys.executable, "-m", "speechbrain_kd.evaluate", *arguments]
    command += ["--processes=1", "--embed_only", "--noprogressbar"]
    command = ["env", f"OMP_NUM_THREADS={threads}", *command]
    return [subprocess.Popen(command) for _ in range(1, options.processes)]


def _wait(others: list[subprocess.Popen]) -> None:
    """Waits for the processes that embed."""
    if any([other.wait() for other in others]):
        raise ValueError("a process that embeds failed (see above)")


if __name__ == "__main__":
    main()
