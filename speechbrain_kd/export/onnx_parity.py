"""Does an ONNX file give the embeddings of the model that it was made of?"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch

from speechbrain_kd.export.onnx_facts import LONGEST_S, SHORTEST_S
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.teachers.onnx_model import session

logger = logging.getLogger(__name__)

#: Of an embedding of the file with PyTorch's.
LEAST_COSINE = 0.99999
# Seconds and batch of the noise; odd numbers of samples among them.
_SHAPES = (
    *((SHORTEST_S, 1), (SHORTEST_S, 8), (1.0, 1), (2.3719, 8)),
    *((9.99995, 2), (LONGEST_S, 1)),
)
_TOGETHER = 8


@torch.no_grad()
def check_onnx(
    path: str | Path,
    encoder: SpeakerEncoder,
    sample_rate: int = 16000,
    waveforms: Sequence[torch.Tensor] = (),
    least: float = LEAST_COSINE,
    of_noise: float | None = None,
) -> float:
    """Compares a file with PyTorch, on the CPU in fp32.

    Utterances of 0.3 to 60 s, alone and in batches whose members differ in
    loudness by 60 dB: noise that swells and falls silent, and what is given.

    Arguments
    ---------
    path : str | Path
        The ONNX file, waveform to unit-norm embedding.
    encoder : SpeakerEncoder
        SpeechBrain's modules, in evaluation and deterministic.
    sample_rate : int
        Of the waveforms, in Hz.
    waveforms : Sequence[torch.Tensor]
        Speech, each [samples]; compared alone and, cut to one length, in
        batches.
    least : float
        The least cosine allowed.
    of_noise : float | None
        The same for noise, where that differs.

    Returns
    -------
    float
        The least cosine, of speech where there is any.

    Raises
    ------
    ValueError
        If a cosine is below ``least``, or the file does not run.
    """
    path = Path(path)
    graph = session(path, 1, "CPUExecutionProvider")
    of_noise = least if of_noise is None else of_noise
    worst = _compare(graph, encoder, _noise(sample_rate), of_noise, path.name)
    told = f"{worst:.7f} on noise"
    if waveforms:
        wavs = _batches(waveforms)
        worst = _compare(graph, encoder, wavs, least, path.name)
        told += f", {worst:.7f} on speech"
    logger.info("%s: cosine with PyTorch at least %s", path.name, told)
    return worst


def _compare(
    graph: object,
    encoder: SpeakerEncoder,
    batches: Iterable[torch.Tensor],
    least: float,
    name: str,
) -> float:
    """The least cosine of some batches [batch, samples]."""
    worst = 1.0
    for wavs in batches:
        expected = torch.nn.functional.normalize(encoder(wavs), dim=1)
        try:
            came = graph.run(None, {"waveform": wavs.numpy()})[0]
        except Exception as error:  # onnxruntime's have no common base
            raise ValueError(
                f"{name} does not run on {list(wavs.shape)} samples: the "
                "encoder's graph keeps the lengths or the batch that it was "
                f"traced with ({str(error).splitlines()[0]})"
            ) from error
        cosine = _cosine(expected, torch.from_numpy(came), name)
        # Written so that a NaN fails.
        if not cosine >= least:
            raise ValueError(
                f"{name} gives other embeddings than PyTorch: a cosine of "
                f"{cosine:.6f}, expected at least {least}"
            )
        worst = min(worst, cosine)
    return worst


def _cosine(expected: torch.Tensor, came: torch.Tensor, name: str) -> float:
    """The least cosine of a batch."""
    if came.shape != expected.shape:
        raise ValueError(
            f"{name} gives embeddings {list(came.shape)} where PyTorch gives "
            f"{list(expected.shape)}"
        )
    return float((expected.double() * came.double()).sum(1).min())


def _noise(sample_rate: int) -> Iterator[torch.Tensor]:
    """Noise with pauses, the same every time, [batch, samples]."""
    generator = torch.Generator().manual_seed(1986)
    for seconds, batch in _SHAPES:
        samples = round(seconds * sample_rate)
        time_s = torch.arange(samples) / sample_rate
        swell = (2 * torch.pi * 1.7 * time_s).sin().clamp(min=0).square()
        noise = torch.randn(batch, samples, generator=generator)
        loudness = torch.logspace(-3, 0, batch).flip(0).unsqueeze(1)
        yield 0.1 * noise * swell * loudness


def _batches(waveforms: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Each waveform alone, then some together."""
    waveforms = [wav.detach().float().cpu().flatten() for wav in waveforms]
    for wav in waveforms:
        yield wav.unsqueeze(0)
    for first in range(0, len(waveforms), _TOGETHER):
        some = waveforms[first : first + _TOGETHER]
        shortest = min(map(len, some))
        yield torch.stack([wav[:shortest] for wav in some])
