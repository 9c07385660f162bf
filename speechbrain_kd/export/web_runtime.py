"""onnxruntime-web, which runs a model in a browser, as npm has it.

    python -m speechbrain_kd.export.web_runtime

fetches the pinned version into the user's cache and prints where it lies.
"""

import base64
import hashlib
import logging
import os
import sys
import tarfile
import urllib.error
import urllib.request
from importlib import resources
from pathlib import Path

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.errors import EXPECTED

logger = logging.getLogger(__name__)

VERSION = "1.30.0"
#: What npm says of the archive: the SHA-512 of its bytes.
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02V"
    "b7QmRMDs1SigqR4CXAfKYQ=="
)
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
#: The processor alone (no GPU): the interface, the glue, the runtime.
FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
#: Names the archive, for machines without a network.
ARCHIVE_VARIABLE = "ONNXRUNTIME_WEB"
_REGISTRY = "https://registry.npmjs.org"
_LICENCE = Path(__file__).parent / "web" / "onnxruntime-web.LICENSE.txt"
_TIMEOUT_S = 60


def unpack_runtime(folder: Path, npm: str | Path | None = None) -> None:
    """Writes what a page needs of onnxruntime-web, and its licence.

    Arguments
    ---------
    folder : Path
        Where to; it is made.
    npm : str | Path | None
        The archive that npm has; by default that of ``find_archive``.

    Raises
    ------
    FileNotFoundError
        If there is no archive and none can be fetched.
    ValueError
        If it is another than the pinned one.
    """
    content = find_archive(npm)
    folder.mkdir(parents=True)
    with tarfile.open(content, "r:gz") as archive:
        for name in FILES:
            # By name alone: nothing in an archive says where it goes.
            member = archive.extractfile(f"package/dist/{name}")
            (folder / name).write_bytes(member.read())
    (folder / "LICENSE.txt").write_bytes(_LICENCE.read_bytes())
    # The archive has none; the wheel's are of the same sources.
    notices = resources.files("onnxruntime") / "ThirdPartyNotices.txt"
    if notices.is_file():
        (folder / notices.name).write_bytes(notices.read_bytes())


def find_archive(npm: str | Path | None = None) -> Path:
    """Finds the archive, and fetches it where it is nowhere.

    Arguments
    ---------
    npm : str | Path | None
        Where it lies; by default ``$ONNXRUNTIME_WEB``, else the user's cache,
        into which it comes from the registry (``$npm_config_registry``).

    Returns
    -------
    Path
        The archive, of the SHA-512 that is pinned.

    Raises
    ------
    FileNotFoundError
        If there is none and it cannot be fetched.
    ValueError
        If it is another.

    Example
    -------
    >>> find_archive("no_such.tgz")
    Traceback (most recent call last):
    ...
    FileNotFoundError: there is no no_such.tgz: ...
    """
    given = npm or os.environ.get(ARCHIVE_VARIABLE)
    path = Path(given) if given else cached_archive()
    if path.is_file():
        _check(path, str(path))
    elif given:
        raise FileNotFoundError(
            f"there is no {path}: expected {ARCHIVE}, as `npm pack "
            f"onnxruntime-web@{VERSION}` writes it"
        )
    else:
        _fetch(path)
    return path


def cached_archive() -> Path:
    """Where the archive lies once it was fetched.

    Returns
    -------
    Path
        Below ``$XDG_CACHE_HOME``, by default ``~/.cache``.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "speechbrain_kd" / ARCHIVE


def _fetch(path: Path) -> None:
    """Fetches the archive; nothing is left of another."""
    registry = os.environ.get("npm_config_registry") or _REGISTRY
    address = f"{registry.rstrip('/')}/onnxruntime-web/-/{ARCHIVE}"
    logger.info("fetching %s (33 MB)", address)
    try:
        with (
            atomic_path(path) as part,
            urllib.request.urlopen(address, timeout=_TIMEOUT_S) as source,
        ):
            part.write_bytes(source.read())
            _check(part, address)
    except OSError as error:  # also what urllib and a lost connection raise
        raise FileNotFoundError(
            f"{ARCHIVE} is not in the cache, and {address} does not give it "
            f"({error}). Where there is a network, run `npm pack "
            f"onnxruntime-web@{VERSION}`; then name the file with --npm or "
            f"${ARCHIVE_VARIABLE}"
        ) from error


def _check(path: Path, named: str) -> None:
    """Refuses another file."""
    digest = hashlib.sha512(path.read_bytes()).digest()
    found = f"sha512-{base64.b64encode(digest).decode()}"
    if found != INTEGRITY:
        raise ValueError(
            f"{named} is not the {ARCHIVE} that is pinned: expected {INTEGRITY}"
            f", came {found}"
        )


def main() -> None:
    """Finds or fetches the archive, and says where it lies."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        path = find_archive()
    except EXPECTED as error:
        sys.exit(f"web_runtime: error: {error}")
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
