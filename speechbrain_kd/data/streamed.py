"""Training data read in sequence from tar shards, the key ``stream``.

The items are those of ``make_dataset``, bit for bit; only the order differs,
and the tails that are dropped.
"""

import json
import logging
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from torch.utils.data import IterableDataset

from speechbrain_kd.data.packed.access import TAR
from speechbrain_kd.data.packed.index import open_index
from speechbrain_kd.data.packed.shards import import_webdataset
from speechbrain_kd.data.packed.stream import TarStream
from speechbrain_kd.data.table import ManifestTable, TableDataset

logger = logging.getLogger(__name__)


@register_checkpoint_hooks
class StreamedCrops(IterableDataset):
    """The items of a dataset, in the order in which tar shards give them.

    Give it to a ``DataLoader`` with the same ``batch_size`` and
    ``num_workers``. All ranks give the same number of full batches in an
    epoch; what is left of a worker's share is dropped, other utterances in
    each epoch. ``len`` follows the epoch.

    A checkpoint holds how the data were divided. An epoch that was interrupted
    goes on exactly where they are divided alike, and is begun anew otherwise.

    Arguments
    ---------
    dataset : TableDataset
        What ``make_dataset`` gives of the training utterances.
    folder : str | Path
        The packed corpus that they are in, of format ``tar``.
    batch_size : int
        Utterances of a rank in a step.
    num_workers : int
        Workers of the loader, the same for all ranks.
    seed : int
        Of the order.
    shuffle_buffer : int
        Among so many utterances the next one is drawn, in each worker.
    rank : int
        This process.
    world_size : int
        Number of processes.

    Raises
    ------
    ValueError
        If there are fewer shards than readers, or not a batch for each rank.
    """

    def __init__(
        self,
        dataset: TableDataset,
        folder: str | Path,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
        shuffle_buffer: int = 1000,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.batch_size = batch_size
        self.workers = max(1, num_workers)
        shards = len(open_index(tar_pack(folder)).facts["shards"])
        if shards < world_size * self.workers:
            raise ValueError(
                f"{folder}: expected a shard for each of {world_size} ranks "
                f"with {self.workers} readers, got {shards} shards: pack into "
                "smaller ones with --shard-mb, or give fewer --num_workers"
            )
        self.stream = TarStream.of_pack(
            tar_pack(folder),
            dataset.data.ids,
            seed,
            shuffle_buffer,
            rank,
            world_size,
        )
        self.stream.even = batch_size
        self._check_batches(folder)
        self._begun: dict | None = None

    def _check_batches(self, folder: str | Path) -> None:
        """Refuses shares that would in some epoch not make one batch."""
        shards = len(self.stream.urls) // self.stream.world_size
        least = sum(sorted(self.stream.counts)[:shards])
        needed = self.workers * (self.batch_size - 1) + 1
        if least < needed:
            raise ValueError(
                f"{folder}: {self.stream.world_size} ranks with {self.workers} "
                f"readers and batch_size {self.batch_size} need {needed} "
                f"training utterances a rank, and {shards} shards may hold "
                f"only {least}: give a smaller --batch_size, fewer "
                "--num_workers, or --stream=False"
            )

    @property
    def data(self) -> ManifestTable:
        """The training utterances, also those that an epoch drops."""
        return self.dataset.data

    def __len__(self) -> int:
        """Utterances that this rank gives in the present epoch."""
        return sum(self.stream.shares(self.workers))

    def __iter__(self) -> Iterator[dict]:
        """Yields what is left of the epoch, or this worker's share of it."""
        for utterance, wav in self.stream:
            row = self.data[utterance]
            if len(wav) != int(row["stop"]):
                raise ValueError(
                    f"{row['wav']}: expected the {row['stop']} samples of the "
                    f"manifest, got {len(wav)}: it was packed anew since the "
                    "data were prepared; prepare them again"
                )
            yield self.dataset.pipeline.compute_outputs(row | {"wav": wav})

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch, or goes on in the one that was resumed."""
        if epoch != self.stream.epoch:
            self.stream.set_epoch(epoch)

    def skip(self, number: int) -> None:
        """Passes over utterances that this rank gave before.

        Arguments
        ---------
        number : int
            How many; whole batches.
        """
        self.stream.skip(number, self.batch_size)

    def go_on(self, step: int) -> int:
        """Goes on in the epoch of a checkpoint.

        Arguments
        ---------
        step : int
            Batches that this rank took of it.

        Returns
        -------
        int
            How many of them count: all, or none where the epoch is begun
            anew.
        """
        now = self._division()
        if self._begun == now:
            self.skip(step * self.batch_size)
            return step
        before = self._begun or {"stream": False}
        logger.warning(
            "The epoch was begun with %s, which now is %s: it is begun anew, "
            "%d steps of it are taken again",
            {key: before[key] for key in before if before[key] != now[key]},
            {key: now[key] for key in before if before[key] != now[key]},
            step,
        )
        self.skip(0)
        return 0

    def _division(self) -> dict:
        """What the order and the division follow from."""
        stream = self.stream
        counts = json.dumps([int(count) for count in stream.counts])
        return {
            "stream": True,
            "ranks": stream.world_size,
            "readers": self.workers,
            "batch_size": self.batch_size,
            "seed": stream.seed,
            "shuffle_buffer": stream.shuffle_buffer,
            "shards": zlib.crc32(counts.encode()),
        }

    @mark_as_saver
    def save(self, path: str | Path) -> None:
        """Saves how the data are divided."""
        Path(path).write_text(json.dumps(self._division()), encoding="utf-8")

    @mark_as_loader
    def load(self, path: str | Path, end_of_epoch: bool) -> None:
        """Reads what ``save`` wrote, for ``go_on``."""
        self._begun = json.loads(Path(path).read_text(encoding="utf-8"))


def tar_pack(data_folder: Any) -> Path:
    """The folder of tar shards that ``stream: True`` reads.

    Arguments
    ---------
    data_folder : Any
        The key of the yaml.

    Returns
    -------
    Path
        Absolute. ValueError where it is anything else.
    """
    index = None
    if isinstance(data_folder, (str, Path)):
        folder = Path(data_folder).expanduser().absolute()
        index = open_index(folder)
    if index is None or index.kind != TAR:
        raise ValueError(
            "stream: True reads a corpus that is packed in tar shards, and "
            f"data_folder is {data_folder}: make one by speechbrain-kd pack "
            f"{data_folder} OUTPUT --format tar and give --data_folder=OUTPUT, "
            "or give --stream=False"
        )
    return folder


def check_stream(values: Mapping[str, Any]) -> None:
    """Refuses ``stream: True`` where nothing can be read in sequence.

    Arguments
    ---------
    values : Mapping[str, Any]
        Of the experiment. ValueError and ImportError say what is missing.
    """
    if not values["stream"]:
        return
    if values["teacher"] is not None and values["teacher_target"] == "whole":
        raise ValueError(
            "teacher_target whole is bound to the audio files, which are not "
            "looked at where they are read in sequence: give --stream=False, "
            "or teacher_target view or clean"
        )
    import_webdataset(tar_pack(values["data_folder"]))
