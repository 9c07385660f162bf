"""Buffers whose size is known only once the training has begun."""

from typing import Any

import torch


class LateBuffers(torch.nn.Module):
    """A module whose buffers may be None until they are needed.

    A checkpoint brings them in the size that they had: a run that is resumed
    has them before its first step.

    Example
    -------
    >>> class Seen(LateBuffers):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.register_buffer("rows", None)
    >>> old, new = Seen(), Seen()
    >>> old.rows = torch.ones(3, 2)
    >>> new.load_state_dict(old.state_dict())
    <All keys matched successfully>
    >>> new.rows.shape
    torch.Size([3, 2])
    """

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *rest: Any
    ) -> None:
        """As torch's; makes buffers that are None or have fewer rows."""
        for name, own in self._buffers.items():
            saved = state_dict.get(prefix + name)
            if saved is None:
                continue
            if own is None:
                setattr(self, name, torch.empty_like(saved))
            elif own.shape[1:] == saved.shape[1:]:
                setattr(self, name, own.new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)
