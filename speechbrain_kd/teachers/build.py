"""Fills a store in bulk, with any number of processes at once.

The work lies in blocks: some utterances of one view. Each process goes over
all blocks, claims those that no other has, and asks the teacher for what they
lack. At the end it looks again at those that others had: when it returns, all
is there, whoever made it and whoever was killed meanwhile. Starting again
goes on where it stopped.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from tqdm.contrib import tqdm

from speechbrain_kd.speed.threads import start_method
from speechbrain_kd.teachers.ask import ask
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.build_plan import Item, Plan
from speechbrain_kd.teachers.store import TeacherStore


class Views(NamedTuple):
    """What the teacher hears of some views, and where its answers belong.

    Arguments
    ---------
    blocks : list[int]
        The block of each utterance.
    keys : list[tuple[str, int, int]]
        Utterance, view in the store and CRC-32 of the audio, of each
        waveform.
    lengths : list[int]
        Samples of each waveform.
    samples : torch.Tensor
        All waveforms, one behind the other: a worker hands over one tensor.
    """

    blocks: list[int]
    keys: list[tuple[str, int, int]]
    lengths: list[int]
    samples: torch.Tensor


Waves = Callable[[int, int], Iterable[tuple[str, int, int, torch.Tensor]]]


@dataclass(frozen=True)
class BuildReport:
    """What a build took.

    Arguments
    ---------
    asked : int
        Embeddings that this process asked of the teacher.
    kept : int
        Views of utterances that were in the store already, or that other
        processes brought there.
    seconds : float
        Wall-clock time.
    teacher_s : float
        What of it the teacher took.
    """

    asked: int
    kept: int
    seconds: float
    teacher_s: float


def build_views(
    store: TeacherStore,
    teacher: Teacher,
    utterances: Sequence[str],
    waves: Waves,
    num_views: int,
    *,
    device: str | torch.device = "cpu",
    batch_size: int = 64,
    num_workers: int = 0,
    block: int = 256,
    progressbar: bool = True,
    store_views: Callable[[int], Sequence[int]] | None = None,
) -> BuildReport:
    """Asks the teacher for every view that a store lacks.

    Arguments
    ---------
    store : TeacherStore
        The store.
    teacher : Teacher
        The teacher; it is moved to the device.
    utterances : Sequence[str]
        Ids, in the same order in every process.
    waves : Callable
        Gives for the position of an utterance and a view what the teacher
        hears, at least one of: utterance, view in the store, CRC-32 of the
        audio, waveform ``[samples]``.
    num_views : int
        Views of each utterance.
    device : str | torch.device
        Where the teacher runs.
    batch_size : int
        Waveforms asked for at once; only equally long ones are together.
    num_workers : int
        Processes that make waveforms meanwhile.
    block : int
        Utterances of a block.
    progressbar : bool
        Whether to show one.
    store_views : Callable[[int], Sequence[int]] | None
        The views of the store that a view fills; by default itself.

    Returns
    -------
    BuildReport
        What was asked and found.
    """
    began = time.perf_counter()
    teacher.to(device)
    store.register(utterances)
    total = len(utterances) * num_views
    bar = tqdm(total=total, dynamic_ncols=True, disable=not progressbar)
    plan = Plan(store, utterances, num_views, block, store_views, bar)
    asker = _Asker(store, teacher, torch.device(device), batch_size)
    dataset = _Waveforms(waves)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_sampler=plan.batches(batch_size),
        collate_fn=_together,
        num_workers=num_workers,
        # The global random numbers are the training's.
        generator=torch.Generator(),
        **start_method(num_workers),
    )
    with bar, plan.claims:
        for heard in loader:
            plan.release_before(min(heard.blocks))
            asker(heard)
            bar.update(len(heard.blocks))
        plan.release_before(plan.count)
        for items in plan.leftovers(batch_size):
            asker(_together([dataset[item] for item in items]))
            bar.update(len(items))
    seconds = time.perf_counter() - began
    return BuildReport(asker.asked, plan.kept, seconds, asker.seconds)


class _Waveforms(torch.utils.data.Dataset):
    """What the teacher hears, as a dataset for a loader's workers."""

    def __init__(self, waves: Waves) -> None:
        self.waves = waves

    def __getitem__(self, item: Item) -> tuple[int, list[tuple]]:
        """Gives the number of the block, and what is heard."""
        block, position, view = item
        return block, list(self.waves(position, view))


def _together(parts: list[tuple[int, list[tuple]]]) -> Views:
    """Joins what is heard of the views of a batch."""
    heard = [one for _, own in parts for one in own]
    return Views(
        [block for block, _ in parts],
        [(utterance, view, crop_sum) for utterance, view, crop_sum, _ in heard],
        [len(wav) for *_, wav in heard],
        torch.cat([wav for *_, wav in heard]),
    )


class _Asker:
    """Asks the teacher and stores what it says."""

    def __init__(
        self,
        store: TeacherStore,
        teacher: Teacher,
        device: torch.device,
        batch_size: int,
    ) -> None:
        self.store, self.teacher, self.device = store, teacher, device
        self.batch_size = batch_size
        self.asked = 0
        self.seconds = 0.0

    def __call__(self, heard: Views) -> None:
        """Asks about waveforms and stores the answers."""
        wavs = heard.samples.split(heard.lengths)
        began = time.perf_counter()
        answers = ask(self.teacher, wavs, self.device, self.batch_size).cpu()
        self.seconds += time.perf_counter() - began
        self.store.write(*zip(*heard.keys, strict=True), answers)
        self.asked += len(wavs)
