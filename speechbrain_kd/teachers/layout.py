"""What the input of an exported model looks like: its axes, free or fixed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Layout:
    """The axes of an input.

    Arguments
    ---------
    name : str
        The input and its model, for messages.
    batch : int | None
        Rows at once, where the model takes no other number.
    length : int | None
        Frames (or samples), where the model takes no other number.
    mels_first : bool
        Whether it takes ``[batch, n_mels, frames]``.
    channel : bool
        Whether it takes waveforms ``[batch, 1, samples]``.

    Example
    -------
    >>> layout = read_layout(["N", 80, "T"], 80, "feats")
    >>> layout.mels_first, layout.batch
    (True, None)
    >>> layout.arrange(torch.rand(2, 98, 80)).shape
    torch.Size([2, 80, 98])
    """

    name: str
    batch: int | None = None
    length: int | None = None
    mels_first: bool = False
    channel: bool = False

    def arrange(self, feats: torch.Tensor) -> torch.Tensor:
        """Orders the axes as the model takes them.

        Arguments
        ---------
        feats : torch.Tensor
            ``[batch, frames, n_mels]`` or ``[batch, samples]``.

        Returns
        -------
        torch.Tensor
            The same values.
        """
        if self.mels_first:
            return feats.transpose(1, 2).contiguous()
        return feats.unsqueeze(1) if self.channel else feats

    def pieces(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Cuts a batch into what the model takes at once.

        Arguments
        ---------
        rows : torch.Tensor
            ``[batch, ...]``

        Returns
        -------
        list[torch.Tensor]
            The batch as it is, or pieces of the fixed size: the last is
            filled with repeats of its last row, to be dropped again.
        """
        if self.batch is None:
            return [rows]
        missing = -len(rows) % self.batch
        filled = torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])])
        return list(filled.split(self.batch))


def read_layout(
    shape: Sequence[int | str | None],
    n_mels: int | None,
    name: str,
    mels_first: bool | None = None,
) -> Layout:
    """Tells the axes of an input apart, or says why it cannot serve.

    Arguments
    ---------
    shape : Sequence[int | str | None]
        A number for each fixed axis, anything else for a free one.
    n_mels : int | None
        Mel bins of the features; None for a model of waveforms.
    name : str
        The input and its model, for messages.
    mels_first : bool | None
        Whether the mel bins come before the frames; None to find it by the
        axis that is fixed to their number.

    Returns
    -------
    Layout
        The axes.

    Raises
    ------
    ValueError
        Naming the input, its shape and the one expected.
    """
    sizes = [size if isinstance(size, int) else None for size in shape]
    if n_mels is None:
        return _of_waveforms(sizes, name, list(shape))
    wanted = f"[batch, frames, {n_mels}] (or [batch, {n_mels}, frames])"
    if len(sizes) != 3:
        raise _refusal(name, f"{len(sizes)} axes", list(shape), wanted)
    if mels_first is None:
        mels_first = sizes[2] != n_mels and sizes[1] is not None
        if mels_first and sizes[1] != n_mels and sizes[2] is not None:
            mels_first = False  # neither axis fits: name the last
    mels, length = sizes[1:] if mels_first else (sizes[2], sizes[1])
    if mels not in (None, n_mels):
        raise _refusal(name, f"{mels} mel bins", list(shape), wanted)
    return Layout(name, sizes[0], length, mels_first=mels_first)


def _of_waveforms(sizes: list, name: str, shape: list) -> Layout:
    """Reads the axes of a model of waveforms."""
    channel = len(sizes) == 3 and sizes[1] in (None, 1)
    if len(sizes) != 2 and not channel:
        wanted = "[batch, samples] (or [batch, 1, samples])"
        raise _refusal(name, f"{len(sizes)} axes", shape, wanted)
    return Layout(name, sizes[0], sizes[-1], channel=channel)


def _refusal(name: str, problem: str, shape: list, wanted: str) -> ValueError:
    """Says what an input has and what it should have."""
    return ValueError(
        f"{name} has {problem}, its shape is {shape}: expected {wanted}. Set "
        "`n_mels` and `frontend` to the model's own, or export it anew"
    )
