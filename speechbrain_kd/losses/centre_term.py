"""What terms on the voices' centres share: the centres, found in training."""

from speechbrain_kd.losses.term import DistillationTerm
from speechbrain_kd.losses.view_centres import ViewCentres


class CentreTerm(DistillationTerm):
    """A term that compares utterances with every centre in ``centres``.

    Arguments
    ---------
    most_unlabelled, centre : int, bool
        As of :class:`ViewCentres`.
    """

    across_utterances = True
    needs_labels = True
    takes_unlabelled = True

    def __init__(self, most_unlabelled: int, centre: bool) -> None:
        super().__init__()
        self.centres = ViewCentres(most_unlabelled, centre)

    def expect(self, classes: int, unlabelled: int = 0) -> None:
        """Makes room for the centres, of which none is known yet."""
        self.centres.expect(classes, unlabelled)
