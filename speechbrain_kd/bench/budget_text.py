"""What section ``budgets`` measured, into the students' yamls and the docs.

python -m speechbrain_kd.bench.budget_text results/bench/budgets.json
"""

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.bench.budgets import report

_MARK = "# Budget: "
_NEXT = "#   "
_TABLE = re.compile(r"(<!-- budgets -->\n).*(<!-- /budgets -->)", re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes both; what is not measured stays as it is.

    Arguments
    ---------
    arguments : Sequence[str] | None
        By default the command line's.
    """
    parser = argparse.ArgumentParser(prog="speechbrain_kd.bench.budget_text")
    parser.add_argument("facts", type=Path, help="what the section wrote")
    parser.add_argument(
        "--students", type=Path, default=Path("hparams/students")
    )
    parser.add_argument("--docs", type=Path, default=Path("docs/budgets.md"))
    options = parser.parse_args(arguments)
    facts = json.loads(options.facts.read_text(encoding="utf-8"))
    for name, cost in facts["students"].items():
        path = options.students / f"{name}.yaml"
        _rewrite(path, stated(path.read_text(encoding="utf-8"), cost))
    text = options.docs.read_text(encoding="utf-8")
    found, count = _TABLE.subn(
        lambda match: f"{match[1]}{report(facts)}{match[2]}", text
    )
    if count != 1:
        sys.exit(
            f"{options.docs}: expected one <!-- budgets -->, found {count}"
        )
    _rewrite(options.docs, found)


def stated(text: str, cost: Mapping[str, float]) -> str:
    """A fragment whose comment states its figures.

    Arguments
    ---------
    text : str
        A student's yaml, with a first line that says what it is.
    cost : Mapping[str, float]
        Of ``measure_student``.

    Returns
    -------
    str
        The same, with figures in the place of earlier ones.

    Example
    -------
    >>> cost = {"params": 34714, "gmac_per_s": 0.00137, "int8_bytes": 117232}
    >>> cost |= {"torch_ms": 2.26, "onnx_ms": 0.68, "int8_ms": 0.7}
    >>> made = stated("# A student.\\n!new:a.B\\n", cost)
    >>> print(made, end="")
    # A student.
    # Budget: 34,714 parameters, 0.0014 GMAC per second of speech, 117 kB in int8;
    #   on one thread 2.3 ms in PyTorch, 0.7 in onnxruntime, 0.7 in int8
    #   (docs/budgets.md).
    !new:a.B
    >>> stated(made, cost) == made
    True
    """
    told = (
        f"{cost['params']:,} parameters, {cost['gmac_per_s']:.4f} GMAC per "
        f"second of speech, {cost['int8_bytes'] / 1000:.0f} kB in int8; on one "
        f"thread {cost['torch_ms']:.1f} ms in PyTorch, {cost['onnx_ms']:.1f} "
        f"in onnxruntime, {cost['int8_ms']:.1f} in int8 (docs/budgets.md)."
    )
    lines = textwrap.wrap(
        told, 80, initial_indent=_MARK, subsequent_indent=_NEXT
    )
    first, *rest = text.splitlines()
    kept = [one for one in rest if not one.startswith((_MARK, _NEXT))]
    return "".join(f"{line}\n" for line in (first, *lines, *kept))


def _rewrite(path: Path, text: str) -> None:
    """Replaces a file, whole or not at all."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
