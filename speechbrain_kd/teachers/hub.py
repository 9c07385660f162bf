"""Where a teacher's files come from: a folder, or a repository of the hub.

All files of a teacher are of one commit: what the first file was served from
is what the others are asked of, also where `revision` names a branch that
moves meanwhile. What fails for a moment (a busy hub, a lost connection, a
download that breaks off) is tried again a few times.
"""

import logging
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache
from speechbrain.utils.fetching import (
    FetchConfig,
    FetchFrom,
    FetchSource,
    fetch,
)

from speechbrain_kd.teachers.hub_errors import NO_FILE, HubFailure, explain
from speechbrain_kd.teachers.loading import sha256

logger = logging.getLogger(__name__)

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Seconds before each further try; the client of the hub has its own as well.
_WAITS_S = (1.0, 4.0)
_LONGEST_WAIT_S = 60.0


class MissingFileError(FileNotFoundError):
    """The source is there, and has no such file."""


@dataclass
class Source:
    """A folder or a repository of the hub, whose files are fetched by name.

    Arguments
    ---------
    place : str
        The folder, absolute, or the id on the hub.
    config : FetchConfig
        Revision and cache of downloads.
    kind : FetchFrom
        Whether it is a folder or a repository.
    revision_found : str | None
        The commit that the files are of, once one has been fetched; None for
        a folder.
    """

    place: str
    config: FetchConfig = field(default_factory=FetchConfig)
    kind: FetchFrom = FetchFrom.LOCAL
    revision_found: str | None = None

    def fetch(self, file: str) -> Path:
        """Gets one file, or says that it is missing.

        Arguments
        ---------
        file : str
            Its name there.

        Returns
        -------
        Path
            The file on this machine.

        Raises
        ------
        ValueError
            If the name leaves the source, or the hub served another commit
            than the one that was asked for.
        FileNotFoundError
            Naming the file, the source, its revision and what is wrong; a
            ``MissingFileError`` where the source has no such file.
        """
        _refuse_outside(file, self.place)
        if self.kind is FetchFrom.LOCAL:
            path = Path(self.place) / file
            if not path.is_file():
                raise MissingFileError(
                    f"The teacher folder {self.place} has no {file}: a "
                    "SpeechBrain speaker model has a yaml and each file that "
                    "its pretrainer names"
                )
            return path
        path = self._download(file)
        self._settle(path, file)
        return path

    def _download(self, file: str) -> Path:
        """Asks the hub, and again if what is wrong may pass."""
        if self._known_missing(file):
            raise self._refusal(file, HubFailure(NO_FILE, missing=True))
        waits_s = iter(_WAITS_S)
        while True:
            try:
                return self._ask(file)
            except Exception as error:  # of which kind depends on the client
                failure = explain(error)
                wait_s = next(waits_s, None)
                if wait_s is None or not failure.passing:
                    raise self._refusal(file, failure) from error
            wait_s = min(max(wait_s, failure.wait_s), _LONGEST_WAIT_S)
            logger.warning(
                "%s of %s: %s; trying again in %g s",
                *(file, self.place, failure.reason, wait_s),
            )
            time.sleep(wait_s)

    def _ask(self, file: str) -> Path:
        """Gets a file through SpeechBrain and the cache of the hub."""
        source = FetchSource(FetchFrom.HUGGING_FACE, self.place)
        path = Path(fetch(file, source, fetch_config=self.config))
        if _is_damaged(path):
            for one in (path.resolve(), path.parent / path.readlink(), path):
                one.unlink(missing_ok=True)
            raise OSError(
                "what arrived has not the SHA-256 that the hub announced"
            )
        return path

    def _known_missing(self, file: str) -> bool:
        """Whether the cache knows that the commit has no such file."""
        if self.revision_found is None:
            return False
        found = try_to_load_from_cache(
            self.place,
            file,
            cache_dir=self.config.huggingface_cache_dir,
            revision=self.revision_found,
        )
        return found is _CACHED_NO_EXIST

    def _settle(self, path: Path, file: str) -> None:
        """Keeps to the commit that the first file was served from."""
        if self.revision_found is not None:
            return
        served, asked = _commit_of(path, file), self.config.revision
        if asked and served and _COMMIT.fullmatch(asked) and asked != served:
            raise ValueError(
                f"The hub served {file} of {self.place} from the commit "
                f"{served} where {asked} was asked for"
            )
        self.revision_found = served
        self.config = replace(self.config, revision=served or asked)
        if asked != served:
            logger.info(
                "%s (revision %s) is of the commit %s; to load the same "
                "teacher for ever, set `revision` to it",
                *(self.place, asked or "main", served),
            )

    def _refusal(self, file: str, failure: HubFailure) -> FileNotFoundError:
        """The one error that a hub's failure ends in."""
        kind = MissingFileError if failure.missing else FileNotFoundError
        return kind(
            f"{file} of the teacher {self.place} (revision "
            f"{self.config.revision or 'main'}) is not to be had: there is no "
            f"such folder here, and of the hub: {failure.reason}. Check "
            "`source`, `revision` and the network"
        )


def locate(
    source: str, revision: str | None = None, savedir: str | None = None
) -> Source:
    """Tells a folder from a hub id, and refuses what can be neither.

    Arguments
    ---------
    source : str
        A folder, or a hub id.
    revision : str | None
        Branch, tag or commit on the hub.
    savedir : str | None
        Where downloads are kept; by default the cache of Hugging Face.

    Returns
    -------
    Source
        To fetch files from.

    Raises
    ------
    FileNotFoundError
        If it is neither.

    Example
    -------
    >>> locate("./no/such/folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: There is no teacher folder ./no/such/folder ...
    """
    if Path(source).is_dir():
        if revision is not None:
            logger.warning("%s is a folder: its revision is unused", source)
        return Source(Path(source).absolute().as_posix())
    if not _HUB_ID.fullmatch(source) or source[0] in "./":
        raise FileNotFoundError(
            f"There is no teacher folder {source} (nor is that a hub id such "
            "as speechbrain/spkrec-ecapa-voxceleb): correct `source`"
        )
    # token None: the user's own, if any, as huggingface_hub has it.
    config = FetchConfig(
        token=None, revision=revision, huggingface_cache_dir=savedir
    )
    return Source(source, config, FetchFrom.HUGGING_FACE)


def _refuse_outside(file: str, place: str) -> None:
    """Raises where a file's name is no plain path below its source."""
    path = PurePosixPath(file)
    if not file or path.is_absolute() or ".." in path.parts or "\\" in file:
        raise ValueError(
            f"{file!r} is no name of a file in {place}: expected a path below "
            "it, such as embedding_model.ckpt"
        )


def _commit_of(path: Path, file: str) -> str | None:
    """Reads the commit off a path of the cache, ``snapshots/COMMIT/FILE``."""
    folder = path.parents[len(PurePosixPath(file).parts) - 1]
    return folder.name if _COMMIT.fullmatch(folder.name) else None


def _is_damaged(path: Path) -> bool:
    """Whether a file is not what the hub announced.

    The cache keeps a large file under its SHA-256, with a link to it from
    each commit.
    """
    name = path.readlink().name if path.is_symlink() else ""
    return bool(_SHA256.fullmatch(name)) and sha256(path) != name
