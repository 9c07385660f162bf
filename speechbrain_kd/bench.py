"""What every student costs on this machine, in one table.

python -m speechbrain_kd.bench --output results/bench
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluation.cost import (
    count_macs,
    count_parameters,
    model_bytes,
    time_per_second,
)
from speechbrain_kd.evaluation.report import describe_machine
from speechbrain_kd.students.encoder import SpeakerEncoder

_HEADER = ("student", "parameters", "GMAC per 2 s", "bytes", "ms per s", "×")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures the fragments of ``hparams/students``.

    Arguments
    ---------
    arguments : Sequence[str] | None
        ``--output FOLDER`` for ``students.json`` and ``students.md``;
        ``--students FOLDER`` with the fragments.
    """
    parser = argparse.ArgumentParser(prog="speechbrain-kd bench")
    parser.add_argument("--output", type=Path, default=Path("results/bench"))
    parser.add_argument(
        "--students", type=Path, default=Path("hparams/students")
    )
    options = parser.parse_args(arguments)
    costs = {
        fragment.stem: measure_student(fragment)
        for fragment in sorted(options.students.glob("*.yaml"))
    }
    if not costs:
        sys.exit(f"bench: error: no students in {options.students}/*.yaml")
    facts = {"machine": describe_machine(), "students": costs}
    for file, content in (
        ("students.json", json.dumps(facts, indent=2) + "\n"),
        ("students.md", table(costs)),
    ):
        with atomic_path(options.output / file) as part:
            part.write_text(content, encoding="utf-8")
    sys.stdout.write(table(costs) + f"\n{facts['machine']}\n")


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
    text = f"embedding_model: !include:{fragment.resolve()}"
    model = load_hyperpyyaml(text)["embedding_model"]
    encoder = SpeakerEncoder(
        Fbank(n_mels=80),
        InputNormalization(norm_type="sentence", std_norm=False),
        model,
    ).eval()
    feats = encoder.features(torch.zeros(1, 32000))
    return {
        "params": count_parameters(model),
        "gmac": count_macs(model, feats) / 1e9,
        "bytes": model_bytes(model),
        "ms_per_second": time_per_second(encoder),
    }


def table(costs: dict[str, dict[str, float]]) -> str:
    """The costs as Markdown; the last column is time against the fastest."""
    fastest = min(cost["ms_per_second"] for cost in costs.values())
    rows = [_HEADER, ("---",) + ("---:",) * (len(_HEADER) - 1)]
    for name, cost in sorted(costs.items(), key=lambda c: c[1]["params"]):
        rows.append(
            (
                name,
                f"{cost['params']:,}",
                f"{cost['gmac']:.4f}",
                f"{cost['bytes']:,}",
                f"{cost['ms_per_second']:.2f}",
                f"{cost['ms_per_second'] / fastest:.1f}",
            )
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    main()
