"""Audio without labels: any folder of files, listed as a manifest."""

import csv
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tqdm import tqdm

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.audio import audio_info, load_audio
from speechbrain_kd.data.corpus import Corpus, read_state
from speechbrain_kd.data.layout import AUDIO_EXTENSIONS
from speechbrain_kd.data.manifest import COLUMNS
from speechbrain_kd.data.packed.index import open_index
from speechbrain_kd.data.scan import number_of_workers
from speechbrain_kd.data.unlabelled_guard import check_untested

logger = logging.getLogger(__name__)

MANIFEST = "unlabelled.csv"
"""Its name in the folder of the manifests."""

VOICES = "voices.csv"
"""In a data folder: its speakers are voices that a teacher told apart."""

_STATE = "unlabelled.json"
_NOBODY = "-"  # stands in the column spk_id


def prepare_unlabelled(
    folder: str | Path,
    corpus: Corpus,
    save_folder: str | Path,
    on_broken: str = "error",
    allow_contaminated: bool = False,
    progressbar: bool = True,
    decode: bool = False,
) -> Path:
    """Writes the manifest of a folder of unlabelled audio.

    Arguments
    ---------
    folder : str | Path
        Audio files, flat or in folders of any depth; links are followed.
    corpus : Corpus
        Files and speakers of its trial list may not be in the folder: files
        are told by their bytes, speakers by the names of folders. The same
        recording in another format, or a speaker under another name, cannot
        be told.
    save_folder : str | Path
        Where the manifest goes.
    on_broken : str
        What to do about empty or unreadable files: ``error`` or ``drop``.
    allow_contaminated : bool
        Turns the refusal of the trial list's audio into a warning.
    progressbar : bool
        Whether to show progress.
    decode : bool
        Whether all of each file is read, and not its header alone: damage
        further on then counts as broken too.

    Returns
    -------
    Path
        The manifest. Nothing is read again where no file has changed.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no audio, a file that cannot be read, or audio of the
        trial list.
    """
    folder, save_folder = Path(folder).expanduser(), Path(save_folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"unlabelled_folder: no folder {folder}")
    if open_index(folder) is not None:
        raise ValueError(
            f"unlabelled_folder: {folder} is a packed corpus; expected a "
            "folder of audio files, such as it was packed from"
        )
    files = sorted(audio_files(folder))
    if not files:
        raise ValueError(
            f"unlabelled_folder: no audio ({', '.join(AUDIO_EXTENSIONS)}) in "
            f"{folder} nor below it"
        )
    check_untested(folder, files, corpus, save_folder, allow_contaminated)
    path, state = save_folder / MANIFEST, save_folder / _STATE
    settings = on_broken + "/decoded" * decode
    key = _state_key(folder, files, settings)
    if state.is_file() and path.is_file():
        if json.loads(state.read_text(encoding="utf-8"))["key"] == key:
            return path
    state.unlink(missing_ok=True)
    _write(path, folder, files, on_broken, progressbar, decode)
    with atomic_path(state) as part:
        part.write_text(json.dumps({"key": key, "folder": str(folder)}))
    return path


def forget_unlabelled(save_folder: str | Path) -> None:
    """Takes away what an earlier run has listed.

    Arguments
    ---------
    save_folder : str | Path
        Where the manifests are.
    """
    for name in (_STATE, MANIFEST):
        (Path(save_folder) / name).unlink(missing_ok=True)


def unlabelled_names(save_folder: str | Path) -> list[str]:
    """What audio of a run is of people whom nobody knows.

    Arguments
    ---------
    save_folder : str | Path
        Where the manifests are.

    Returns
    -------
    list[str]
        The unlabelled audio, and data folders of voices that a teacher told
        apart, by name.
    """
    save_folder = Path(save_folder)
    corpus = read_state(save_folder) or {"data_folders": []}
    names = [
        f"voices of {Path(folder).name}"
        for folder in corpus["data_folders"]
        if (Path(folder) / VOICES).is_file()
    ]
    state = save_folder / _STATE
    if state.is_file():
        folder = json.loads(state.read_text(encoding="utf-8"))["folder"]
        names.append(f"unlabelled audio of {Path(folder).name}")
    return names


def audio_files(folder: Path) -> Iterator[str]:
    """Audio files below a folder, by their paths from it.

    Arguments
    ---------
    folder : Path
        Links in it are followed, each folder once.

    Yields
    ------
    str
        With ``/`` between the parts; hidden files are passed over.
    """
    seen = set()
    for where, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(x for x in folders if not x.startswith("."))
        for name in names:
            right = name.lower().endswith(AUDIO_EXTENSIONS)
            if right and not name.startswith("."):
                yield Path(where, name).relative_to(folder).as_posix()


def _state_key(folder: Path, files: list[str], settings: str) -> str:
    """A digest of all that the manifest depends on."""
    digest = hashlib.blake2b(f"{folder.absolute()}/{settings}".encode())
    for name in files:
        stat = os.stat(folder / name) if (folder / name).exists() else None
        size = (stat.st_size, stat.st_mtime_ns) if stat else ()
        digest.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _write(
    path: Path,
    folder: Path,
    files: list[str],
    on_broken: str,
    bar: bool,
    decode: bool,
) -> None:
    """Reads the files' lengths and writes the manifest."""
    broken, seconds = [], 0.0
    root = str(folder.absolute())
    with (
        atomic_path(path) as part,
        open(part, "w", newline="", encoding="utf-8") as file,
        ThreadPoolExecutor(number_of_workers(None)) as pool,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        paths = (f"{root}/{name}" for name in files)
        found = pool.map(partial(_length, decode=decode), paths)
        shown = tqdm(files, desc="Unlabelled", unit="file", disable=not bar)
        for name, length in zip(shown, found, strict=True):
            if isinstance(length, str):
                broken.append(length)
                continue
            row = (length[1], f"{root}/{name}", 0, length[0], _NOBODY)
            writer.writerow((f"unlabelled/{name}", *row))
            seconds += length[1]
        _report_broken(broken, len(files), on_broken)
    logger.info(
        "unlabelled: %d utterances, %.2f h",
        len(files) - len(broken),
        seconds / 3600,
    )


def _length(path: str, decode: bool) -> tuple[int, float] | str:
    """Samples at 16 kHz and seconds of a file, or what is wrong with it."""
    try:
        info = audio_info(path)
        if decode:
            load_audio(path)
    except (ValueError, OSError) as error:
        return str(error)
    return info.frames_at(), info.duration_s


def _report_broken(broken: list[str], files: int, on_broken: str) -> None:
    """Refuses files that cannot be read, or says that they are left out."""
    if broken and (on_broken != "drop" or len(broken) == files):
        raise ValueError(
            f"unlabelled_folder: {len(broken)} of {files} files cannot be "
            f"read; --on_broken=drop leaves them out. The first: {broken[0]}"
        )
    if broken:
        logger.warning(
            "unlabelled: %d files left out, such as %s", len(broken), broken[0]
        )
