"""Embeddings of many files through a cache: only what is missing is made."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from speechbrain_kd.data.packed.access import parse_reference
from speechbrain_kd.evaluation.audio_digests import AudioDigests
from speechbrain_kd.evaluation.embed import embed_stream
from speechbrain_kd.evaluation.embedding_cache import (
    MIN_DURATION_S,
    EmbeddingCache,
)

EmbedFunction = Callable[[torch.Tensor], torch.Tensor]

_BLOCK = 1024  # utterances that one process takes at a time


def embed_cached(
    embed_fn: EmbedFunction,
    files: Mapping[str, str | Path],
    cache: EmbeddingCache,
    digests: AudioDigests,
    progressbar: bool = True,
    **options: Any,
) -> tuple[list[str], np.ndarray]:
    """Embeds files, taking from the cache what is there.

    Arguments
    ---------
    embed_fn : Callable[[torch.Tensor], torch.Tensor]
        Waveforms [batch, samples] at 16 kHz to embeddings [batch, dim].
    files : Mapping[str, str | Path]
        The file of each utterance.
    cache : EmbeddingCache
        Of this model.
    digests : AudioDigests
        Of the files.
    progressbar : bool
        Whether to show one.
    **options : Any
        As ``fill_cache`` takes them.

    Returns
    -------
    ids : list[str]
        The utterances, in the order of ``files``.
    rows : np.ndarray
        float32, [utterances, dim].

    Raises
    ------
    ValueError
        If there is no file, or one cannot be read.
    """
    if not files:
        raise ValueError("no file to embed: expected at least one utterance")
    paths = list(files.values())
    known = digests.of(paths, progressbar)
    fill_cache(cache, embed_fn, paths, known, progressbar, **options)
    rows, found = cache.read(known)
    if not found.all():
        first = int(np.flatnonzero(~found)[0])
        raise ValueError(
            f"{paths[first]}: its embedding in {cache.path} is damaged as soon "
            "as it is written: check the disk"
        )
    return list(files), rows


def fill_cache(
    cache: EmbeddingCache,
    embed_fn: EmbedFunction,
    paths: Sequence[str | Path],
    digests: np.ndarray,
    progressbar: bool = True,
    device: str | torch.device = "cpu",
    num_workers: int = 0,
    name: str = "embed",
) -> int:
    """Embeds the files whose embeddings are not stored.

    Each batch is stored as it comes and then forgotten, so memory does not
    grow with the number of files, and an interrupted filling goes on where it
    was. Other processes that fill the same share the work.

    Arguments
    ---------
    cache : EmbeddingCache
        Of this model.
    embed_fn : Callable[[torch.Tensor], torch.Tensor]
        Waveforms [batch, samples] at 16 kHz to embeddings [batch, dim].
    paths : Sequence[str | Path]
        The files.
    digests : np.ndarray
        Theirs, of the type ``DIGEST``.
    progressbar : bool
        Whether to show one.
    device : str | torch.device
        Where ``embed_fn`` wants its waveforms.
    num_workers : int
        Processes that read files.
    name : str
        What the bar is called.

    Returns
    -------
    int
        Number of utterances that this process embedded.

    Example
    -------
    >>> import soundfile
    >>> folder = getfixture("tmp_path")
    >>> soundfile.write(folder / "a.wav", [0.5] * 3000, 16000)
    >>> digests = AudioDigests(folder / "notes.npy").of([folder / "a.wav"])
    >>> cache = EmbeddingCache(folder, "level", "ab12", 1)
    >>> def level(wavs):
    ...     return wavs.mean(dim=1, keepdim=True)
    >>> given = (cache, level, [folder / "a.wav"], digests, False)
    >>> fill_cache(*given), fill_cache(*given)
    (1, 0)
    """
    order = _order(paths, digests)
    missing = int((~cache.holds(digests[order])).sum())
    if not missing:
        return 0
    done = 0
    with tqdm(
        total=len(order),
        initial=len(order) - missing,
        unit="utt",
        desc=name,
        disable=not progressbar,
    ) as bar:
        # In the end for what other processes had claimed.
        for block, wait in _turns(len(order)):
            part = order[block * _BLOCK : (block + 1) * _BLOCK]
            with cache.claims.claim(block, wait) as ours:
                part = part[~cache.holds(digests[part])] if ours else part[:0]
                for at, rows in _stream(
                    embed_fn, paths, part, device, num_workers
                ):
                    cache.write(digests[at], rows)
                    done += len(at)
                    bar.update(len(at))
    return done


def _order(paths: Sequence[str | Path], digests: np.ndarray) -> np.ndarray:
    """Positions of each audio once, largest first, alike in all processes.

    Utterances of equal length come together, which makes whole batches.
    """
    distinct = np.unique(digests, return_index=True)[1]
    sizes = np.array([_size(paths[at]) for at in distinct], np.int64)
    return distinct[np.argsort(-sizes, kind="stable")]


def _size(path: str | Path) -> int:
    """Bytes or samples of a file or of an utterance of a pack."""
    reference = parse_reference(path)
    return os.stat(path).st_size if reference is None else reference.size


def _turns(number: int) -> Iterator[tuple[int, bool]]:
    """Every block without waiting for it, then every block with."""
    blocks = range(-(-number // _BLOCK))
    yield from ((block, False) for block in blocks)
    yield from ((block, True) for block in blocks)


def _stream(
    embed_fn: EmbedFunction,
    paths: Sequence[str | Path],
    part: np.ndarray,
    device: str | torch.device,
    num_workers: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions and embeddings of some files, a batch at a time."""
    stream = embed_stream(
        embed_fn,
        [paths[at] for at in part],
        device,
        num_workers=num_workers,
        min_duration_s=MIN_DURATION_S,
    )
    for positions, rows in stream:
        yield part[positions], rows.numpy()
