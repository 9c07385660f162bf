"""One student: its files, their sizes, and the time that they take."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from speechbrain_kd.bench.runtime_alone import runtime_costs
from speechbrain_kd.bench.students import encoder_of
from speechbrain_kd.bench.turns import best_of_each
from speechbrain_kd.data.audio import SAMPLE_RATE
from speechbrain_kd.evaluation.cost import (
    count_macs,
    count_parameters,
    one_thread,
)
from speechbrain_kd.export.int8_file import export_int8
from speechbrain_kd.export.onnx_facts import OnnxFacts
from speechbrain_kd.export.onnx_file import export_onnx
from speechbrain_kd.students.encoder import SpeakerEncoder
from speechbrain_kd.teachers.card import COST_SECONDS
from speechbrain_kd.teachers.onnx_model import session
from speechbrain_kd.teachers.pooling import silence_pooling

#: Calls of what is timed; the fastest counts.
REPEATS = 60


def make_student(
    fragment: Path, utterances: list[torch.Tensor]
) -> SpeakerEncoder:
    """A student of a fragment, whose normalisations have seen speech.

    Arguments
    ---------
    fragment : Path
        A yaml whose top level makes an encoder of 80 mel bins.
    utterances : list[torch.Tensor]
        Each [samples].

    Returns
    -------
    SpeakerEncoder
        With weights of chance, the same every time.
    """
    torch.manual_seed(1986)
    encoder = encoder_of(fragment)
    shortest = min(map(len, utterances))
    wavs = torch.stack([wav[:shortest] for wav in utterances])
    encoder.embedding_model.train()
    with torch.no_grad():
        for some in wavs.split(4):
            encoder(some)
    silence_pooling(encoder)
    return encoder.eval()


def measure_student(
    fragment: Path, folder: Path, utterances: list[torch.Tensor]
) -> dict[str, float]:
    """All that is in the table, of one fragment.

    Arguments
    ---------
    fragment : Path
        A student's yaml.
    folder : Path
        For the exported files.
    utterances : list[torch.Tensor]
        Each [samples], to find the ranges of int8 on.

    Returns
    -------
    dict[str, float]
        ``params``; ``gmac_per_s``; ``float_bytes`` and ``int8_bytes`` of the
        files from waveform to embedding; ``torch_ms``, ``onnx_ms`` and
        ``int8_ms`` for a second of speech on one thread; and what
        ``runtime_costs`` finds.
    """
    with one_thread():
        encoder = make_student(fragment, utterances)
        facts = OnnxFacts(fragment.stem)
        whole = export_onnx(folder / f"{fragment.stem}.onnx", encoder, facts)
        small = export_int8(
            folder / f"{fragment.stem}.int8.onnx",
            encoder,
            facts,
            utterances,
            keep_float=(),
        )
        macs = count_macs(
            encoder.embedding_model, encoder.features(timed_speech())
        )
        times = _times(encoder, {"onnx": whole, "int8": small})
    return {
        "params": count_parameters(encoder.embedding_model),
        "gmac_per_s": macs / 1e9 / COST_SECONDS,
        "float_bytes": whole.stat().st_size,
        "int8_bytes": small.stat().st_size,
        **{f"{name}_ms": value for name, value in times.items()},
        **runtime_costs(whole),
    }


def _times(encoder: SpeakerEncoder, files: dict[str, Path]) -> dict[str, float]:
    """Milliseconds for a second of speech on one thread."""
    wavs = timed_speech()
    feed = {"waveform": wavs.numpy()}
    graphs = {
        name: session(path, 1, "CPUExecutionProvider")
        for name, path in files.items()
    }
    functions = {"torch": lambda: encoder(wavs)} | {
        name: lambda graph=graph: graph.run(None, feed)
        for name, graph in graphs.items()
    }
    return cpu_ms_per_second(functions)


def cpu_ms_per_second(
    functions: Mapping[str, Callable[[], object]], repeats: int = REPEATS
) -> dict[str, float]:
    """Milliseconds of one core for a second of speech, called in turn.

    It is the time that the core worked for this process: on a machine to
    itself, one thread takes no longer; what else runs does not count.

    Arguments
    ---------
    functions : Mapping[str, Callable[[], object]]
        By name, what embeds ``timed_speech`` on one thread.
    repeats : int
        Calls of each, of which the fastest counts, after one that does not.

    Returns
    -------
    dict[str, float]
        By name.

    Example
    -------
    >>> cpu_ms_per_second({"sum": lambda: sum(range(10**5))}, 3)["sum"] > 0
    True
    """
    with torch.no_grad():
        best = best_of_each(functions, repeats=repeats, clock=time.process_time)
    return {name: 1000 * best[name] / COST_SECONDS for name in best}


def timed_speech() -> torch.Tensor:
    """The noise that operations and times are measured on, [1, samples].

    Example
    -------
    >>> timed_speech().shape
    torch.Size([1, 32000])
    """
    generator = torch.Generator().manual_seed(0)
    samples = round(COST_SECONDS * SAMPLE_RATE)
    return 0.1 * torch.randn(1, samples, generator=generator)
