"""Terms on hidden layers, fitted to a student and its teacher."""

from collections.abc import Callable

import torch

from speechbrain_kd.losses.hidden import HiddenTerm
from speechbrain_kd.losses.objective import DistillationObjective
from speechbrain_kd.taps import Taps
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.onnx import OnnxTeacher


class Inside:
    """Hooks in both networks for the hidden terms of an objective.

    Arguments
    ---------
    objective : DistillationObjective
        With at least one term that compares ``"hidden"``.
    teacher : Teacher
        Asked online.

    Raises
    ------
    ValueError
        If hooks cannot reach into this teacher.
    """

    def __init__(
        self, objective: DistillationObjective, teacher: Teacher
    ) -> None:
        self.terms: list[HiddenTerm] = [
            term
            for term in objective.terms.values()
            if term.compares == "hidden"
        ]
        self.names = ", ".join(type(term).__name__ for term in self.terms)
        if any(isinstance(part, OnnxTeacher) for part in teacher.modules()):
            raise ValueError(
                f"{self.names} compares what lies inside the networks, and "
                f"the teacher {teacher.source} is an ONNX model, which gives "
                "its output alone: take the model's torch checkpoint as "
                "teacher (TorchTeacher, SpeechBrainTeacher), or leave the "
                "term out"
            )
        self.student = Taps(
            (path for term in self.terms for path in term.student),
            "the student's embedding_model",
            with_grad=True,
        )
        self.teacher = Taps(
            (path for term in self.terms for path in term.teacher),
            f"the teacher {teacher.source}",
        )

    def fit(
        self,
        encoder: torch.nn.Module,
        embed: Callable[[torch.Tensor], torch.Tensor],
        teacher: Teacher,
        stored: bool = False,
        in_parts: bool = False,
    ) -> None:
        """Makes the adapters, by dry runs of both networks.

        Arguments
        ---------
        encoder : torch.nn.Module
            The student's, in eval mode.
        embed : Callable
            From waveforms [batch, samples] to the student's embeddings.
        teacher : Teacher
            On its device.
        stored : bool
            Whether views are stored, which hold embeddings alone.
        in_parts : bool
            Whether the student hears a part of what the teacher hears, or
            at another tempo.

        Raises
        ------
        ValueError
            For a path that names no module, what cannot be compared, stored
            views, and frames of which the student hears a part.
        """
        if stored:
            raise ValueError(
                f"{self.names} compares what lies inside the networks, of "
                "which stored views know nothing: set teacher_views: 0, so "
                "that the teacher is asked in every step"
            )
        ours = self.student.survey(encoder, embed)
        theirs = self.teacher.survey(teacher, teacher)
        for term in self.terms:
            term.fit_to(ours, theirs)
        timed = [
            place.path
            for place in (*ours.values(), *theirs.values())
            if place.time_axis is not None
        ]
        if in_parts and timed:
            raise ValueError(
                "with student_len the student hears a part of what the "
                "teacher hears, with fea_augment something else, so that "
                f"frames of {', '.join(timed)} do not correspond: set both "
                "to null, or compare modules without a time axis"
            )

    def attach(self, encoder: torch.nn.Module, teacher: Teacher) -> None:
        """Sets the hooks, after the modules have been wrapped.

        Arguments
        ---------
        encoder : torch.nn.Module
            The student's; may be wrapped by DDP.
        teacher : Teacher
            The teacher.
        """
        self.student.attach(encoder)
        self.teacher.attach(teacher)

    def detach(self) -> None:
        """Takes the hooks away."""
        self.student.detach()
        self.teacher.detach()
