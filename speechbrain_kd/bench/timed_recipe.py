"""Runs a recipe of SpeechBrain's as it is, and notes the time of its epochs.

python -m speechbrain_kd.bench.timed_recipe NOTES SCRIPT YAML [OPTIONS]
"""

import runpy
import sys
from pathlib import Path

import speechbrain as sb

from speechbrain_kd.speed.timing import TimedLoader, note_epoch


def timed(notes: Path) -> None:
    """Lets every Brain note its epochs, as ``SteadyBrain`` does.

    Arguments
    ---------
    notes : Path
        The file, as ``read_epochs`` reads it.
    """
    fit_train = sb.Brain._fit_train

    def fit(self, train_set, epoch, enable):
        loader = TimedLoader(train_set)
        fit_train(self, loader, epoch, enable)
        note_epoch(notes, **loader.facts(epoch))

    sb.Brain._fit_train = fit


def main(arguments: list[str]) -> None:
    """Runs the script.

    Arguments
    ---------
    arguments : list[str]
        The file of notes, the script and its own arguments.
    """
    notes, script, *given = arguments
    folder = Path(script).resolve().parent
    sys.path[:0] = [str(folder), str(folder.parent)]
    sys.argv = [script, *given]
    timed(Path(notes))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
