"""The Brain: one loop for teachers, baselines and distilled students."""

import logging
from dataclasses import dataclass

import numpy as np
import speechbrain as sb
import torch
from speechbrain.nnet.schedulers import update_learning_rate

from speechbrain_kd.checkpoints import AtomicCheckpointer
from speechbrain_kd.distributed import gather_objects, mean_over_ranks
from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.validation import validation_trials
from speechbrain_kd.losses.objective import CLASSIFICATION
from speechbrain_kd.speed.convolutions import tune_convolutions
from speechbrain_kd.speed.features import FastFeatures
from speechbrain_kd.speed.graphs import GraphedEncoder, why_not_graphed
from speechbrain_kd.speed.modules import skip_empty_padding
from speechbrain_kd.speed.optimiser import fused
from speechbrain_kd.students.encoder import normalised_features
from speechbrain_kd.taught import TaughtBrain

logger = logging.getLogger(__name__)


@dataclass
class Predictions:
    """What one batch gives.

    Arguments
    ---------
    embeddings : torch.Tensor
        The student's, shape [batch, dim].
    logits : torch.Tensor | None
        Output of ``classifier``, shape [batch, 1, classes]; margin-free.
    lens : torch.Tensor
        Relative lengths, shape [batch].
    teacher : dict[str, torch.Tensor]
        ``embeddings`` and ``logits`` of the teacher on the same waveforms;
        empty without a teacher and outside training.
    """

    embeddings: torch.Tensor
    logits: torch.Tensor | None
    lens: torch.Tensor
    teacher: dict[str, torch.Tensor]


class DistillationBrain(TaughtBrain):
    """Trains a speaker encoder, with a teacher or without.

    The recipe of SpeechBrain's VoxCeleb speaker training, and beside the
    classification loss every term of ``distillation``. The teacher hears
    the very waveforms that the student hears, augmentation included. It is
    never in ``modules``: not in train mode, not in the optimiser, not in
    the checkpoints, not wrapped by DDP.

    Every random number of a step follows from (seed, epoch, step), so a run
    that was killed in mid-epoch and resumed ends like one that was not.

    Arguments
    ---------
    hparams : dict
        As ``speechbrain_kd.experiment.Experiment.load`` gives it.
    run_opts : RunOptions | dict | None
        SpeechBrain's run options.
    crops : Crops | None
        The training crops, which change with the epoch and, in the
        large-margin stage, in length.
    speakers : list[str] | None
        Names of the classes in index order, for label-level terms.
    stores : Mapping[int, TeacherStore] | None
        What the teacher said of the views, by samples of a crop; ``crops``
        are then ``Views``, and batches have ``heard`` and ``target``.

    Raises
    ------
    ValueError
        If the teacher cannot give what a term compares.
    """

    def __init__(
        self, hparams, run_opts=None, crops=None, speakers=None, stores=None
    ):
        checkpointer = hparams["checkpointer"]
        if checkpointer is not None:
            checkpointer = AtomicCheckpointer.replacing(checkpointer)
        modules = dict(hparams["modules"])
        if hparams["distillation"] is not None:
            modules["distillation"] = hparams["distillation"]
        opt_class = fused(hparams["opt_class"])
        super().__init__(modules, opt_class, hparams, run_opts, checkpointer)
        self.crops = crops
        self.stores = stores
        self.fast_features = FastFeatures(
            self.modules.compute_features, self.modules.mean_var_norm
        ).to(self.device)
        self.graphed = None
        skip_empty_padding(self.modules.embedding_model)
        if self.hparams.compute_cost is not None and speakers is not None:
            self._check_classes(speakers)
        if self.hparams.distillation is not None:
            self._join_teacher(speakers)
        elif self.hparams.teacher is not None:
            logger.warning(
                "distillation is null: the teacher %s is not used",
                self.hparams.teacher.source,
            )

    @torch.no_grad()
    def _check_classes(self, speakers):
        """Refuses a classifier that is too small, before a CUDA assert does."""
        self.modules.eval()
        dim = self.embedding_dim()
        embedding = torch.zeros(1, 1, dim, device=self.device)
        classes = self.modules.classifier(embedding).shape[-1]
        if classes < len(speakers):
            raise ValueError(
                f"the classifier has {classes} classes for {len(speakers)} "
                "training speakers: its out_neurons must be at least that "
                "(!ref <out_n_neurons>, and out_n_neurons: null to count them)"
            )

    @torch.no_grad()
    def embedding_dim(self) -> int:
        """Dimension of the student's embeddings, by a dry run."""
        self.modules.eval()
        return self.embed(torch.zeros(1, 16000, device=self.device)).shape[-1]

    def embed(
        self, wavs: torch.Tensor, lens: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Waveforms to embeddings with the student.

        Arguments
        ---------
        wavs : torch.Tensor
            Shape [batch, samples], 16 kHz.
        lens : torch.Tensor | None
            Relative lengths [batch]; ``None`` where nothing is padded.

        Returns
        -------
        torch.Tensor
            Shape [batch, dim].
        """
        return self._embed_features(self.features(wavs, lens), lens)

    def features(self, wavs, lens=None):
        """Waveforms [batch, samples] to features [batch, time, mels]."""
        if self.fast_features.is_fast:
            return self.fast_features(wavs, lens)
        # By the modules' present names: DDP may have wrapped them.
        return normalised_features(
            self.modules.compute_features,
            self.modules.mean_var_norm,
            wavs,
            lens,
        )

    def _embed_features(self, feats, lens):
        """Features [batch, time, mels] to embeddings [batch, dim]."""
        encoder = self.graphed or self.modules.embedding_model
        return encoder(feats, lens).flatten(1)

    def on_fit_start(self):
        """As ``Brain.on_fit_start``; then the encoder may be graphed."""
        super().on_fit_start()
        if self.device_type != "cuda" or not self.hparams.cuda_graphs:
            return
        model = self.modules.embedding_model
        reason = why_not_graphed(model)
        if reason is None:
            accumulates = self.grad_accumulation_factor > 1
            self.graphed = GraphedEncoder(model, accumulates)
        else:
            logger.info("No CUDA graphs of embedding_model: %s", reason)

    def compute_forward(self, batch, stage):
        """Augments once, then asks student and teacher about the result."""
        batch = batch.to(self.device, non_blocking=True)
        wavs, lens = batch.sig
        training = stage == sb.Stage.TRAIN
        padded = None  # crops are all of one length
        if training and self._augments():
            wavs, lens = self.hparams.wav_augment(wavs, lens)
            padded = lens if bool((lens < 1).any()) else None
        feats = self.features(wavs, padded)
        embeddings = self._embed_features(feats, padded)
        logits = None
        if self.hparams.classifier is not None:
            logits = self.modules.classifier(embeddings.unsqueeze(1))
        teacher = {}
        if training and self.teacher is not None:
            teacher = self._ask_teacher(batch, wavs, padded, feats)
        return Predictions(embeddings, logits, lens, teacher)

    def _augments(self):
        """Whether batches are augmented here, not in the dataset's views."""
        return self.hparams.wav_augment is not None and self.stores is None

    def compute_objectives(self, predictions, batch, stage):
        """Sums classification and distillation terms by their weights."""
        labels = batch.spk_id_encoded.data
        if stage == sb.Stage.TRAIN and self._augments():
            labels = self.hparams.wav_augment.replicate_labels(labels)
        losses = {}
        if self.hparams.compute_cost is not None:
            losses[CLASSIFICATION] = self.hparams.compute_cost(
                predictions.logits, labels, predictions.lens
            )
        if stage != sb.Stage.TRAIN:
            self._collect(predictions, batch, labels)
            return losses.get(CLASSIFICATION, torch.zeros(()))
        if self.teacher is not None:
            losses |= self._distil(predictions, labels)
        self._track(losses)
        return self._weighted_sum(losses)

    def _weighted_sum(self, losses):
        """The loss to minimise."""
        objective = self.hparams.distillation
        if objective is None:
            return losses[CLASSIFICATION]
        return sum(
            objective.weight(name, self.progress) * loss
            for name, loss in losses.items()
        )

    def on_stage_start(self, stage, epoch=None):
        """Starts the sums of a stage; sets the stage's crops."""
        super().on_stage_start(stage, epoch)
        tune_convolutions(stage == sb.Stage.TRAIN and not self._augments())
        if stage == sb.Stage.TRAIN:
            if self.crops is not None:
                self.crops.set_epoch(epoch)
                if self._large_margin():
                    self.crops.set_sentence_len(
                        self.hparams.large_margin.sentence_len
                    )
            return
        self.embedded = {}
        self.error_metrics = None
        if self.hparams.compute_cost is not None:
            self.error_metrics = self.hparams.error_stats()

    def _large_margin(self):
        """Whether the present epoch is of the large-margin stage."""
        stage = self.hparams.large_margin
        return stage is not None and stage.active(self.epoch)

    def on_fit_batch_start(self, batch, should_step):
        """Moves what follows the progress of the training."""
        super().on_fit_batch_start(batch, should_step)
        if self._large_margin():
            self.hparams.large_margin.on_progress(self.optimizer)
            return
        if self.hparams.margin_schedule is not None:
            self.hparams.margin_schedule.on_progress(self.progress)
        if hasattr(self.hparams.lr_annealing, "on_progress"):
            self.hparams.lr_annealing.on_progress(self.optimizer, self.progress)

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Moves SpeechBrain's schedulers that count batches."""
        if hasattr(self.hparams.lr_annealing, "on_batch_end"):
            self.hparams.lr_annealing.on_batch_end(self.optimizer)

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

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs every term; keeps the last checkpoint and the best by EER."""
        if stage == sb.Stage.TRAIN:
            own = {"loss": stage_loss} | self.term_means()
            self.train_stats = mean_over_ranks(own)
            return
        stats = {"loss": self.evaluated_loss()}
        if self.error_metrics is not None:
            stats["ErrorRate"] = self.error_rate()
        stats["EER"] = self.verification_eer()
        old_lr = self.optimizer.param_groups[0]["lr"]
        annealing = self.hparams.lr_annealing
        if annealing is not None and not hasattr(annealing, "on_progress"):
            old_lr, new_lr = annealing(epoch)
            update_learning_rate(self.optimizer, new_lr)
        self._log(stats, epoch, old_lr)
        if self.checkpointer is not None:
            # Equal error rates: the later epoch is the better trained.
            rank = stats["EER"] if stats["EER"] == stats["EER"] else 1.0
            self.checkpointer.save_and_keep_only(
                meta=stats | {"epoch": epoch, "selection": rank - 1e-9 * epoch},
                min_keys=["selection"],
            )

    @sb.utils.distributed.main_process_only
    def _log(self, stats, epoch, lr):
        """Writes the epoch to the train log and to TensorBoard."""
        for name in ("train_logger", "tensorboard_logger"):
            if getattr(self.hparams, name) is not None:
                getattr(self.hparams, name).log_stats(
                    stats_meta={"epoch": epoch, "lr": lr},
                    train_stats=self.train_stats,
                    valid_stats=stats,
                )
