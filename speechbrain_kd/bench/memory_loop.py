"""A student trained on waveforms that lie in memory: the bound of a loop.

Nothing is read, augmented, logged or saved; model, features, loss and
optimiser are those of the training. Run as a process of its own:

python -m speechbrain_kd.bench.memory_loop FRAGMENT BATCH DEVICE PRECISION
"""

import json
import sys
import time
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.speed.allocator import keep_freed_memory
from speechbrain_kd.speed.features import FastFeatures
from speechbrain_kd.speed.modules import skip_empty_padding

CLASSES = 150
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
        text = f"embedding_model: !include:{fragment.resolve()}"
        self.model = load_hyperpyyaml(text)["embedding_model"].to(device)
        skip_empty_padding(self.model)
        dim = self.model(torch.zeros(2, 50, 80, device=device)).shape[-1]
        self.classifier = Classifier(dim, out_neurons=CLASSES).to(device)
        norm = InputNormalization(norm_type="sentence", std_norm=False)
        self.features = FastFeatures(Fbank(n_mels=80), norm).to(device)
        self.cost = LogSoftmaxWrapper(AdditiveAngularMargin(0.2, 30))
        self.params = [
            *self.model.parameters(),
            *self.classifier.parameters(),
        ]
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
            logits = self.classifier(self.model(feats))
            loss = self.cost(logits, self.labels[number])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, 5.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def utterances_per_s(self) -> float:
        """Of the best of some rounds over the batches."""
        best = 0.0
        steps = 40 if self.device != "cpu" else _BATCHES
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            for number in range(steps):
                self.step(number % _BATCHES)
            if self.device != "cpu":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - began
            best = max(best, steps * self.wavs.shape[1] / seconds)
        return best


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
