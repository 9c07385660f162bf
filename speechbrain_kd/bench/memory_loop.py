"""A student trained on waveforms that lie in memory: the bound of a loop.

Nothing is read, augmented, logged or saved; model, features, loss, optimiser
and what makes them fast are those of the training. Run as a process of its own:

python -m speechbrain_kd.bench.memory_loop FRAGMENT BATCH DEVICE PRECISION
"""

import json
import sys
from pathlib import Path

import torch

from speechbrain_kd.bench.features import feature_functions
from speechbrain_kd.bench.student_step import CLASSES, Learner
from speechbrain_kd.bench.turns import best_of_each
from speechbrain_kd.speed.allocator import keep_freed_memory
from speechbrain_kd.speed.convolutions import tune_convolutions

_BATCHES = 4
_ROUNDS = 5


class MemoryLoop:
    """Model, optimiser and a few batches.

    Arguments
    ---------
    fragment : Path
        The student's yaml.
    batch_size : int
        Utterances of 2 s.
    device : str
        Where to compute.
    precision : str
        ``"fp32"`` or ``"bf16"``.
    """

    def __init__(
        self, fragment: Path, batch_size: int, device: str, precision: str
    ) -> None:
        torch.manual_seed(0)
        self.learner = Learner(fragment).to(device)
        tune_convolutions(lasting_shapes=True)
        self.params = list(self.learner.parameters())
        self.features = feature_functions(device)[1]
        self.optimizer = torch.optim.AdamW(self.params, lr=1e-3, fused=True)
        self.wavs = 0.1 * torch.randn(
            _BATCHES, batch_size, 32000, device=device
        )
        self.labels = torch.randint(
            0, CLASSES, (_BATCHES, batch_size, 1), device=device
        )
        self.device, self.bf16 = device, precision == "bf16"

    def step(self, number: int) -> None:
        """One update on one of the batches."""
        with torch.autocast(
            torch.device(self.device).type, torch.bfloat16, enabled=self.bf16
        ):
            feats = self.features(self.wavs[number])
            loss = self.learner(feats, self.labels[number])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, 5.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def utterances_per_s(self) -> float:
        """Of the best of some rounds over the batches."""
        steps = 40 if self.device != "cpu" else _BATCHES

        def several() -> None:
            for number in range(steps):
                self.step(number % _BATCHES)

        seconds = best_of_each({"steps": several}, self.device, _ROUNDS)
        return steps * self.wavs.shape[1] / seconds["steps"]


def main(arguments: list[str]) -> None:
    """Prints one JSON.

    Arguments
    ---------
    arguments : list[str]
        Fragment, batch size, device and precision.
    """
    keep_freed_memory()
    fragment, batch_size, device, precision = arguments
    loop = MemoryLoop(Path(fragment), int(batch_size), device, precision)
    facts = {"utterances_per_s": loop.utterances_per_s()}
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
