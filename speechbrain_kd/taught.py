"""What a Brain does with a teacher: fits it in, asks it, remembers."""

import logging

import torch

from speechbrain_kd.data.table import ManifestTable
from speechbrain_kd.inside import Inside
from speechbrain_kd.scheduled import ScheduledBrain
from speechbrain_kd.speed.features import feature_key
from speechbrain_kd.teachers.ask import ask
from speechbrain_kd.teachers.labels import GIVE_CLASSES, align_classes, coverage
from speechbrain_kd.teachers.store_files import StoreFull

logger = logging.getLogger(__name__)


class TaughtBrain(ScheduledBrain):
    """A Brain with a teacher beside it, asked online or by stored views.

    The teacher is in ``self.teacher``, never in ``modules``. ``stores`` and
    ``crops`` are set by the subclass; without stores the teacher is asked in
    every step, and hears the student's features where it has the same.

    Arguments
    ---------
    *args, **kwargs
        As ``speechbrain.Brain``.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.crops = None
        self.stores = None
        self.store_full = False
        self.teacher = None
        self.shares_features = False
        self.inside = None  # hooks, where a term compares hidden layers

    def fit(self, *args, **kwargs):
        """As ``Brain.fit``; hooks on hidden layers end with it."""
        try:
            super().fit(*args, **kwargs)
        finally:
            if self.inside is not None:
                self.inside.detach()

    def on_fit_start(self):
        """As ``Brain.on_fit_start``; then sets hooks on hidden layers."""
        super().on_fit_start()
        if self.inside is not None:
            self.inside.attach(self.modules.embedding_model, self.teacher)

    def _join_teacher(self, speakers):
        """Fits objective and teacher to this student, before any training."""
        objective, teacher = self.hparams.distillation, self.hparams.teacher
        if teacher is None:
            raise ValueError(
                "distillation has terms but teacher is null: name a teacher, "
                "or set distillation: null to train without one"
            )
        self.teacher = teacher.to(self.device)
        if objective.compares("logits"):
            self._share_classes(speakers)
        objective.project(self.embedding_dim(), teacher.embedding_dim)
        if objective.compares("hidden"):
            self._look_inside(objective, teacher)
        if speakers is not None:
            objective.expect(len(speakers))
        objective.shared_classes.some_unlabelled = self.some_unlabelled
        objective.to(self.device)
        key = feature_key(
            self.modules.compute_features, self.modules.mean_var_norm
        )
        self.shares_features = key is not None and key == teacher.feature_key()
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("distillation", objective)

    def _look_inside(self, objective, teacher):
        """Fits terms on hidden layers to both networks."""
        self.inside = Inside(objective, teacher)
        self.inside.fit(
            self.modules.embedding_model,
            self.embed,
            teacher,
            stored=self.stores is not None,
            in_parts=self.hparams.student_len is not None
            or self.hparams.fea_augment is not None,
        )

    def _share_classes(self, speakers):
        """Aligns the teacher's classes with the student's by speaker name."""
        teacher = self.teacher
        if teacher.labels is None:
            raise ValueError(
                "a label-level term needs a teacher with a classifier "
                f"and the names of its classes, and {teacher.source} has "
                f"none: {GIVE_CLASSES}"
            )
        if self.hparams.classifier is None:
            raise ValueError(
                "a label-level term needs the student's classifier; got "
                "classifier: null"
            )
        if speakers is None:
            raise ValueError(
                "a label-level term needs the names of the training speakers "
                "in the order of the classes; got speakers: None"
            )
        theirs, ours = align_classes(teacher.labels, speakers)
        self.hparams.distillation.align(ours, theirs)
        self.hparams.distillation.meet(teacher.cosine_logits)

    def report_targets(self, table: ManifestTable) -> None:
        """Says how much of the training set has label-level targets.

        The rest (speakers whom the teacher does not know; classes beyond the
        training speakers, which speed perturbation may make) is taught by
        the labels and the embedding-level terms alone.

        Arguments
        ---------
        table : ManifestTable
            The training utterances.
        """
        if self.teacher is None or not self.hparams.distillation.compares(
            "logits"
        ):
            return
        counts = table.utterances_by_speaker()
        found = coverage(self.teacher.labels, counts)
        logger.info("Label-level targets for %s", found)

    @torch.no_grad()
    def _ask_teacher(self, batch, wavs, lens, feats):
        """The teacher's embeddings and logits of a batch, stored or asked."""
        if self.stores is None:
            shared = None
            if self.shares_features and feats is not None:
                shared = feats.detach()
            output = self.teacher(wavs, lens, shared)
            embeddings, logits = output.embeddings, output.logits
        else:
            answers = self._recall(batch)
            with torch.autocast(self.device_type, enabled=False):
                embeddings = self.teacher.target(answers)
                logits = self.teacher.classify(answers)
        answer = {"embeddings": embeddings}
        if self.inside is not None:
            answer["hidden"] = self.inside.teacher.take()
        return answer if logits is None else answer | {"logits": logits}

    def _recall(self, batch):
        """What the store holds of a batch; the teacher is asked for the rest.

        What it says is stored at once, so it hears each view once.
        """
        targets, wavs = batch.target.data, batch.sig.data
        rows = {}  # by view: copies of one may share its answer
        for row, one in enumerate(batch.heard):
            if one:
                rows.setdefault((one.utterance, one.view), []).append(row)
        if rows:
            firsts = [own[0] for own in rows.values()]
            heard = [batch.heard[row] for row in firsts]
            asked = ask(
                self.teacher,
                [
                    wavs[row] if one.wav is None else one.wav.to(wavs.device)
                    for row, one in zip(firsts, heard, strict=True)
                ],
                self.device,
            )
            store = self.stores[self.crops.frames]
            told = store.round(asked).to(targets.device)
            for own, answer in zip(rows.values(), told, strict=True):
                targets[own] = answer
            self._keep(store, heard, asked)
        return targets

    def _keep(self, store, heard, embeddings):
        """Stores answers; a full disk ends the storing, not the training."""
        if self.store_full:
            return
        names, views, sums, _ = zip(*heard, strict=True)
        try:
            store.write(names, views, sums, embeddings)
        except StoreFull as error:
            logger.warning("%s. The training goes on without storing", error)
            self.store_full = True

    def _distil(self, predictions, labels):
        """Every distillation term of a batch, not yet weighted."""
        student = {"embeddings": predictions.embeddings}
        if predictions.logits is not None:
            student["logits"] = predictions.logits.squeeze(1)
        if self.inside is not None:
            student["hidden"] = self.inside.student.take()
            student["lens"] = predictions.lens
        # By hparams: DDP wraps the module, and knows no other method of it.
        self.hparams.distillation.on_progress(self.progress)
        return self.modules.distillation(
            student, predictions.teacher, labels.squeeze(-1)
        )

    @property
    def some_unlabelled(self) -> bool:
        """Whether batches hold utterances without a label: theirs is below 0."""
        return self.hparams.unlabelled_folder is not None
