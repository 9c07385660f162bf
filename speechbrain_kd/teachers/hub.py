"""Where a teacher's files come from: a folder, or a repository of the hub."""

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

from speechbrain.utils.fetching import FetchConfig, fetch

logger = logging.getLogger(__name__)

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@dataclass(frozen=True)
class Source:
    """A folder or a repository of the hub, whose files are fetched by name.

    Arguments
    ---------
    place : str
        The folder, absolute, or the id on the hub.
    config : FetchConfig
        Revision and cache of downloads.
    """

    place: str
    config: FetchConfig = field(default_factory=FetchConfig)

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
        FileNotFoundError
            Naming the file, the source and its revision.
        """
        place, revision = self.place, self.config.revision
        try:
            path = Path(fetch(file, place, fetch_config=self.config))
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f"{file} of the teacher {place} (revision {revision}) is "
                "not to be had: there is no such folder here, and the hub gave "
                f"{type(error).__name__}: {error}. Check `source`, `revision` "
                "and the network"
            ) from error
        if not path.is_file():
            raise FileNotFoundError(
                f"The teacher folder {place} has no {file}: a SpeechBrain "
                "speaker model has a yaml and each file that its pretrainer "
                "names"
            )
        return path


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
    config = FetchConfig(revision=revision, huggingface_cache_dir=savedir)
    return Source(source, config)
