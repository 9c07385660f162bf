"""Which files a foreign model may have: its own, under plain names."""

import re
from pathlib import Path

_NAME = re.compile(r"\w[\w.+-]*", re.ASCII)
# Hugging Face keeps files once, and links to them from each revision; the large
# ones once for all repositories, in blobs/ab/abcd….
_CACHE = re.compile(
    r"[/\\]models--[^/\\]+[/\\](blobs|snapshots)[/\\]"
    r"|[/\\]blobs[/\\]([0-9a-f]{2})[/\\]\2[0-9a-f]{62}$"
)


def check_name(name: str, who: str) -> None:
    """Refuses a file name that is more than a name.

    Arguments
    ---------
    name : str
        What a foreign file calls another.
    who : str
        Who does, for the message.

    Raises
    ------
    ValueError
        If the name has a separator, an escape, or leads to another folder.

    Example
    -------
    >>> check_name("embedding_model.ckpt", "some yaml")
    >>> check_name("%2e%2e", "some yaml")
    Traceback (most recent call last):
    ...
    ValueError: some yaml names the file '%2e%2e': expected a plain name ...
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{who} names the file {name!r}: expected a plain name of "
            "letters, digits, _, -, + and dots, with no folder"
        )


def check_link(path: str | Path) -> None:
    """Refuses a file that is a link to somewhere outside its folder.

    Links into the cache of Hugging Face are how that cache, and the
    ``savedir`` of SpeechBrain, are laid out, and pass.

    Arguments
    ---------
    path : str | Path
        The file.

    Raises
    ------
    ValueError
        Naming the file and where it leads.
    """
    folder, target = Path(path).parent.resolve(), Path(path).resolve()
    if target.is_relative_to(folder) or _CACHE.search(str(target)):
        return
    raise ValueError(
        f"{path} is a link to {target}, outside its folder: refused. Put the "
        "file itself there"
    )
