"""Inside the networks: the student's frames follow the teacher's."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from speechbrain_kd.losses.frames import at_fewer_frames, spoken
from speechbrain_kd.losses.hidden import HiddenTerm, Place

_DISTANCES = ("cosine", "squared_error")


class FrameFeatures(HiddenTerm):
    """How far frames of a student's layer are from those of a teacher's.

    A linear layer over channels (a 1x1 convolution) that is trained with the
    student, the regressor of FitNets, takes the student's frames to the
    teacher's width. Of two strides in time, the finer is averaged. A module
    without a time axis, such as a pooling layer, counts as one frame.

    Arguments
    ---------
    student : str | Sequence[str]
        Path of a module in ``embedding_model``, such as ``blocks.3``; or of
        several.
    teacher : str | Sequence[str]
        As many paths in the teacher, such as ``embedding_model.blocks.3``.
    distance : str
        ``"cosine"``: 1 - cosine of each frame, every frame alike;
        ``"squared_error"``: the summed squared difference of the whole maps
        [frames, width], each of norm 1, in which frames of large values
        count more.
    adapter : bool
        False compares as it is what has one width on both sides.

    Raises
    ------
    ValueError
        For another distance, paths that are not one for one, and widths that
        differ without an adapter.

    Reference
    ---------
    Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015,
    arXiv 1412.6550; the maps of norm 1: Zagoruyko & Komodakis, "Paying More
    Attention to Attention", ICLR 2017, arXiv 1612.03928.

    Example
    -------
    >>> term = FrameFeatures("blocks.3", "model.layer3", adapter=False)
    >>> frames = torch.randn(4, 50, 8)
    >>> ours, theirs = {"blocks.3": 3 * frames}, {"model.layer3": frames}
    >>> term(ours, theirs).abs() < 1e-6
    tensor(True)
    """

    def __init__(
        self,
        student: str | Sequence[str],
        teacher: str | Sequence[str],
        distance: str = "cosine",
        adapter: bool = True,
    ) -> None:
        super().__init__(student, teacher)
        if distance not in _DISTANCES:
            raise ValueError(
                f"FrameFeatures: distance is one of {', '.join(_DISTANCES)}; "
                f"got {distance!r}"
            )
        self.kind = distance
        self.adapts = adapter

    def adapter(self, student: Place, teacher: Place) -> torch.nn.Module:
        """A linear layer over channels, or nothing."""
        if self.adapts:
            return torch.nn.Linear(student.width, teacher.width)
        check_widths(type(self).__name__, student, teacher)
        return torch.nn.Identity()

    def compare(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        lens: torch.Tensor | None,
        adapter: torch.nn.Module,
    ) -> torch.Tensor:
        """Mean over utterances. Shapes [batch, frames, width] → scalar."""
        student, teacher = at_fewer_frames(student, teacher)
        student = adapter(student)
        mask = spoken(student, lens)
        if self.kind == "cosine":
            apart = 1 - functional.cosine_similarity(student, teacher, dim=-1)
            return ((apart * mask).sum(1) / mask.sum(1)).mean()
        student, teacher = (
            functional.normalize((one * mask[..., None]).flatten(1))
            for one in (student, teacher)
        )
        return (student - teacher).square().sum(1).mean()


def check_widths(term: str, student: Place, teacher: Place) -> None:
    """Refuses widths that differ where there is no adapter.

    Arguments
    ---------
    term : str
        Its class, for the message.
    student : Place
        What the student's module gives.
    teacher : Place
        What the teacher's gives.

    Raises
    ------
    ValueError
        If they differ.
    """
    if student.width != teacher.width:
        raise ValueError(
            f"{term} with adapter: False compares one width; the student's "
            f"{student.path} has {student.width} and the teacher's "
            f"{teacher.path} {teacher.width}: set adapter: True, or name "
            "other modules"
        )
