"""The classes that student and teacher both know, and their utterances."""

import torch

from speechbrain_kd.distributed.gather import share_of_rows


class SharedClasses(torch.nn.Module):
    """Takes the shared classes out of two sets of logits.

    Until ``align`` was called both sides have the same classes in the same
    order. It is never saved: a run that goes on aligns again. Where
    ``some_unlabelled`` is set, utterances of a label below 0 are left out.

    Example
    -------
    >>> shared = SharedClasses()
    >>> shared.align(torch.tensor([2, 0]), torch.tensor([0, 1]))
    >>> student, teacher = torch.rand(3, 4), torch.rand(3, 2)
    >>> ours, theirs, labels = shared(student, teacher, torch.tensor([0, 1, 2]))
    >>> ours.equal(student[[0, 2]][:, [2, 0]]), theirs.equal(teacher[[0, 2]])
    (True, True)
    >>> labels  # of the two utterances whose speaker is shared
    tensor([1, 0])
    """

    def __init__(self) -> None:
        super().__init__()
        self.some_unlabelled = False
        for name in ("student_index", "teacher_index", "position"):
            self.register_buffer(name, None, persistent=False)

    def align(
        self, student_index: torch.Tensor, teacher_index: torch.Tensor
    ) -> None:
        """Names the shared classes.

        Arguments
        ---------
        student_index : torch.Tensor
            Columns of the student's logits, shape [shared].
        teacher_index : torch.Tensor
            Columns of the teacher's logits of the same speakers, [shared].
        """
        self.student_index = student_index
        self.teacher_index = teacher_index
        self.position = student_index.new_zeros(int(student_index.max()) + 1)
        self.position[student_index] = torch.arange(
            len(student_index), device=student_index.device
        )

    def are_all(self, logits: torch.Tensor) -> bool:
        """Whether every utterance has a target, whatever its class."""
        index = self.student_index
        known = index is None or len(index) == logits.shape[1]
        return known and not self.some_unlabelled

    def forward(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Shared columns, of the utterances whose speaker is shared.

        Arguments
        ---------
        student : torch.Tensor
            Logits, shape [batch, classes].
        teacher : torch.Tensor
            Logits, shape [batch, classes of the teacher].
        labels : torch.Tensor | None
            Classes of the student, shape [batch]; without them every
            utterance is kept.

        Returns
        -------
        tuple
            Both logits, shape [known, shared], and their labels as columns
            of these, shape [known].
        """
        if labels is not None and not self.are_all(student):
            known = labels >= 0
            if self.student_index is not None:
                known = torch.isin(labels, self.student_index)
            student, teacher = student[known], teacher[known]
            labels = labels[known]
        if self.student_index is None:
            return student, teacher, labels
        if labels is not None:
            labels = self.position[labels]
        student = student[:, self.student_index]
        return student, teacher[:, self.teacher_index], labels

    def share_of_known(
        self, known: int, logits: torch.Tensor
    ) -> torch.Tensor | float:
        """What the mean of this rank counts among those of all ranks.

        Arguments
        ---------
        known : int
            This rank's utterances whose speaker is shared.
        logits : torch.Tensor
            The student's, shape [batch, classes].

        Returns
        -------
        torch.Tensor | float
            More than 1 where more of this rank's utterances have label-level
            targets than of other ranks'.
        """
        if self.are_all(logits):
            return 1.0
        return share_of_rows(known, logits.device)
