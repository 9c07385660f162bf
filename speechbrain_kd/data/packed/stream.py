"""Tar shards read in sequence, from disks or object stores.

WebDataset opens, reads and unpacks them; here is only which shards, in which
order, and where to go on.
"""

import io
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch.utils.data import IterableDataset, get_worker_info

from speechbrain_kd.data.packed.access import TAR
from speechbrain_kd.data.packed.index import PackIndex, open_index
from speechbrain_kd.data.packed.shards import import_webdataset, member_key
from speechbrain_kd.data.packed.turns import divide, even_shares, shares_given

_BLOCK = 1 << 16


class TarStream(IterableDataset):
    """The utterances of a manifest, as they come from tar shards.

    Whole shards are divided among ranks, then among loader workers. Their
    order and the shuffling inside depend on (seed, epoch, ranks, workers)
    alone. Give it to a ``DataLoader``, or iterate over it.

    Arguments
    ---------
    urls : Sequence[str]
        The shards: files, URLs, or ``pipe:`` and a command, as WebDataset
        takes them. Commands are run: do not take them from strangers.
    ids : Iterable[str]
        The utterances wanted, as the manifest names them; others are passed
        over without being read.
    seed : int
        Of the order.
    shuffle_buffer : int
        Among so many undecoded utterances the next one is drawn; about 100 kB
        each, in each worker. 0 keeps the order in the shards.
    rank : int
        This process.
    world_size : int
        Number of processes.
    counts : Sequence[int] | None
        How many of the utterances each shard holds. With it a shard that ends
        early is an error, and ``skip`` is exact up to the end of the epoch
        with several workers; ``of_pack`` knows it.
    """

    def __init__(
        self,
        urls: Sequence[str],
        ids: Iterable[str],
        seed: int = 0,
        shuffle_buffer: int = 1000,
        rank: int = 0,
        world_size: int = 1,
        counts: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        import_webdataset(urls[0] if urls else "no shards")
        if not 0 <= rank < world_size <= len(urls):
            raise ValueError(
                f"expected a rank below the number of ranks, and a shard for "
                f"each; got rank {rank} of {world_size} and {len(urls)} "
                "shards: pack into smaller ones with --shard-mb"
            )
        if counts is not None and len(counts) != len(urls):
            raise ValueError(
                f"counts: expected one for each of the {len(urls)} shards, "
                f"got {len(counts)}"
            )
        self.urls = [str(url) for url in urls]
        self.counts = counts
        self.seed, self.shuffle_buffer = seed, shuffle_buffer
        self.rank, self.world_size = rank, world_size
        self.even: int | None = None
        # One block of bytes: workers inherit it without copying it.
        names = sorted(member_key(utterance).encode() for utterance in ids)
        self._wanted = np.array(names, "S")
        # In shared memory: loader workers that live on see the changes.
        self._state = torch.tensor([0, 0, 1]).share_memory_()

    @classmethod
    def of_pack(
        cls,
        folder: str | Path,
        ids: Iterable[str],
        seed: int = 0,
        shuffle_buffer: int = 1000,
        rank: int = 0,
        world_size: int = 1,
    ) -> "TarStream":
        """The stream of a folder that ``speechbrain-kd pack`` made.

        Arguments
        ---------
        folder : str | Path
            The folder, of format ``tar``.
        ids : Iterable[str]
            The utterances wanted. ValueError where one is not there.
        seed, shuffle_buffer, rank, world_size
            As the constructor's.

        Returns
        -------
        TarStream
            The stream.
        """
        index = open_index(folder)
        if index is None or index.kind != TAR:
            raise ValueError(
                f"{folder}: expected a folder of speechbrain-kd pack --format "
                "tar"
            )
        shards = len(index.facts["shards"])
        urls = [str(index.shard_path(shard)) for shard in range(shards)]
        stream = cls(urls, ids, seed, shuffle_buffer, rank, world_size)
        stream.counts = stream._count(index)
        found, wanted = sum(stream.counts), len(stream._wanted)
        if found != wanted:
            raise ValueError(
                f"{folder}: expected all {wanted} utterances of the manifest, "
                f"found {found}: prepare the data again"
            )
        return stream

    @property
    def epoch(self) -> int:
        """The present epoch."""
        return int(self._state[0])

    def set_epoch(self, epoch: int) -> None:
        """Moves to the beginning of an epoch."""
        self._state.copy_(torch.tensor([epoch, 0, 1]))

    def skip(self, number: int, batch_size: int = 1) -> None:
        """Goes on behind the first utterances of this epoch and rank.

        They are not decoded. The rest comes as it would have come without an
        interruption, in a loader of as many workers.

        Arguments
        ---------
        number : int
            How many utterances the loader has given.
        batch_size : int
            The ``DataLoader``'s own; 1 where it has none.
        """
        self._state[1:] = torch.tensor([number, batch_size])

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields utterance ids and waveforms [samples], float32."""
        epoch, skipped, batch_size = self._state.tolist()
        worker = get_worker_info()
        workers, number = (worker.num_workers, worker.id) if worker else (1, 0)
        parts = self._parts(workers)[self.rank]
        shares = self.shares(workers)
        taken, turn = shares_given(skipped, shares, batch_size)
        # A loader begins with worker 0: it takes the place of whose turn it is.
        place = (number + turn) % workers
        reader = f"{self.rank}/{self.world_size}/{place}/{workers}"
        samples = self._shuffled(parts[place], f"{self.seed}/{epoch}/{reader}")
        yield from map(_decode, islice(samples, taken[place], shares[place]))

    def shares(self, workers: int) -> list[int | None]:
        """Utterances that each loader worker gives in the present epoch.

        With ``even`` set, all ranks give as many full batches of that size.
        """
        if self.counts is None:
            return [None] * workers
        sizes = [
            [sum(int(self.counts[shard]) for shard in part) for part in rank]
            for rank in self._parts(workers)
        ]
        if self.even is None:
            return sizes[self.rank]
        return even_shares(sizes, self.even)[self.rank]

    def _parts(self, workers: int) -> list[list[list[int]]]:
        """The shards of each worker of each rank in the present epoch."""
        key = f"{self.seed}/{self.epoch}"
        return divide(len(self.urls), key, self.world_size, workers)

    def _shuffled(self, shards: list[int], seed: str) -> Iterator[dict]:
        samples = self._samples(shards)
        if self.shuffle_buffer < 2:
            return samples
        shuffle = import_webdataset("stream").shuffle(
            self.shuffle_buffer,
            initial=self.shuffle_buffer,
            rng=random.Random(seed),
        )
        return shuffle(samples)

    def _samples(self, shards: list[int]) -> Iterator[dict]:
        """What the shards hold of the wanted utterances, undecoded."""
        tars = import_webdataset("stream").tariterators
        for shard in shards:
            url = self.urls[shard]
            found = 0
            for sample in tars.group_by_keys(self._files(tars, url)):
                found += 1
                yield sample
            if self.counts is not None and found != self.counts[shard]:
                raise ValueError(
                    f"{url}: expected {self.counts[shard]} utterances of the "
                    f"manifest, got {found}: cut short or another shard"
                )

    def _files(self, tars, url: str) -> Iterator[dict]:
        """The files of a shard, and an error where its command failed."""
        for opened in tars.url_opener([{"url": url}]):
            yield from tars.tar_file_expander(
                [opened], select_files=self._is_wanted
            )
            # WebDataset looks at a command while it reads, and may be faster
            # than its end: closed after all was read, it is waited for.
            while opened["stream"].read(_BLOCK):
                pass
            opened["stream"].close()

    def _is_wanted(self, name: str) -> bool:
        stem, _, extension = name.partition(".")
        if extension != "flac" or not len(self._wanted):
            return False
        key = stem.encode()
        place = int(np.searchsorted(self._wanted, key))
        return place < len(self._wanted) and self._wanted[place] == key

    def _count(self, index: PackIndex) -> list[int]:
        """How many wanted utterances each shard holds."""
        counts = np.zeros(len(self.urls), "i8")
        for first in range(0, len(index.rows), _BLOCK):
            names = index.names(first, min(first + _BLOCK, len(index.rows)))
            keys = [name.rpartition(".")[0] for name in names]
            ids = [member_key(key.replace("/", "--")) for key in keys]
            there = np.isin(np.array([x.encode() for x in ids]), self._wanted)
            shards = index.rows["shard"][first : first + _BLOCK][there]
            counts += np.bincount(shards, minlength=len(counts))
        return counts.tolist()


def _decode(sample: dict) -> tuple[str, torch.Tensor]:
    key = sample["__key__"].replace("%2E", ".").replace("%25", "%")
    try:
        wav, _ = soundfile.read(io.BytesIO(sample["flac"]), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"{sample['__url__']}: {key} is not readable as audio ({error}); "
            "check the shards with speechbrain-kd pack --verify"
        ) from error
    return key, torch.from_numpy(wav)
