"""Embeddings of many files, each utterance once and at its full length.

Utterances are never padded: only those of exactly the same number of samples
share a batch, so that an embedding is that of the utterance alone, whatever
else is embedded with it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from speechbrain_kd.data.audio import SAMPLE_RATE, audio_info, load_audio
from speechbrain_kd.distributed.gather import gather_objects, ranks

EmbedFunction = Callable[[torch.Tensor], torch.Tensor]


def embed_files(
    embed_fn: EmbedFunction,
    files: Mapping[str, str | Path],
    device: str | torch.device = "cpu",
    batch_size: int = 32,
    max_batch_s: float = 120.0,
    num_workers: int = 0,
    progressbar: bool = True,
    min_duration_s: float = 0.1,
    divide: bool = False,
) -> tuple[list[str], torch.Tensor]:
    """Embeds audio files, each whole, in batches of equal length.

    An utterance shorter than ``min_duration_s`` is repeated end to end up to
    it, as reflect padding inside an encoder needs some frames. The model must
    be in eval mode.

    Arguments
    ---------
    embed_fn : Callable[[torch.Tensor], torch.Tensor]
        Waveforms [batch, samples] at 16 kHz to embeddings [batch, dim].
    files : Mapping[str, str | Path]
        The file of each utterance.
    device : str | torch.device
        Where ``embed_fn`` wants its waveforms.
    batch_size : int
        Most utterances in a batch.
    max_batch_s : float
        Most seconds of audio in a batch of more than one utterance.
    num_workers : int
        Processes that read files; 0 reads them in this one.
    progressbar : bool
        Whether to show one.
    min_duration_s : float
        Shortest duration to embed as it is, in seconds.
    divide : bool
        Whether the ranks of a distributed run embed a part each. All of
        them must then call this with the same files; each gets all rows.

    Returns
    -------
    ids : list[str]
        The utterances, in the order of ``files``.
    embeddings : torch.Tensor
        float32 on the CPU, [utterances, dim].

    Raises
    ------
    ValueError
        If there is no file, one is empty or unreadable, the model is in
        training mode, or the embeddings have a wrong shape.

    Example
    -------
    >>> import soundfile
    >>> folder = getfixture("tmp_path")
    >>> soundfile.write(folder / "a.wav", [0.5] * 3000, 16000)
    >>> soundfile.write(folder / "b.wav", [0.25] * 4000, 16000)
    >>> def level(wavs):
    ...     return wavs.mean(dim=1, keepdim=True)
    >>> files = {name: folder / f"{name}.wav" for name in "ba"}
    >>> embed_files(level, files, progressbar=False)
    (['b', 'a'], tensor([[0.2500],
            [0.5000]]))
    """
    if not files:
        raise ValueError("no file to embed: expected at least one utterance")
    ids = list(files)
    rank, world = ranks() if divide else (0, 1)
    paths = [Path(files[utterance]) for utterance in ids[rank::world]]
    rows: list[torch.Tensor] = [torch.empty(0)] * len(paths)
    stream = embed_stream(
        *(embed_fn, paths, device, batch_size, max_batch_s, num_workers),
        min_duration_s,
    )
    hidden = not progressbar or rank > 0
    with tqdm(
        total=len(paths), unit="utt", desc="embed", disable=hidden
    ) as bar:
        for positions, embeddings in stream:
            for position, row in zip(positions, embeddings, strict=True):
                rows[position] = row
            bar.update(len(positions))
    return ids, torch.stack(_of_all_ranks(rows) if world > 1 else rows)


def embed_stream(
    embed_fn: EmbedFunction,
    paths: Sequence[str | Path],
    device: str | torch.device = "cpu",
    batch_size: int = 32,
    max_batch_s: float = 120.0,
    num_workers: int = 0,
    min_duration_s: float = 0.1,
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Embeds audio files a batch at a time and keeps none; fails as above.

    Arguments
    ---------
    embed_fn : Callable[[torch.Tensor], torch.Tensor]
        As ``embed_files`` takes it.
    paths : Sequence[str | Path]
        The files; they are embedded from the longest to the shortest.
    device, batch_size, max_batch_s, num_workers, min_duration_s
        As ``embed_files`` takes them.

    Yields
    ------
    positions : list[int]
        Of the batch's files in ``paths``.
    embeddings : torch.Tensor
        float32 on the CPU, [batch, dim].
    """
    _check_arguments(embed_fn, batch_size)
    least = max(1, round(min_duration_s * SAMPLE_RATE))
    for positions, batch in _batches(
        [Path(path) for path in paths],
        least,
        num_workers,
        batch_size,
        max_batch_s * SAMPLE_RATE,
    ):
        with torch.no_grad():
            embeddings = embed_fn(batch.to(device))
        _check_embeddings(embeddings, len(positions))
        yield positions, embeddings.float().cpu()


def _of_all_ranks(own: list[torch.Tensor]) -> list[torch.Tensor]:
    """Rows of all ranks, of which each has every world-th."""
    parts = gather_objects(torch.stack(own).numpy() if own else [])
    rows: list[torch.Tensor] = [torch.empty(0)] * sum(map(len, parts))
    for rank, part in enumerate(parts):
        rows[rank :: len(parts)] = [torch.from_numpy(row) for row in part]
    return rows


def _batches(
    paths: list[Path],
    least: int,
    num_workers: int,
    batch_size: int,
    max_samples: float,
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Positions of files, and their waveforms, from the longest on."""
    if not paths:
        return
    order = _by_length(paths, num_workers)
    wavs = DataLoader(
        _Waveforms([paths[index] for index in order], least),
        batch_size=None,
        num_workers=num_workers,
    )
    yield from equal_length(
        zip(order, wavs, strict=True), batch_size, max_samples
    )


class _Waveforms(Dataset):
    """Files as waveforms [samples] of at least so many samples."""

    def __init__(self, paths: list[Path], least: int):
        self.paths = paths
        self.least = least

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        wav = load_audio(self.paths[index], sample_rate=SAMPLE_RATE)
        samples = wav.shape[0]
        if samples == 0:
            raise ValueError(f"{self.paths[index]}: no audio in the file")
        if samples < self.least:
            wav = wav.repeat(-(-self.least // samples))[: self.least]
        return wav


def _by_length(paths: list[Path], num_workers: int) -> list[int]:
    """Positions of the files from the longest to the shortest.

    The longest come first so that a lack of memory shows at once. Headers are
    only trusted for the order; batches go by the samples that were read.
    """
    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        durations = [info.duration_s for info in pool.map(audio_info, paths)]
    return sorted(range(len(paths)), key=lambda index: -durations[index])


def equal_length(
    wavs: Iterable[tuple[int, torch.Tensor]],
    batch_size: int,
    max_samples: float,
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Joins neighbours of the same number of samples into batches.

    Arguments
    ---------
    wavs : Iterable[tuple[int, torch.Tensor]]
        Position and waveform [samples] of each utterance, at least one.
    batch_size : int
        Most utterances in a batch.
    max_samples : float
        Most samples in a batch of more than one utterance.

    Yields
    ------
    positions : list[int]
        Of the batch's utterances.
    wavs : torch.Tensor
        [batch, samples].
    """
    indices: list[int] = []
    batch: list[torch.Tensor] = []
    for index, wav in wavs:
        full = (
            len(batch) == batch_size
            or (len(batch) + 1) * wav.shape[0] > max_samples
        )
        if batch and (full or wav.shape != batch[0].shape):
            yield indices, torch.stack(batch)
            indices, batch = [], []
        indices.append(index)
        batch.append(wav)
    yield indices, torch.stack(batch)


def _check_arguments(embed_fn: EmbedFunction, batch_size: int) -> None:
    """Raises where nothing sensible could be embedded."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if isinstance(embed_fn, torch.nn.Module) and embed_fn.training:
        raise ValueError(
            f"{type(embed_fn).__name__} is in training mode, in which an "
            "embedding depends on its batch: call eval() first"
        )


def _check_embeddings(embeddings: torch.Tensor, batch: int) -> None:
    """Raises unless the model gave one row for each waveform."""
    if embeddings.ndim != 2 or embeddings.shape[0] != batch:
        raise ValueError(
            f"expected embeddings [{batch}, dim] from embed_fn, got shape "
            f"{list(embeddings.shape)}"
        )
