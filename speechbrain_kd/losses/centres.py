"""Class centres: the student is classified by centres in the teacher's space."""

from collections.abc import Sequence

import torch
from speechbrain.nnet.losses import AdditiveAngularMargin
from torch.nn import functional

from speechbrain_kd.losses.late_buffers import LateBuffers
from speechbrain_kd.losses.ramps import Schedule
from speechbrain_kd.losses.term import DistillationTerm
from speechbrain_kd.losses.view_centres import ViewCentres
from speechbrain_kd.schedules import set_loss_margin

#: What may become of the centres.
KINDS = ("frozen", "trained", "following", "mean")


class TeacherCentres(LateBuffers, DistillationTerm):
    """Margin softmax of the student against centres of the teacher's classes.

    The centre of a speaker is the mean of the teacher's unit embeddings of
    its training utterances. The student, projected where dimensions differ,
    must come nearer to its speaker's centre than to the others', by an
    additive angular margin. So it has the freedom to leave what a teacher
    says of a single utterance, and takes over how the teacher places
    speakers. The centres may stay as they are (``frozen``); they may be
    where the student's own class weights begin (``trained``); or they may
    follow the teacher's embeddings (``following``): w ← αw + (1-α)t for the
    class of an utterance of the teacher's embedding t, where α is
    cos(student, t) · cos(w, t), at least 0. A young student then has its
    utterance's embedding as target, an old one the centre of its speaker. Or
    they are means of all views that were met so far (``mean``), with one for
    each unlabelled utterance and speed too: the student then tells more
    voices apart than are labelled, as the teacher places them.

    It stands beside the classification loss or, with the weight 0 of
    ``classification`` or ``compute_cost: null``, in its place.

    Classes of which the teacher has heard no utterance before the training
    (pseudo-speakers of other ``speeds``) are left out where the centres are
    frozen, with their utterances; start at random where they are trained;
    and begin at their first embedding where they follow or are means.
    Utterances without a label are left out, but for ``mean``.

    Arguments
    ---------
    centres : str
        ``frozen``, ``trained``, ``following`` or ``mean``.
    scale : float
        What the cosines are multiplied by.
    margin : float | Sequence[float]
        In radians; or [from, to, start, end], the last two in epochs. The
        ``margin_schedule`` and ``large_margin`` of the classification loss
        leave it alone.
    centre : bool
        Whether the mean of all centres is taken off first; of ``mean`` alone.

    Raises
    ------
    ValueError
        If there is no such kind of centres, the scale is not positive, the
        margin is no schedule, or a mean is to be taken off other centres.

    Reference
    ---------
    Shi et al., "ProxylessKD: Direct Knowledge Distillation with Inherited
    Classifier for Face Recognition", arXiv 2011.00265 (frozen); Boutros et
    al., "AdaDistill: Adaptive Knowledge Distillation for Deep Face
    Recognition", ECCV 2024, arXiv 2407.01332 (following).

    Example
    -------
    >>> term = TeacherCentres("frozen", margin=0.0)
    >>> term.learn(torch.eye(3), torch.tensor([0, 1, 2]))
    >>> labels = torch.tensor([0, 1, 2])
    >>> right = term(torch.eye(3), torch.eye(3), labels)
    >>> wrong = term(torch.eye(3), torch.eye(3), labels.flip(0))
    >>> bool(right < 1e-6), bool(wrong > 10)
    (True, True)
    """

    across_utterances = True
    needs_labels = True

    def __init__(
        self,
        centres: str = "frozen",
        scale: float = 30.0,
        margin: float | Sequence[float] = 0.2,
        centre: bool = False,
    ) -> None:
        super().__init__()
        if centres not in KINDS:
            raise ValueError(
                f"TeacherCentres: centres must be one of {', '.join(KINDS)}; "
                f"got {centres!r}"
            )
        if not scale > 0:
            raise ValueError(
                f"TeacherCentres: scale must be positive; got {scale}"
            )
        if centre and centres != "mean":
            raise ValueError(
                f"TeacherCentres: centre needs centres: mean; got {centres!r}"
            )
        self.centres = centres
        self.margin = Schedule(margin, "TeacherCentres: margin")
        self.cost = AdditiveAngularMargin(self.margin(0.0), scale)
        self.learns = centres != "mean"
        self.takes_unlabelled = centres == "mean"
        self.views = ViewCentres(centre=centre) if centres == "mean" else None
        self.register_buffer("known", None)
        if centres == "trained":
            self.register_parameter("rows", None)
        else:
            self.register_buffer("rows", None)

    def learn(self, embeddings: torch.Tensor, labels: torch.Tensor) -> None:
        """Takes the centres from the teacher's embeddings.

        Arguments
        ---------
        embeddings : torch.Tensor
            Shape [utterances, dim].
        labels : torch.Tensor
            The class of each, shape [utterances].

        Raises
        ------
        ValueError
            If there is not a class for each embedding.
        """
        if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
            raise ValueError(
                "TeacherCentres learns from embeddings [utterances, dim] and "
                f"their classes [utterances]; got {list(embeddings.shape)} "
                f"and {list(labels.shape)}"
            )
        unit = functional.normalize(embeddings.detach().float(), dim=-1)
        sums = unit.new_zeros(int(labels.max()) + 1, unit.shape[1])
        sums.index_add_(0, labels, unit)
        counts = torch.bincount(labels, minlength=len(sums))
        self._put(functional.normalize(sums, dim=-1), counts > 0)

    def expect(self, classes: int, unlabelled: int = 0) -> None:
        """Makes room for classes of which no utterance was heard."""
        if self.views is not None:
            self.views.expect(classes, unlabelled)
            return
        self._check_learned()
        rows, known = self.rows.detach(), self.known
        missing = max(classes - len(rows), 0)
        rows = torch.cat([rows, rows.new_zeros(missing, rows.shape[1])])
        known = torch.cat([known, known.new_zeros(missing)])
        if self.centres == "trained":
            draw = torch.Generator().manual_seed(len(rows))  # as other ranks
            random = torch.randn(rows.shape, generator=draw).to(rows)
            random = functional.normalize(random, dim=-1)
            rows = torch.where(known[:, None], rows, random)
            known = torch.ones_like(known)
        self._put(rows, known)

    def _put(self, rows, known):
        """Sets the centres; trained ones are a parameter."""
        trained = self.centres == "trained"
        self.rows = torch.nn.Parameter(rows) if trained else rows
        self.known = known

    def _check_learned(self):
        """Refuses to go on without centres."""
        if self.rows is None:
            raise ValueError(
                "TeacherCentres needs the teacher's embeddings of training "
                "utterances, and has learned from none: call "
                "learn(embeddings, labels) before the training (train_kd.py "
                "does)"
            )

    def on_progress(self, epoch: float) -> None:
        """Sets the margin of a moment of the training."""
        set_loss_margin(self.cost, self.margin(epoch))

    def distance(
        self,
        student: torch.Tensor,
        teacher: torch.Tensor,
        labels: torch.Tensor,
    ) -> torch.Tensor:
        """Mean cross-entropy. Shapes [batch, dim], [batch] → scalar."""
        rows, known, labels = self._centres(student, teacher, labels)
        cosines = functional.normalize(student, dim=-1) @ rows.T
        target = labels.clamp(0, len(rows) - 1)
        counts = (labels == target) & known[target]
        logits = self.cost(
            cosines, functional.one_hot(target, len(rows)).to(cosines)
        )
        lowest = torch.finfo(logits.dtype).min
        logits = logits.masked_fill(~known, lowest)
        losses = functional.cross_entropy(logits, target, reduction="none")
        losses = losses.masked_fill(~counts, 0.0)
        return losses.sum() / counts.sum().clamp(min=1)

    def _centres(self, student, teacher, labels):
        """Unit centres, which are known, and each utterance's own."""
        if self.views is not None:
            return self.views(teacher, labels)[:3]
        self._check_learned()
        if self.training and self.centres == "following":
            self._follow(student, teacher, labels)
        return functional.normalize(self.rows, dim=-1), self.known, labels

    @torch.no_grad()
    def _follow(self, student, teacher, labels):
        """Moves the centres to the embeddings of a batch.

        Several of one class move theirs to the mean of where each would.
        """
        some = labels >= 0
        student, teacher, labels = student[some], teacher[some], labels[some]
        unit = functional.normalize(teacher, dim=-1)
        before = self.rows[labels]  # zeros of a new class: it begins at unit
        stay = functional.cosine_similarity(student, unit, dim=-1)
        stay = stay * functional.cosine_similarity(before, unit, dim=-1)
        stay = stay.clamp(0.0, 1.0)[:, None]
        after = stay * before + (1 - stay) * unit
        same = (labels[:, None] == labels).to(after)
        self.rows[labels] = same @ after / same.sum(dim=1, keepdim=True)
        self.known[labels] = True
