"""Utterances made harder before they are embedded: shorter, or in noise.

Every change is a function of the utterance's name and a seed alone, so that
all systems hear the same and a second evaluation repeats the first.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_kd.data.audio import SAMPLE_RATE, audio_info, load_audio
from speechbrain_kd.evaluation.embed import equal_length

Change = Callable[[torch.Tensor, str], torch.Tensor]


def cut(
    wav: torch.Tensor, seconds: float, rng: torch.Generator
) -> torch.Tensor:
    """Keeps a random stretch of a waveform.

    Arguments
    ---------
    wav : torch.Tensor
        [samples] at 16 kHz.
    seconds : float
        Length of the stretch; a shorter waveform stays whole.
    rng : torch.Generator
        Draws where it begins.

    Returns
    -------
    torch.Tensor
        [samples], ``seconds`` long at most.

    Example
    -------
    >>> cut(torch.zeros(40000), 1.0, utterance_rng("a")).shape
    torch.Size([16000])
    """
    if not seconds > 0:
        raise ValueError(f"seconds must be positive, got {seconds}")
    length = max(1, round(seconds * SAMPLE_RATE))
    if wav.shape[0] <= length:
        return wav
    start = int(torch.randint(wav.shape[0] - length + 1, (1,), generator=rng))
    return wav[start : start + length]


def add_noise(
    wav: torch.Tensor, noise: torch.Tensor, snr_db: float
) -> torch.Tensor:
    """Adds noise at a ratio of the mean powers over the whole utterance.

    Arguments
    ---------
    wav : torch.Tensor
        [samples]
    noise : torch.Tensor
        [samples], of any loudness.
    snr_db : float
        Power of the speech over that of the noise, in dB.

    Returns
    -------
    torch.Tensor
        [samples]; it is not clipped at 1.

    Raises
    ------
    ValueError
        If the lengths differ, or either is silent and no ratio exists.

    Example
    -------
    >>> speech, noise = torch.full((4,), 0.1), torch.tensor([5.0, -5, 5, -5])
    >>> add_noise(speech, noise, 20.0)
    tensor([0.1100, 0.0900, 0.1100, 0.0900])
    """
    if wav.shape != noise.shape:
        raise ValueError(
            f"expected noise as long as the speech, {list(wav.shape)}, got "
            f"{list(noise.shape)}"
        )
    speech_power, noise_power = wav.square().mean(), noise.square().mean()
    if speech_power == 0 or noise_power == 0:
        silent = "speech" if speech_power == 0 else "noise"
        raise ValueError(f"the {silent} is silent: no signal-to-noise ratio")
    gain = (speech_power / noise_power).sqrt() * 10 ** (-snr_db / 20)
    return wav + gain * noise


def utterance_rng(utterance: str, seed: int = 0) -> torch.Generator:
    """The random numbers of an utterance, whatever comes before it.

    Arguments
    ---------
    utterance : str
        Its name.
    seed : int
        Another seed gives others.

    Example
    -------
    >>> one, same = utterance_rng("a/1.wav"), utterance_rng("a/1.wav")
    >>> torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=same))
    True
    """
    text = f"{seed}:{utterance}".encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(text, digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def embed_changed(
    model: torch.nn.Module,
    files: Mapping[str, str | Path],
    change: Change,
    device: str | torch.device = "cpu",
    progressbar: bool = True,
    batch_size: int = 32,
) -> tuple[list[str], torch.Tensor]:
    """Embeds utterances after a change, never padded.

    Arguments
    ---------
    model : Teacher
        Its ``embed`` takes [batch, samples] at 16 kHz, gives [batch, dim].
    files : Mapping[str, str | Path]
        The file of each utterance.
    change : Callable[[torch.Tensor, str], torch.Tensor]
        Takes a waveform [samples] and the name of the utterance.
    device : str | torch.device
        Where the model is.
    progressbar : bool
        Whether to show one.
    batch_size : int
        Most utterances of the same length in a batch.

    Returns
    -------
    ids : list[str]
        The utterances, in the order of ``files``.
    rows : torch.Tensor
        float32 on the CPU, [utterances, dim].

    Raises
    ------
    ValueError
        If there is no file, or a change leaves nothing of an utterance.
    """
    if not files:
        raise ValueError("no file to embed: expected at least one utterance")
    ids = list(files)
    # Files of one length follow each other, so that they share batches.
    order = sorted(
        range(len(ids)), key=lambda at: -audio_info(files[ids[at]]).duration_s
    )
    bar = tqdm(order, unit="utt", desc="embed", disable=not progressbar)
    changed = ((at, _changed(files[ids[at]], change, ids[at])) for at in bar)
    rows: dict[int, torch.Tensor] = {}
    with torch.no_grad():
        for positions, wavs in equal_length(changed, batch_size, math.inf):
            embeddings = model.embed(wavs.to(device)).float().cpu()
            rows.update(zip(positions, embeddings, strict=True))
    return ids, torch.stack([rows[at] for at in range(len(ids))])


def _changed(path: str | Path, change: Change, name: str) -> torch.Tensor:
    """A waveform after its change."""
    wav = change(load_audio(path), name)
    if wav.shape[0] == 0:
        raise ValueError(f"{path}: nothing left after a change")
    return wav
