"""What every student costs on this machine, in one table."""

from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.bench.common import Options, table
from speechbrain_kd.evaluation.cost import (
    count_macs,
    count_parameters,
    model_bytes,
    time_per_second,
)
from speechbrain_kd.students.encoder import SpeakerEncoder

_HEADER = ("student", "parameters", "GMAC per 2 s", "bytes", "ms per s", "×")


def measure(options: Options) -> dict:
    """Measures the fragments of a folder.

    Arguments
    ---------
    options : Options
        ``students`` is the folder.

    Returns
    -------
    dict
        ``students``: costs by name.
    """
    costs = {
        fragment.stem: measure_student(fragment)
        for fragment in fragments_of(options)
    }
    return {"students": costs}


def fragments_of(options: Options) -> list[Path]:
    """The yamls of the students, by name.

    Raises
    ------
    ValueError
        If there are none.
    """
    fragments = sorted(options.students.glob("*.yaml"))
    if not fragments:
        raise ValueError(f"no students in {options.students}/*.yaml")
    return fragments


def encoder_of(fragment: Path) -> SpeakerEncoder:
    """A student with weights of chance, behind SpeechBrain's features.

    Arguments
    ---------
    fragment : Path
        A yaml whose top level makes an encoder of 80 mel bins.

    Returns
    -------
    SpeakerEncoder
        In training, as it was made.
    """
    text = f"embedding_model: !include:{fragment.resolve()}"
    return SpeakerEncoder(
        Fbank(n_mels=80),
        InputNormalization(norm_type="sentence", std_norm=False),
        load_hyperpyyaml(text)["embedding_model"],
    )


def measure_student(fragment: Path) -> dict[str, float]:
    """Parameters, GMAC, bytes and time of one fragment.

    Arguments
    ---------
    fragment : Path
        A yaml whose top level makes an encoder of 80 mel bins.

    Returns
    -------
    dict[str, float]
        ``params``, ``gmac`` (features of 2 s to embedding), ``bytes`` (float
        32) and ``ms_per_second`` (waveform to embedding, one thread).
    """
    encoder = encoder_of(fragment).eval()
    model = encoder.embedding_model
    feats = encoder.features(torch.zeros(1, 32000))
    return {
        "params": count_parameters(model),
        "gmac": count_macs(model, feats) / 1e9,
        "bytes": model_bytes(model),
        "ms_per_second": time_per_second(encoder),
    }


def report(facts: dict) -> str:
    """The costs as Markdown; the last column is time against the fastest."""
    costs = facts["students"]
    fastest = min(cost["ms_per_second"] for cost in costs.values())
    rows = [
        (
            name,
            cost["params"],
            f"{cost['gmac']:.4f}",
            cost["bytes"],
            f"{cost['ms_per_second']:.2f}",
            f"{cost['ms_per_second'] / fastest:.1f}",
        )
        for name, cost in sorted(costs.items(), key=lambda c: c[1]["params"])
    ]
    return table(_HEADER, rows)
