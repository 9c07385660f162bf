"""The Brain: one loop for teachers, baselines and distilled students."""

import logging

import speechbrain as sb
import torch

from speechbrain_kd.checkpoints import AtomicCheckpointer
from speechbrain_kd.data.tempo import augmented_features
from speechbrain_kd.losses.labelled import over_labelled
from speechbrain_kd.losses.ramps import CLASSIFICATION
from speechbrain_kd.parts import StudentParts
from speechbrain_kd.predictions import Predictions
from speechbrain_kd.speed.convolutions import tune_convolutions
from speechbrain_kd.speed.features import FastFeatures
from speechbrain_kd.speed.graphs import GraphedEncoder, why_not_graphed
from speechbrain_kd.speed.modules import skip_empty_padding
from speechbrain_kd.speed.optimiser import fused
from speechbrain_kd.students.encoder import normalised_features
from speechbrain_kd.taught import TaughtBrain

logger = logging.getLogger(__name__)


class DistillationBrain(TaughtBrain):
    """Trains a speaker encoder, with a teacher or without.

    The recipe of SpeechBrain's VoxCeleb speaker training, and beside the
    classification loss every term of ``distillation``. The teacher hears
    the very waveforms that the student hears, augmentation included (with
    ``student_len`` the student hears a part of them, and ``fea_augment``
    changes the student's features alone). It is never in
    ``modules``: not in train mode, not in the optimiser, not in the
    checkpoints, not wrapped by DDP.

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
        self.parts = None
        if self.hparams.student_len is not None:
            self.parts = StudentParts(
                self.hparams.student_len, self.hparams.seed
            )
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
        self._start()
        if self.hparams.quantise is not None:
            self._join_quantisation(self.embedding_dim)
        if self.hparams.average is not None:
            self._join_average()

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
        if self.parts is not None and not self.parts.lasting:
            reason = "student_len makes batches of many lengths"
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
        heard, heard_lens, whole = wavs, padded, True
        if training and self.parts is not None and not self._large_margin():
            heard, heard_lens = self.parts(wavs, padded, self.epoch, self.step)
            whole = heard.shape == wavs.shape
        feats = self.features(heard, heard_lens)
        embeddings = self._embed_features(
            *self._augmented(feats, heard_lens, training)
        )
        logits = None
        if self.hparams.classifier is not None:
            logits = self.modules.classifier(embeddings.unsqueeze(1))
        teacher = {}
        if training and self.teacher is not None:
            feats = feats if whole else None
            teacher = self._ask_teacher(batch, wavs, padded, feats)
        return Predictions(embeddings, logits, lens, teacher)

    def _augments(self):
        """Whether batches are augmented here, not in the dataset's views."""
        return self.hparams.wav_augment is not None and self.stores is None

    def _augmented(self, feats, lens, training):
        """The student's features as ``fea_augment`` changes them."""
        augment = self.hparams.fea_augment
        if augment is None or not training:
            return feats, lens
        return augmented_features(augment, feats, lens)

    def compute_objectives(self, predictions, batch, stage):
        """Sums classification and distillation terms by their weights."""
        labels = batch.spk_id_encoded.data
        if stage == sb.Stage.TRAIN and self._augments():
            labels = self.hparams.wav_augment.replicate_labels(labels)
        losses = {}
        if self.hparams.compute_cost is not None:
            losses[CLASSIFICATION] = self._classification(
                predictions, labels, stage
            )
        if stage != sb.Stage.TRAIN:
            self._collect(predictions, batch, labels)
            return losses.get(CLASSIFICATION, torch.zeros(()))
        if self.teacher is not None:
            losses |= self._distil(predictions, labels)
        self._track(losses)
        return self._weighted_sum(losses, predictions.embeddings)

    def _classification(self, predictions, labels, stage):
        """The loss on the labels, of the utterances that have one."""
        given = predictions.logits, labels, predictions.lens
        if stage == sb.Stage.TRAIN and self.some_unlabelled:
            return over_labelled(self.hparams.compute_cost, *given)
        return self.hparams.compute_cost(*given)

    def _weighted_sum(self, losses, embeddings):
        """The loss to minimise."""
        objective = self.hparams.distillation
        if objective is None:
            return losses[CLASSIFICATION]
        balance = objective.balance
        if balance is not None and balance.due(self.step):
            balance.measure(losses, embeddings)
        return sum(
            objective.weight(name, self.progress) * loss
            for name, loss in losses.items()
        )

    def on_stage_start(self, stage, epoch=None):
        """Starts the sums of a stage; sets the stage's crops."""
        super().on_stage_start(stage, epoch)
        lasting = not self._augments()
        if self.parts is not None:
            lasting = lasting and self.parts.lasting
        tune_convolutions(stage == sb.Stage.TRAIN and lasting)
        if stage == sb.Stage.TRAIN:
            if self.crops is not None:
                self.crops.set_epoch(epoch)
                if self._large_margin():
                    self.crops.set_sentence_len(
                        self.hparams.large_margin.sentence_len
                    )
            return
        self._start_validation()
