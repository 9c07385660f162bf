"""A training whose losses and times are noted, for any number of ranks.

``python -m speechbrain_kd.bench.rank_steps NOTES.json STEPS ORDER ARGUMENTS``,
or by torchrun; the arguments are those of ``train_kd.py``.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.pipeline import collate
from speechbrain_kd.distributed import gather_objects, ranks
from speechbrain_kd.run import ready, train


class Notes:
    """What a Brain does, noted.

    Arguments
    ---------
    brain : sb.Brain
        Its hooks are called as before.
    """

    def __init__(self, brain: sb.Brain) -> None:
        self.losses: list[float] = []
        self.steps_s: list[float] = []
        self.validations_s: list[float] = []
        self.validations_cpu_s: list[float] = []
        self._last: float | None = None
        self._hooks = {
            name: getattr(brain, name)
            for name in ("on_fit_batch_end", "on_stage_start", "_fit_valid")
        }
        brain.on_fit_batch_end = self._step
        brain.on_stage_start = self._start
        brain._fit_valid = self._validate

    def _step(self, batch, outputs, loss, should_step):
        self._hooks["on_fit_batch_end"](batch, outputs, loss, should_step)
        self.losses.append(float(loss.detach()))
        now = time.perf_counter()
        if self._last is not None:
            self.steps_s.append(now - self._last)
        self._last = now

    def _start(self, stage, epoch=None):
        # The first step of an epoch starts the loader, too.
        self._last = None
        self._hooks["on_stage_start"](stage, epoch)

    def _validate(self, *args, **kwargs):
        began, worked = time.perf_counter(), time.process_time()
        self._hooks["_fit_valid"](*args, **kwargs)
        self.validations_s.append(time.perf_counter() - began)
        self.validations_cpu_s.append(time.process_time() - worked)

    def of_all_ranks(self) -> dict[str, list[float]]:
        """Notes of all ranks together.

        Returns
        -------
        dict[str, list[float]]
            ``losses``: the mean over the ranks at each step; ``steps_s``,
            ``validations_s`` and ``validations_cpu_s``: those of the rank
            that took longest.
        """
        own = {
            name: values
            for name, values in vars(self).items()
            if not name.startswith("_")
        }
        every = gather_objects(own)
        found = {}
        for name in own:
            join = statistics.fmean if name == "losses" else max
            ranked = zip(*(notes[name] for notes in every), strict=True)
            found[name] = [join(values) for values in ranked]
        return found


def collate_reversed(items: Sequence[dict]) -> PaddedBatch:
    """The batch with its last row first."""
    return collate(list(items)[::-1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, and writes the notes; evaluates and exports nothing.

    Arguments
    ---------
    arguments : Sequence[str] | None
        A file for the notes, a number of steps, ``drawn`` or ``reversed``
        (the order of the rows in each batch, which changes nothing but
        rounding), and arguments of ``train_kd.py``; by default the command
        line's.
    """
    output, steps, order, *rest = (
        sys.argv[1:] if arguments is None else arguments
    )
    brain, train_data, (valid_data, *_) = ready(rest)
    notes = Notes(brain)
    # As an option it would stay a text, which SpeechBrain cannot compare.
    brain.optimizer_step_limit = int(steps)
    if order == "reversed":
        options = brain.hparams.dataloader_options
        options["collate_fn"] = collate_reversed
    train(brain, train_data, valid_data)
    found = notes.of_all_ranks()
    found["train_utterances"] = len(train_data)
    found["valid_utterances"] = len(valid_data)
    if ranks()[0] == 0:
        with atomic_path(Path(output)) as part:
            part.write_text(json.dumps(found), encoding="utf-8")
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
