"""One order of the training data for any number of ranks."""

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from torch.utils.data import Sampler

#: What SpeechBrain's loaders take where SB_GLOBAL_SEED is not set.
DEFAULT_SEED = 563375142


@register_checkpoint_hooks
class GlobalBatchSampler(Sampler[list[int]]):
    """Batches of all ranks together, of which each rank takes its part.

    The order of an epoch follows from seed and epoch alone and is that of
    SpeechBrain's ``ReproducibleRandomSampler``. The batch of a step is the
    next ``world * batch_size`` utterances; rank r takes the r-th part of it.
    Runs of equal ``world * batch_size`` so see the same batches.

    A checkpoint holds the number of utterances of the epoch that the steps
    of all ranks have used, whatever workers have read ahead. It is resumed
    with any number of ranks and any batch size: every utterance of the epoch
    still comes once.

    Arguments
    ---------
    size : int
        Utterances in the data.
    batch_size : int
        Utterances of a rank in a step.
    shuffle : bool
        Whether to draw an order; otherwise that of the data.
    drop_last : bool
        Whether an incomplete last batch is left out. It is not where it is
        the only one, nor in an epoch that was begun with another
        ``world * batch_size``. It is then divided as evenly as possible, and
        left out only where some rank would have nothing.
    seed : int
        Of the orders.
    rank : int
        This rank's number.
    world : int
        The number of ranks.

    Raises
    ------
    ValueError
        If there are fewer utterances than ranks, or the numbers make no
        sense.

    Example
    -------
    >>> one = GlobalBatchSampler(10, batch_size=4, seed=1)
    >>> two = [
    ...     GlobalBatchSampler(10, batch_size=2, seed=1, rank=rank, world=2)
    ...     for rank in (0, 1)
    ... ]
    >>> halves = [sum(parts, []) for parts in zip(*two)]
    >>> halves == list(one), len(one)
    (True, 2)
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        shuffle: bool = True,
        drop_last: bool = True,
        seed: int = DEFAULT_SEED,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world:
            raise ValueError(
                "expected batch_size of at least 1 and a rank from 0 to "
                f"world - 1; got batch_size {batch_size}, rank {rank}, "
                f"world {world}"
            )
        if size < world:
            raise ValueError(
                f"{size} training utterances for {world} ranks: expected at "
                "least one a rank"
            )
        self.size = size
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = int(seed)
        self.rank = rank
        self.world = world
        self.drop_last = drop_last and size >= self.global_batch
        self.epoch = 0
        self.consumed = 0
        self._resumed: tuple[int | None, int] = (None, 0)
        self._keep_tail = False

    @property
    def global_batch(self) -> int:
        """Utterances of all ranks in a step."""
        return self.world * self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch, or goes on in the one that was resumed."""
        self.epoch = epoch
        resumed, consumed = self._resumed
        if resumed is None:
            self._resumed = (epoch, consumed)
        elif resumed != epoch:
            self._resumed = (epoch, 0)
            self._keep_tail = False
        self.consumed = self._resumed[1]

    @property
    def resumed(self) -> bool:
        """Whether part of an epoch is skipped."""
        return self._resumed[1] > 0

    def _steps(self, utterances: int, drop_last: bool) -> int:
        """Steps that so many utterances make."""
        full, rest = divmod(utterances, self.global_batch)
        return full + int(not drop_last and rest >= self.world)

    @property
    def _steps_left(self) -> int:
        """Steps of the epoch after what was resumed."""
        left = self.size - self._resumed[1]
        return self._steps(left, self.drop_last and not self._keep_tail)

    @property
    def steps_before(self) -> int:
        """Steps of the resumed epoch that count as taken.

        With other ranks or another batch size than before, steps are of
        another size: this many are missing from a whole epoch of today's.
        """
        return max(0, len(self) - self._steps_left)

    def resume_at(self, consumed: int) -> None:
        """Skips what was used of the epoch that is set next.

        Arguments
        ---------
        consumed : int
            Utterances of all ranks.
        """
        self._resumed = (None, consumed)
        self.consumed = consumed

    def taken(self, step: int) -> None:
        """Notes that a step was taken.

        Arguments
        ---------
        step : int
            Steps of the epoch so far, ``steps_before`` among them.
        """
        here = (step - self.steps_before) * self.global_batch
        self.consumed = min(self.size, self._resumed[1] + here)

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return self._steps(self.size, self.drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        """This rank's part of each batch that the epoch still has."""
        first = self._resumed[1]
        order = torch.arange(self.size)
        if self.shuffle:
            draw = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(self.size, generator=draw)
        for _ in range(self._steps_left):
            batch = order[first : first + self.global_batch]
            yield batch.tensor_split(self.world)[self.rank].tolist()
            first += self.global_batch

    @mark_as_saver
    def save(self, path: str | Path) -> None:
        """Saves how far the epoch is."""
        state = {
            "epoch": self.epoch,
            "consumed": self.consumed,
            "size": self.size,
            "seed": self.seed,
            "global_batch": self.global_batch,
            "keep_tail": self._keep_tail,
        }
        Path(path).write_text(json.dumps(state), encoding="utf-8")

    @mark_as_loader
    def load(self, path: str | Path, end_of_epoch: bool) -> None:
        """Restores what ``save`` wrote; nothing after a whole epoch."""
        self._resumed, self._keep_tail = (None, 0), False
        if end_of_epoch:
            return
        state = json.loads(Path(path).read_text(encoding="utf-8"))
        for key, ours in (("size", self.size), ("seed", self.seed)):
            if state[key] != ours:
                raise ValueError(
                    f"{path}: the epoch was begun with {key} {state[key]} of "
                    f"the training data, but now it is {ours}: give another "
                    "output_folder, or the data and seed of that run"
                )
        self._resumed = (state["epoch"], state["consumed"])
        self._keep_tail = (
            state["keep_tail"] or state["global_batch"] != self.global_batch
        )
