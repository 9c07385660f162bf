"""What tells one teacher from another, wherever it lies.

Stored embeddings are good for one teacher only. It is known by its class, by
its plain settings and by the digests of its files (for SpeechBrain's layout
the yaml, which holds every hyperparameter, and each checkpoint), but not by
the folder: a teacher that is moved keeps its store. One without files is known
by its modules and all their tensors.
"""

import hashlib
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch

_PLAIN = (bool, int, float, str, list, tuple, dict, type(None))
# Attributes that say where a teacher is from, or that follow from its files.
_APART = {
    "cosine_logits",
    "digests",
    "embedding_dim",
    "labels",
    "recipe",
    "revision",
    "source",
    "trained_on",
    "training",
}


def fingerprint(teacher: torch.nn.Module, digests: Mapping[str, str]) -> str:
    """Identifies a teacher.

    Arguments
    ---------
    teacher : torch.nn.Module
        The teacher.
    digests : Mapping[str, str]
        SHA-256 of its files; empty where it has none.

    Returns
    -------
    str
        A SHA-256, in hexadecimal.

    Example
    -------
    >>> layer = torch.nn.Linear(2, 2)
    >>> before = fingerprint(layer, {})
    >>> torch.nn.init.zeros_(layer.weight).sum().item()
    0.0
    >>> fingerprint(layer, {}) == before
    False
    >>> fingerprint(layer, {"a": "12"}) == fingerprint(layer, {"b": "12"})
    True
    """
    kind = type(teacher)
    known: list[Any] = [
        f"{kind.__module__}.{kind.__qualname__}",
        sorted(settings(teacher).items()),
        sorted(digests.values()),
    ]
    if not digests:
        # Tensors do not show a stride or an activation; the text does.
        known += [repr(teacher), _tensors(teacher)]
    return hashlib.sha256(repr(known).encode()).hexdigest()


def settings(teacher: torch.nn.Module) -> dict[str, Any]:
    """Lists the public attributes of plain kinds.

    One that changes no embedding costs asking the teacher anew; one that is
    left out would let wrong embeddings pass.

    Arguments
    ---------
    teacher : torch.nn.Module
        The teacher.

    Returns
    -------
    dict[str, Any]
        Values by name.
    """
    return {
        name: value
        for name, value in vars(teacher).items()
        if isinstance(value, _PLAIN)
        and name not in _APART
        and not name.startswith("_")
    }


def _tensors(module: torch.nn.Module) -> list[tuple[str, str]]:
    """Hashes every parameter and buffer, also those that no file keeps."""
    digests = []
    named = chain(module.named_parameters(), module.named_buffers())
    for name, tensor in named:
        tensor = tensor.detach().cpu().contiguous()
        digest = hashlib.sha256(f"{tensor.dtype}{list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
        digests.append((name, digest.hexdigest()))
    return digests
