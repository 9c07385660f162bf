"""A folder to a hub, in one commit or not at all.

What was there is looked at first, and the commit names that state as its
parent: if another has written meanwhile, the hub refuses it. Large files
arrive before the commit, where nobody sees them without it.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    validate_repo_id,
)

from speechbrain_kd.teachers.hub_errors import explain

logger = logging.getLogger(__name__)

_BRANCH = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
_MAIN = "main"
# What a hub puts into an empty repository by itself.
_EMPTY = {".gitattributes"}


class PushError(ValueError):
    """The hub did not take it, and holds no part of it."""


def check_names(repo_id: str, revision: str | None = None) -> None:
    """Refuses what no hub would take, before anything is written.

    Arguments
    ---------
    repo_id : str
        ``user/model``.
    revision : str | None
        A branch.

    Raises
    ------
    ValueError
        Naming which, and what was expected.

    Example
    -------
    >>> check_names("ann/tiny")
    >>> check_names("tiny")
    Traceback (most recent call last):
    ...
    ValueError: 'tiny' is no name of a model on a hub: expected USER/MODEL ...
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        reason = str(error)
    else:
        reason = "" if repo_id.count("/") == 1 else "it has no user"
    if reason:
        raise ValueError(
            f"{repo_id!r} is no name of a model on a hub: expected USER/MODEL "
            f"of letters, digits, '-', '_' and '.': {reason}"
        )
    if revision is None:
        return
    wrong = revision.startswith("refs/") or ".." in revision
    if wrong or not _BRANCH.fullmatch(revision):
        raise ValueError(
            f"--revision {revision!r} is no name of a branch: expected "
            "letters, digits, '-', '_', '.' and '/', such as v1"
        )


def check_ready() -> None:
    """Refuses to begin where no push can end well.

    Raises
    ------
    PushError
        If the offline mode is on, or there is no token.
    """
    if constants.HF_HUB_OFFLINE:
        raise PushError(
            "the offline mode is on (HF_HUB_OFFLINE): a push needs the hub; "
            "--dry-run does not"
        )
    if get_token() is None:
        raise PushError(
            "there is no token of the hub: log in (`hf auth login`) or set "
            "HF_TOKEN to one that may write; --dry-run needs none"
        )


def upload(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    update: bool = False,
) -> str:
    """Uploads the files of a folder in one commit.

    The token is that of ``hf auth login`` or of ``HF_TOKEN``.

    Arguments
    ---------
    folder : str | Path
        What is uploaded, without folders in it.
    repo_id : str
        ``user/model``; made if it is not there.
    private : bool
        Whether only its owner may see it. A public repository is not made
        private by this, but refused.
    revision : str | None
        The branch to write to, made of ``main`` if it is not there.
    update : bool
        Whether files that are there may be written over.

    Returns
    -------
    str
        The commit.

    Raises
    ------
    PushError
        Saying what the hub did not like. It then holds nothing of this, but
        for the repository or branch, empty, if it was made here.
    """
    check_names(repo_id, revision)
    check_ready()
    with _one_error(repo_id):
        api, branch = HfApi(), revision or _MAIN
        _open(api, repo_id, private)
        parent = _parent(api, repo_id, branch, update)
        files = sorted(Path(folder).iterdir())
        commit = api.create_commit(
            repo_id,
            [CommitOperationAdd(file.name, file) for file in files],
            commit_message="Upload a speaker model with speechbrain_kd",
            revision=branch,
            parent_commit=parent,
        ).oid
        _check_arrived(api, repo_id, commit, files)
    logger.info("%s: committed %d files as %s", repo_id, len(files), commit)
    return commit


def _open(api: HfApi, repo_id: str, private: bool) -> None:
    """Makes the repository unless it is there, as visible as was asked."""
    info = _info(api, repo_id)
    if info is None:
        # None, not False: an organisation may have private by default.
        api.create_repo(repo_id, private=True if private else None)
    elif private and not info.private:
        raise PushError(
            f"{repo_id} is there and public: it was to be --private. Make it "
            "private on the hub, or choose another name"
        )


def _parent(api: HfApi, repo_id: str, branch: str, update: bool) -> str | None:
    """The commit to build on; the branch is made where it is missing."""
    info = _info(api, repo_id, branch)
    if info is None:
        api.create_branch(repo_id, branch=branch)
        made = _info(api, repo_id, branch)
        return None if made is None else made.sha
    there = sorted({one.rfilename for one in info.siblings or ()} - _EMPTY)
    if there and not update:
        raise PushError(
            f"{repo_id} is there already, and {branch} has {len(there)} files "
            f"({', '.join(there[:3])}): give --update to write over them, "
            "--revision for another branch, or another name"
        )
    return info.sha


def _info(
    api: HfApi, repo_id: str, branch: str | None = None
) -> ModelInfo | None:
    """What the hub has there, or None."""
    try:
        return api.model_info(repo_id, revision=branch)
    except GatedRepoError:
        raise
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return None


def _check_arrived(
    api: HfApi, repo_id: str, commit: str, files: list[Path]
) -> None:
    """Raises where a file is not in the commit, as by a .gitignore there."""
    info = _info(api, repo_id, commit)
    there = {one.rfilename for one in info.siblings or ()} if info else set()
    missing = [file.name for file in files if file.name not in there]
    if missing:
        raise PushError(
            f"{repo_id}: the commit {commit} lacks {', '.join(missing)}: is "
            "there a .gitignore in the repository that leaves them out?"
        )


@contextmanager
def _one_error(repo_id: str) -> Iterator[None]:
    """Turns what the hub's client raises into one error that says what."""
    try:
        yield
    except PushError:
        raise
    except Exception as error:  # of which kind depends on the client
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = _reason(error, status, repo_id.partition("/")[0])
        raise PushError(f"{repo_id} was not pushed: {reason}") from error


def _reason(error: Exception, status: int | None, user: str) -> str:
    """What an answer of the hub means for one who uploads."""
    said = " ".join(str(getattr(error, "server_message", None) or "").split())
    said = f" ({said})" if said else ""
    known = {
        401: "your token is not valid: log in again (`hf auth login`), or "
        "set HF_TOKEN to one that may write",
        403: f"your token may not write to {user}'s models: take one with the "
        "right to write, or a name of your own",
        409: "there is such a name, or another writes to it now: try again",
        412: "another has written to it meanwhile: look at it, then try again",
        413: "it is too large for the hub",
    }
    if status in known:
        return f"the hub answered {status}{said}: {known[status]}"
    if status == 400 or (status is None and isinstance(error, ValueError)):
        told = said or f" ({' '.join(str(error).split())})"
        return f"the hub refused the name, the card or a file{told}"
    return (
        f"{explain(error).reason}{said}. Nothing of it is published; try again"
    )
