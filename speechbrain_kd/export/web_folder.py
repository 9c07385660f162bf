"""``--to web``: a page that compares two voices, wholly on the device."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from speechbrain_kd.atomic import atomic_path, is_foreign
from speechbrain_kd.export.web_runtime import FILES, VERSION, unpack_runtime
from speechbrain_kd.runtime import SpeakerVerifier
from speechbrain_kd.runtime.waveform import SILENCE

logger = logging.getLogger(__name__)

#: What the facts beside a page are known by.
FORMAT = "speechbrain_kd.web/1"
#: A browser decodes a recording as a whole: ten minutes of two channels at
#: 48 kHz are 230 MB.
LONGEST_CLIP_S = 600.0
_ASSETS = Path(__file__).parent / "web"
_FACTS = "model.json"


def export_web(
    folder: str | Path,
    encoder_onnx: str | Path,
    npm: str | Path | None = None,
) -> Path:
    """Writes a folder that any web server may hand out as it is.

    ``index.html`` with its scripts and style, ``model.onnx``, its facts in
    ``model.json`` and onnxruntime-web in ``ort/``. The page asks no other
    place for anything.

    Arguments
    ---------
    folder : str | Path
        The folder to write; a page that stands there is replaced.
    encoder_onnx : str | Path
        What ``speechbrain-kd export RUN --to onnx`` (or ``onnx-int8``) wrote.
    npm : str | Path | None
        The archive of onnxruntime-web; by default it is found or fetched.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    FileNotFoundError
        If there is no model, or no onnxruntime-web can be had.
    ValueError
        If it is no model of this runtime, the archive is not the pinned one,
        or something else stands at ``folder``.
    """
    folder = Path(folder)
    _refuse_others(folder)
    facts = _facts(Path(encoder_onnx))
    with atomic_path(folder) as part:
        unpack_runtime(part / "ort", npm)
        for asset in sorted(_ASSETS.iterdir()):
            if asset.suffix in (".html", ".css", ".js"):
                shutil.copyfile(asset, part / asset.name)
        shutil.copyfile(encoder_onnx, part / "model.onnx")
        facts["runtime"] = f"onnxruntime-web {VERSION}"
        facts["runtime_bytes"] = sum(
            (part / "ort" / name).stat().st_size for name in FILES
        )
        (part / _FACTS).write_text(
            json.dumps(facts, indent=1, allow_nan=False) + "\n",
            encoding="utf-8",
        )
    logger.info(
        "wrote %s; to look at it: python -m http.server --bind 127.0.0.1 "
        "--directory %s",
        *(folder, folder),
    )
    return folder


def _refuse_others(folder: Path) -> None:
    """What is no page of ours is not replaced."""
    if is_foreign(folder, _is_page):
        raise ValueError(
            f"{folder}: expected a new folder, an empty one or a page that "
            "this command wrote, to replace; there is something else"
        )


def _is_page(folder: Path) -> bool:
    """Whether ``export_web`` wrote the folder."""
    try:
        content = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def _facts(model: Path) -> dict[str, Any]:
    """What the page has to know; the runtime in Python is asked."""
    verifier = SpeakerVerifier(model)
    known = verifier.facts
    return {
        "format": FORMAT,
        "name": known.name,
        "sha256": known.digest,
        "bytes": model.stat().st_size,
        "weights": known.metadata.get("weights"),
        "arithmetic": known.metadata.get("arithmetic"),
        "licence": known.metadata.get("licence"),
        "sample_rate": known.sample_rate,
        "dimension": known.dimension,
        "shortest_s": known.shortest_s,
        "window_s": verifier.window_s,
        "longest_clip_s": LONGEST_CLIP_S,
        "silence": SILENCE,
        "threshold": known.threshold,
        "slope": known.slope,
        "offset": known.offset,
    }
