"""What terms share that compare layers inside the two networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from speechbrain_kd.losses.term import DistillationTerm


@dataclass(frozen=True)
class Place:
    """Of what shape a module's output is.

    Arguments
    ---------
    path : str
        Of the module in its model.
    width : int
        Numbers a frame, or an utterance where there are no frames.
    time_axis : int | None
        Which axis is time; None where the output has none.

    Example
    -------
    >>> place = Place("layer1", width=6, time_axis=3)
    >>> place.arrange(torch.zeros(2, 3, 2, 50)).shape
    torch.Size([2, 50, 6])
    >>> Place("gate", width=3, time_axis=None).arrange(torch.zeros(2, 3)).shape
    torch.Size([2, 1, 3])
    """

    path: str
    width: int
    time_axis: int | None

    def arrange(self, output: torch.Tensor) -> torch.Tensor:
        """Puts time second and all channels last.

        Arguments
        ---------
        output : torch.Tensor
            Shape [batch, …].

        Returns
        -------
        torch.Tensor
            Shape [batch, frames, width]; one frame without a time axis.
        """
        if self.time_axis is None:
            return output.reshape(len(output), 1, -1)
        moved = output.movedim(self.time_axis, 1)
        return moved.reshape(*moved.shape[:2], -1)


class HiddenTerm(DistillationTerm):
    """A term on what lies between features and embedding, in both networks.

    A subclass writes ``compare`` and, where student and teacher may differ in
    width, ``adapter``: a layer that is trained with the student and never
    exported. Several pairs of modules are compared each on its own; the term
    is their mean.

    Arguments
    ---------
    student : str | Sequence[str]
        Path of a module in ``embedding_model``, such as ``blocks.3``; or of
        several.
    teacher : str | Sequence[str]
        As many paths in the teacher, such as ``embedding_model.blocks.3``.

    Raises
    ------
    ValueError
        If the paths are not one for one.

    Example
    -------
    >>> HiddenTerm(["blocks.1", "blocks.2"], "model.layer1")
    Traceback (most recent call last):
    ...
    ValueError: HiddenTerm compares modules of student and teacher one for ...
    """

    compares = "hidden"

    def __init__(
        self, student: str | Sequence[str], teacher: str | Sequence[str]
    ) -> None:
        super().__init__()
        self.student, self.teacher = _paths(student), _paths(teacher)
        if len(self.student) != len(self.teacher) or not all(
            path and isinstance(path, str)
            for path in self.student + self.teacher
        ):
            raise ValueError(
                f"{type(self).__name__} compares modules of student and "
                "teacher one for one: expected as many paths of each; got "
                f"student: {list(self.student)}, teacher: {list(self.teacher)}"
            )
        self.adapters = torch.nn.ModuleList(
            torch.nn.Identity() for _ in self.student
        )

    def fit_to(
        self, student: Mapping[str, Place], teacher: Mapping[str, Place]
    ) -> None:
        """Makes the adapters for what the modules were seen to give.

        Arguments
        ---------
        student : Mapping[str, Place]
            By path; called before optimiser and checkpoints are made.
        teacher : Mapping[str, Place]
            The same of the teacher.

        Raises
        ------
        ValueError
            If such outputs cannot be compared.
        """
        pairs = zip(self.student, self.teacher, strict=True)
        self.adapters = torch.nn.ModuleList(
            self.adapter(student[ours], teacher[theirs])
            for ours, theirs in pairs
        )

    def adapter(self, student: Place, teacher: Place) -> torch.nn.Module:
        """From the student's width to the teacher's; by default nothing.

        Arguments
        ---------
        student : Place
            What the student's module gives.
        teacher : Place
            What the teacher's gives.

        Returns
        -------
        torch.nn.Module
            Takes and gives [batch, frames, width].
        """
        return torch.nn.Identity()

    def compare(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        lens: torch.Tensor | None,
        adapter: torch.nn.Module,
    ) -> torch.Tensor:
        """The term for one pair of modules, in fp32.

        Arguments
        ---------
        student : torch.Tensor
            Shape [batch, frames, width]; carries the gradient.
        teacher : torch.Tensor
            Shape [batch, its frames, its width]; detached.
        lens : torch.Tensor | None
            Relative lengths [batch]; None where nothing is padded.
        adapter : torch.nn.Module
            This pair's.

        Returns
        -------
        torch.Tensor
            A scalar: the mean over the batch.
        """
        raise NotImplementedError

    def forward(
        self,
        student: Mapping[str, torch.Tensor],
        teacher: Mapping[str, torch.Tensor],
        lens: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean of the pairs.

        Arguments
        ---------
        student : Mapping[str, torch.Tensor]
            [batch, frames, width] by path.
        teacher : Mapping[str, torch.Tensor]
            The same of the teacher. No gradient reaches it.
        lens : torch.Tensor | None
            Relative lengths [batch]; None where nothing is padded.

        Returns
        -------
        torch.Tensor
            A scalar in fp32.

        Raises
        ------
        ValueError
            If outputs are not [batch, frames, width] of the same utterances.
        """
        losses = []
        pairs = zip(self.student, self.teacher, self.adapters, strict=True)
        for ours, theirs, adapter in pairs:
            one, other = student[ours], teacher[theirs]
            if not one.ndim == other.ndim == 3 or len(one) != len(other):
                raise ValueError(
                    f"{type(self).__name__} compares [batch, frames, width] "
                    f"of the same utterances; got {list(one.shape)} of the "
                    f"student's {ours} and {list(other.shape)} of the "
                    f"teacher's {theirs}"
                )
            with torch.autocast(one.device.type, enabled=False):
                other = other.detach().float()
                losses.append(self.compare(one.float(), other, lens, adapter))
        return torch.stack(losses).mean()


def _paths(given: str | Sequence[str]) -> tuple[str, ...]:
    """Paths as a tuple, also where there is one."""
    return (given,) if isinstance(given, str) else tuple(given)
