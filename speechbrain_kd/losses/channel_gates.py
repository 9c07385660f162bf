"""Inside the networks: the student's channel gates follow the teacher's."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from speechbrain_kd.losses.frame_features import check_widths
from speechbrain_kd.losses.hidden import HiddenTerm, Place


class ChannelGates(HiddenTerm):
    """Mean squared difference of squeeze-and-excitation weights.

    The gates say which channels matter for an utterance. Those of the
    student go through a small network, trained with it, to the teacher's
    number of channels: channels of two networks do not correspond.

    Arguments
    ---------
    student : str | Sequence[str]
        Path of the module in ``embedding_model`` that gives the gates, such
        as ``blocks.1.se_block.sigmoid`` in an ECAPA (``layer1.0.se.fc`` in
        SpeechBrain's ResNet); or of several.
    teacher : str | Sequence[str]
        As many paths in the teacher, such as
        ``embedding_model.blocks.1.se_block.sigmoid``.
    adapter : bool
        False compares as it is what has one width on both sides.

    Raises
    ------
    ValueError
        If a module has a time axis, paths are not one for one, or widths
        differ without an adapter.

    Reference
    ---------
    Zhou et al., "Channel Distillation: Channel-Wise Attention for Knowledge
    Distillation", arXiv 2006.01683; the gates: Hu et al., "Squeeze-and-
    Excitation Networks", CVPR 2018, arXiv 1709.01507.

    Example
    -------
    >>> term = ChannelGates("gate", "model.gate", adapter=False)
    >>> gates = torch.rand(4, 1, 8)
    >>> term({"gate": gates}, {"model.gate": gates})
    tensor(0.)
    """

    def __init__(
        self,
        student: str | Sequence[str],
        teacher: str | Sequence[str],
        adapter: bool = True,
    ) -> None:
        super().__init__(student, teacher)
        self.adapts = adapter

    def adapter(self, student: Place, teacher: Place) -> torch.nn.Module:
        """Two layers, or nothing; refuses modules that have a time axis."""
        for whose, place in (("student", student), ("teacher", teacher)):
            if place.time_axis is not None:
                raise ValueError(
                    "ChannelGates compares one weight a channel, and the "
                    f"{whose}'s {place.path} gives frames: name the layer "
                    "that gives the weights, such as blocks.1.se_block.sigmoid"
                )
        if not self.adapts:
            check_widths(type(self).__name__, student, teacher)
            return torch.nn.Identity()
        return torch.nn.Sequential(
            torch.nn.Linear(student.width, teacher.width),
            torch.nn.ReLU(),
            torch.nn.Linear(teacher.width, teacher.width),
        )

    def compare(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        lens: torch.Tensor | None,
        adapter: torch.nn.Module,
    ) -> torch.Tensor:
        """Mean squared difference. Shapes [batch, 1, width] → scalar."""
        return functional.mse_loss(adapter(student), teacher)
