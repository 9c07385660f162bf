"""Trainings in processes of their own, and what they noted of their time."""

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

from speechbrain_kd.bench.common import Options
from speechbrain_kd.speed.timing import read_epochs

logger = logging.getLogger(__name__)


def train_run(
    options: Options, name: str, yaml: str, *overrides: str, keep: bool = False
) -> Path:
    """One run of ``train_kd.py``.

    Arguments
    ---------
    options : Options
        Corpus, student, epochs, batch and device.
    name : str
        Folder of the run, under ``options.work``.
    yaml : str
        ``"baseline"`` or ``"student"``.
    *overrides : str
        Further options of the command.
    keep : bool
        Whether a finished run of that name will do.

    Returns
    -------
    Path
        The run's folder.
    """
    folder = options.work / "runs" / name
    if keep and (folder / "export" / "hyperparams.yaml").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    run("speechbrain_kd.run", *arguments(options, folder, yaml), *overrides)
    return folder


def arguments(options: Options, folder: Path, yaml: str) -> list[str]:
    """What ``train_kd.py`` is given.

    Arguments
    ---------
    options : Options
        Of the measurement.
    folder : Path
        ``output_folder``.
    yaml : str
        Name of an experiment beside the students' folder.

    Returns
    -------
    list[str]
        The yaml and overrides.
    """
    return [
        str(options.students.parent / f"{yaml}.yaml"),
        f"--data_folder={options.data_folder}",
        f"--output_folder={folder}",
        f"--embedding_model={options.students / options.student}.yaml",
        f"--number_of_epochs={options.epochs}",
        f"--batch_size={options.batch_size}",
        f"--store_folder={options.work / 'store'}",
        f"--device={options.device}",
        "--noprogressbar",
    ]


def run(module: str, *given: str) -> str:
    """Runs a module and says what it said where it fails.

    Arguments
    ---------
    module : str
        With a ``main``.
    *given : str
        Its arguments.

    Returns
    -------
    str
        What it printed. ValueError, with all that it said, where it fails.
    """
    command = [sys.executable, "-m", module, *given]
    logger.info("%s", " ".join(command))
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise ValueError(f"{' '.join(command)} failed:\n{said}")
    return done.stdout


def speed(folder: Path) -> dict[str, float]:
    """Utterances a second of a run, and what it waited for.

    Arguments
    ---------
    folder : Path
        With ``timing.jsonl``. The first epoch, in which everything is made,
        does not count where there are more.

    Returns
    -------
    dict[str, float]
        Medians over epochs: ``utterances_per_s``, ``wait_share``,
        ``train_s``; and ``total_s`` of training, all epochs.
    """
    noted = read_epochs(folder / "timing.jsonl")
    epochs = [epoch for epoch in noted if "train_s" in epoch]
    later = epochs[1:] or epochs
    return {
        "utterances_per_s": median(
            epoch["utterances"] / epoch["train_s"] for epoch in later
        ),
        "wait_share": median(
            epoch["wait_s"] / epoch["train_s"] for epoch in later
        ),
        "train_s": median(epoch["train_s"] for epoch in later),
        "total_s": sum(epoch["train_s"] for epoch in epochs),
    }


def results(folder: Path) -> dict[str, float]:
    """EER of each system of a finished run, in 0–1."""
    path = folder / "report" / "results.json"
    systems = json.loads(path.read_text(encoding="utf-8"))["systems"]
    return {name: system["eer"] for name, system in systems.items()}


class GpuWatch:
    """How busy the GPU is while something runs.

    Arguments
    ---------
    device : str
        On ``"cpu"`` nothing is watched.

    Example
    -------
    >>> with GpuWatch("cpu") as watch:
    ...     pass
    >>> watch.busy_share([]) is None
    True
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.samples: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "GpuWatch":
        if self.device != "cpu":
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.samples.append((time.time(), torch.cuda.utilization() / 100))

    def busy_share(self, epochs: Sequence[dict[str, float]]) -> float | None:
        """Mean share of the time in which a kernel ran.

        Arguments
        ---------
        epochs : Sequence[dict[str, float]]
            As ``read_epochs`` gives them: only their training counts.

        Returns
        -------
        float | None
            ``None`` where nothing was watched.
        """
        seen = [
            share
            for at, share in self.samples
            for epoch in epochs
            if epoch["ended"] - epoch["train_s"] <= at <= epoch["ended"]
        ]
        return sum(seen) / len(seen) if seen else None


def recipes() -> Path | None:
    """SpeechBrain's recipes, which no wheel carries: $SPEECHBRAIN_RECIPES."""
    folder = Path(os.environ.get("SPEECHBRAIN_RECIPES", "not set"))
    script = folder / "VoxCeleb/SpeakerRec/train_speaker_embeddings.py"
    return script if script.is_file() else None
