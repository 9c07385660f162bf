"""What a Brain knows after a validation: error rates over all ranks."""

import logging

import numpy as np
import torch

from speechbrain_kd.distributed import gather_objects, mean_over_ranks
from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.validation import validation_trials
from speechbrain_kd.loop import SteadyBrain

logger = logging.getLogger(__name__)


class ValidatedBrain(SteadyBrain):
    """A Brain that keeps the embeddings of a stage and makes trials of them.

    Arguments
    ---------
    *args, **kwargs
        As ``speechbrain.Brain``; ``hparams`` holds ``compute_cost`` and
        ``error_stats``.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.embedded = {}
        self.error_metrics = None

    def _start_validation(self):
        """Forgets the stage before."""
        self.embedded = {}
        self.error_metrics = None
        if self.hparams.compute_cost is not None:
            self.error_metrics = self.hparams.error_stats()

    def _collect(self, predictions, batch, labels):
        """Keeps what the verification trials of a stage need."""
        rows = zip(batch.id, predictions.embeddings.float(), labels[:, 0])
        for utterance, embedding, label in rows:
            self.embedded[utterance] = (embedding, label)
        if self.error_metrics is not None:
            self.error_metrics.append(
                batch.id, predictions.logits, labels, predictions.lens
            )

    def verification_eer(self) -> float:
        """EER over trials among the utterances of the stage, in 0–1.

        Returns
        -------
        float
            Not a number where no speaker has two utterances.
        """
        embeddings, labels = self._embedded_by_all()
        utterances = sorted(embeddings)
        speakers = [str(labels[utterance]) for utterance in utterances]
        try:
            trials = validation_trials(speakers, utterances)
        except ValueError as error:
            logger.warning("No EER on the validation utterances: %s", error)
            return float("nan")
        rows = np.stack([embeddings[name] for name in trials.utterances])
        scores = cosine_scores(rows, trials)
        return eer(scores[trials.labels], scores[~trials.labels])

    def _embedded_by_all(self):
        """Embeddings and labels by utterance, of all ranks."""
        own = ([], [], [])
        if self.embedded:
            rows, labels = zip(*self.embedded.values(), strict=True)
            rows = torch.stack(rows).cpu().numpy()
            own = (list(self.embedded), rows, torch.stack(labels).tolist())
        embeddings, classes = {}, {}
        for utterances, rows, labels in gather_objects(own):
            embeddings.update(zip(utterances, rows, strict=True))
            classes.update(zip(utterances, labels, strict=True))
        return embeddings, classes

    def error_rate(self) -> float:
        """Share of the stage's utterances, of all ranks, given another class.

        Returns
        -------
        float
            In 0–1.
        """
        scores = self.error_metrics.scores
        own = float(sum(scores)) / max(len(scores), 1)
        return mean_over_ranks({"error": own}, weight=len(scores))["error"]
