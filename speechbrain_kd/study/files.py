"""What is kept of a study, as JSON."""

import json
from pathlib import Path
from typing import Any

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.evaluation.evaluation import plain


def write_json(path: Path, facts: dict[str, Any]) -> None:
    """Writes facts, whole or not at all."""
    with atomic_path(path) as part:
        text = json.dumps(plain(facts), indent=2)
        part.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Reads facts; none where there is no such file."""
    if not path.is_file():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))
