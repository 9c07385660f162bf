"""The same training on 1, 2 and 4 ranks: losses, steps, validation.

Ranks of one thread each on the CPUs of one machine. Ranks add the same numbers
up in another order, and single precision rounds otherwise; a training makes
more of that at every step. How much is measured beside: one process whose
batches have their rows reversed does the same sums in another order, too.
"""

import json
import os
import subprocess
import sys
from statistics import median

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.speed.threads import usable_cores

WORLDS = (1, 2, 4)
STEPS = 50
LR = 1e-4

#: The losses of all ranks must be this near to those of one process.
LIMIT = 1e-4

_STUDENT = "ecapa_c16"
_TIMES = {
    "step": "steps_s",
    "validation": "validations_s",
    "validation_cpu": "validations_cpu_s",
}


def measure(options: Options) -> dict:
    """Trains with each number of ranks and the same global batch.

    Arguments
    ---------
    options : Options
        ``data_folder``, ``batch_size`` (of all ranks together), ``students``;
        the runs lie in ``work``.

    Returns
    -------
    dict
        ``runs``: by number of ranks what :func:`compare` gives;
        ``reversed``: the same of one process with its rows reversed.
    """
    if options.batch_size % max(WORLDS):
        raise ValueError(
            f"--batch_size must be a multiple of {max(WORLDS)} for as many "
            f"ranks; got {options.batch_size}"
        )
    notes = {world: train_on(world, options) for world in WORLDS}
    alone = notes[WORLDS[0]]
    return {
        "student": _STUDENT,
        "global_batch": options.batch_size,
        "lr": LR,
        "cores": usable_cores(),
        "train_utterances": alone["train_utterances"],
        "valid_utterances": alone["valid_utterances"],
        "reversed": compare(train_on(1, options, "reversed"), alone),
        "runs": {
            str(world): compare(found, alone) for world, found in notes.items()
        },
    }


def train_on(world: int, options: Options, order: str = "drawn") -> dict:
    """Runs the training in processes of its own; what they noted.

    Arguments
    ---------
    world : int
        How many ranks; 1 is ``train_kd.py`` without torchrun.
    options : Options
        As ``measure``'s.
    order : str
        Of the rows in a batch: ``drawn`` or ``reversed``.

    Returns
    -------
    dict
        As ``rank_steps`` writes it.
    """
    output = (options.work / "ranks" / f"{world}-{order}.json").absolute()
    output.unlink(missing_ok=True)
    command = [*launcher(world), str(output), str(STEPS), order]
    command += arguments(world, options)
    hidden = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command,
        env=os.environ | hidden,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(
            f"the training on {world} ranks ended with {done.returncode}:\n"
            f"{done.stdout[-3000:]}"
        )
    return json.loads(output.read_text(encoding="utf-8"))


def launcher(world: int) -> list[str]:
    """What starts so many ranks."""
    start = [sys.executable, "-m"]
    if world > 1:
        start += ["torch.distributed.run", "--standalone"]
        start += [f"--nproc_per_node={world}", "-m"]
    return [*start, "speechbrain_kd.bench.rank_steps"]


def arguments(world: int, options: Options) -> list[str]:
    """Those of ``train_kd.py``.

    Arguments
    ---------
    world : int
        How many ranks divide the batch.
    options : Options
        As ``measure``'s.

    Returns
    -------
    list[str]
        A yaml and overrides. Half of the utterances are validated, or there
        would be little to divide.
    """
    folder = (options.work / "ranks").absolute()
    fragment = (options.students / f"{_STUDENT}.yaml").absolute()
    return [
        str(options.students.absolute().parent / "baseline.yaml"),
        "--device=cpu",
        "--noprogressbar",
        f"--number_of_epochs={STEPS}",
        f"--data_folder={options.data_folder}",
        f"--output_folder={folder / str(world)}",
        f"--save_folder={folder / 'save'}",
        "--split_ratio=[50, 50]",
        f"--embedding_model={fragment}",
        f"--batch_size={options.batch_size // world}",
        f"--lr={LR}",
        "--checkpointer=null",
    ]


def compare(notes: dict, alone: dict) -> dict:
    """Compares a run with that of one process.

    Arguments
    ---------
    notes, alone : dict
        As ``rank_steps`` writes them.

    Returns
    -------
    dict
        ``losses``, ``largest_difference``, ``equal_steps`` (before the first
        that is farther away than ``LIMIT``), times and their ratios to those
        of one process. Times are medians.
    """
    pairs = zip(notes["losses"], alone["losses"], strict=True)
    apart = [abs(one - other) for one, other in pairs]
    far = [step for step, x in enumerate(apart) if not x <= LIMIT]
    times = {}
    for key, noted in _TIMES.items():
        times[f"{key}_s"] = median(notes[noted])
        times[f"{key}_ratio"] = times[f"{key}_s"] / median(alone[noted])
    return {
        "steps": len(notes["losses"]),
        "largest_difference": max(apart),
        "equal_steps": far[0] if far else len(apart),
        **times,
        "losses": notes["losses"],
    }


def report(facts: dict) -> str:
    """A row for each number of ranks, and what rounding alone does."""
    named = facts["runs"] | {"1, rows reversed": facts["reversed"]}
    rows = [
        (
            name,
            run["largest_difference"],
            f"{run['equal_steps']} of {run['steps']}",
            run["step_s"],
            run["step_ratio"],
            run["validation_s"],
            run["validation_ratio"],
            run["validation_cpu_ratio"],
        )
        for name, run in named.items()
    ]
    header = ["ranks", "loss: largest difference", f"steps to {LIMIT:.0e}"]
    header += ["s a step", "to 1 rank", "s of validation", "to 1 rank"]
    return (
        table([*header, "CPU time to 1 rank"], rows)
        + f"\n{facts['student']}, {facts['global_batch']} utterances a step "
        f"in all, AdamW, rate {facts['lr']}, single precision; "
        f"{facts['valid_utterances']:,} utterances are validated. "
        f"{facts['cores']} cores, one thread a rank: more ranks than cores "
        "can be no faster. Reversed rows show what rounding alone does.\n"
    )
