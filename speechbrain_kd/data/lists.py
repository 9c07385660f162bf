"""Trial lists, as far as preparing the data needs them.

Preparation reads only which utterances a list names: labels and scores are
the evaluation's business.
"""

import hashlib
import logging
import shutil
import urllib.parse
import urllib.request
from pathlib import Path, PurePosixPath

from speechbrain.utils.data_utils import download_file

from speechbrain_kd.atomic import atomic_path
from speechbrain_kd.data.layout import AUDIO_EXTENSIONS

logger = logging.getLogger(__name__)

LIST_NAMES = ("veri_test.txt", "veri_test2.txt")
"""Looked for in ``meta/`` of a data folder where no list is given."""

_EXPECTED = "'<0 or 1> <speaker>/<recording>/<number>.wav <the same>'"


def find_trials(
    verification_file: str | Path | None,
    data_folders: list[Path],
    save_folder: Path,
) -> Path | None:
    """Finds the trial list, downloading it where it is a URL.

    Arguments
    ---------
    verification_file : str | Path | None
        A path, a URL (``http``, ``https``, ``file``), or None: then
        ``meta/veri_test.txt`` of a data folder is taken, if there is one.
    data_folders : list[Path]
        The data folders.
    save_folder : Path
        Where a downloaded list is put.

    Returns
    -------
    Path | None
        The list on this machine. FileNotFoundError where a path does not
        exist, ValueError where a URL cannot be had.
    """
    if verification_file is None:
        return _list_of_folders(data_folders)
    if "://" in str(verification_file):
        return _download(str(verification_file), save_folder)
    path = Path(verification_file).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"verification_file: no trial list {path}; give a path or a URL, "
            "or null for the list in the data folder's meta folder"
        )
    return path.absolute()


def _list_of_folders(data_folders: list[Path]) -> Path | None:
    paths = [folder / "meta" / n for folder in data_folders for n in LIST_NAMES]
    found = [path for path in paths if path.is_file()]
    if not found:
        logger.info("No trial list given and none found: nothing to test on")
        return None
    logger.info("No trial list given: taking %s", found[0])
    if found[1:]:
        logger.info("Not taken: %s", ", ".join(map(str, found[1:])))
    return found[0]


def _download(url: str, save_folder: Path) -> Path:
    parts = urllib.parse.urlsplit(url)
    name = PurePosixPath(parts.path).name
    # Lists of one name from two places must not be taken for each other.
    tag = hashlib.sha256(url.encode()).hexdigest()[:8]
    path = save_folder.absolute() / f"{tag}-{name or 'trials.txt'}"
    if path.is_file():
        return path
    if parts.scheme not in ("http", "https", "file"):
        raise ValueError(
            f"verification_file: expected http, https or file, got {url}"
        )
    try:
        with atomic_path(path) as part:
            if parts.scheme == "file":
                shutil.copyfile(urllib.request.url2pathname(parts.path), part)
            else:
                download_file(url, str(part))
    except OSError as error:
        raise ValueError(
            f"verification_file: cannot get {url} ({error}); download it by "
            "hand and give its path"
        ) from error
    return path


def trial_utterances(path: str | Path) -> list[str]:
    """Names of the utterances of a trial list.

    Arguments
    ---------
    path : str | Path
        Lines ``label enrol test``, label 0 or 1; blank lines are skipped.

    Returns
    -------
    list[str]
        Each name once, as it is written, in order of appearance. ValueError
        names the file and the number of a bad line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "veri_test.txt"
    >>> _ = path.write_text("1 a/x/1.wav a/y/1.wav\\n0 a/x/1.wav b/x/1.wav\\n")
    >>> trial_utterances(path)
    ['a/x/1.wav', 'a/y/1.wav', 'b/x/1.wav']
    """
    names: dict[str, None] = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            words = line.split()
            if not words:
                continue
            sound = len(words) == 3 and words[0] in ("0", "1")
            if not sound or not all(word.count("/") >= 2 for word in words[1:]):
                raise ValueError(
                    f"{path}, line {number}: expected {_EXPECTED}, got "
                    f"{line.strip()[:80]!r}"
                )
            names.update(dict.fromkeys(words[1:]))
    if not names:
        raise ValueError(f"{path}: expected lines {_EXPECTED}, got none")
    return list(names)


def utterance_key(name: str) -> str:
    """The utterance that a name in a trial list means.

    Arguments
    ---------
    name : str
        ``<speaker>/<recording>/<number>``, with or without the extension of
        an audio file and folders before.

    Returns
    -------
    str
        ``<speaker>/<recording>/<number>``.

    Example
    -------
    >>> utterance_key("id10270/x6uYqmx31kE/00001.wav")
    'id10270/x6uYqmx31kE/00001'
    >>> utterance_key("wav/id10270/x6uYqmx31kE/00001.m4a")
    'id10270/x6uYqmx31kE/00001'
    """
    path = PurePosixPath(name)
    if path.suffix.lower() in AUDIO_EXTENSIONS:
        path = path.with_suffix("")
    return "/".join(path.parts[-3:])
