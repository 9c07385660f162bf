"""Trainings in processes of their own, one after the other."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

_TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def run_training(arguments: Sequence[str]) -> int:
    """Runs ``train_kd.py`` with arguments and waits for it.

    Ctrl-C goes to the training, which saves a checkpoint and ends; here it
    is only waited for. Without this Python would kill the training a quarter
    of a second after the key.

    Arguments
    ---------
    arguments : Sequence[str]
        The yaml, options and overrides.

    Returns
    -------
    int
        The exit status: 0, 1 for an error, 130 after Ctrl-C.
    """
    command = [sys.executable, "-m", "speechbrain_kd.run", *arguments]
    # Under torchrun one rank gets here: the training is alone.
    alone = {
        key: value for key, value in os.environ.items() if key not in _TORCHRUN
    }
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(command, check=False, env=alone).returncode
    finally:
        signal.signal(signal.SIGINT, before)
