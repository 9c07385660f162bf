"""What an error of a hub means: what to say of it, and whether to try again.

Clients of the hub raise errors of ``requests``, ``httpx`` or their own, by
version, wrapped in one another: an error is read by all of its causes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub.utils import (
    EntryNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)

NO_FILE = "it has no such file"
_NOT_FOUND = 404
_BUSY = {408, 429, 500, 502, 503, 504}
_CLOSED = {401, 403}


@dataclass(frozen=True)
class HubFailure:
    """What came of asking a hub for a file.

    Arguments
    ---------
    reason : str
        For a message.
    passing : bool
        Whether it may go away by itself.
    wait_s : float
        How many seconds the hub asks to be left alone, 0 if it does not say.
    missing : bool
        Whether the repository is there and lacks the file.
    """

    reason: str
    passing: bool = False
    wait_s: float = 0.0
    missing: bool = False


def explain(error: BaseException) -> HubFailure:
    """Reads an error of a hub's client.

    Arguments
    ---------
    error : BaseException
        What ``huggingface_hub`` or SpeechBrain's ``fetch`` raised.

    Returns
    -------
    HubFailure
        What it means.

    Example
    -------
    >>> explain(ConnectionResetError("by peer")).passing
    True
    >>> explain(ValueError("no repo id")).passing
    False
    """
    causes = list(_causes(error))
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
        return HubFailure(
            "the offline mode is on (HF_HUB_OFFLINE) and the file is not in "
            "the cache: load the teacher once with a network"
        )
    for cause in causes:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            return _of_status(int(status), cause)
    last = causes[-1]
    said = (str(last) or "no message").splitlines()[0]
    passing = not isinstance(last, ValueError | TypeError | PermissionError)
    return HubFailure(f"{type(last).__name__}: {said}", passing)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Visits an error, what raised it, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _of_status(status: int, error: Any) -> HubFailure:
    """Reads the answer of a hub."""
    if isinstance(error, RevisionNotFoundError):
        return HubFailure("it has no such revision")
    if status in _CLOSED:
        return HubFailure(
            f"the hub answered {status}: there is no such repository, or it is "
            "private or gated. Check `source`, or log in (`hf auth login`) as "
            "one who may read it"
        )
    if status in _BUSY:
        wait_s = _asked_wait_s(error.response.headers)
        return HubFailure(f"the hub answered {status}", True, wait_s)
    if status == _NOT_FOUND and isinstance(error, EntryNotFoundError):
        return HubFailure(NO_FILE, missing=True)
    if status == _NOT_FOUND:
        return HubFailure("the hub has no such repository")
    return HubFailure(f"the hub answered {status}")


def _asked_wait_s(headers: Mapping[str, str]) -> float:
    """Reads ``Retry-After`` where it gives seconds."""
    asked = headers.get("Retry-After", "").strip()
    return float(asked) if asked.isdecimal() else 0.0
