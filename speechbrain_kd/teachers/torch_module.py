"""A teacher from any ``torch.nn.Module`` and its checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from speechbrain_kd.teachers.dry_run import gives_cosines
from speechbrain_kd.teachers.foreign_teacher import ForeignTeacher, pick
from speechbrain_kd.teachers.frontend import FrontEnd
from speechbrain_kd.teachers.layout import Layout
from speechbrain_kd.teachers.loading import (
    mismatches,
    read_state,
    sha256 as digest_of,
)
from speechbrain_kd.teachers.obtain import obtain

_CLASSIFIER = "classifier."
_WRAPPERS = ("state_dict", "model_state_dict", "model")


class TorchTeacher(ForeignTeacher):
    """A speaker model of any toolkit, built by the user's own yaml, with the
    weights of a published checkpoint: features ``[batch, frames, n_mels]`` or
    waveforms ``[batch, samples]`` to ``[batch, dim]``.

    The checkpoint is read without running code, and loaded strictly: each
    tensor of the model comes from it, and each of its tensors is used or
    named in ``skip``. With a classifier, embeddings are given to it; scores
    that are no cosines are made log-probabilities.

    Arguments
    ---------
    model : torch.nn.Module
        The speaker model.
    source : str
        The checkpoint; or, with ``file``, a folder or a hub id.
    prefix : str | Mapping[str, str]
        What the checkpoint's keys begin with where the model's do not, such
        as ``"encoder."``; or several, with what stands in their place. That
        of the classifier is ``"classifier."``.
    skip : Sequence[str]
        Beginnings of keys of the checkpoint (as they stand there) that are
        not for this model.
    classifier : torch.nn.Module | None
        From embeddings ``[batch, dim]`` to scores ``[batch, classes]``.
    labels : str | None
        A text file with the name of one class a line, in their order.
    output : str | int | None
        Which output is the embedding, where the model gives several: its
        name in a mapping, or its place in a tuple.
    n_mels, frontend, waveform_scale, mean_norm, dither, window
        The model's features: see
        :class:`~speechbrain_kd.teachers.frontend.FrontEnd`.
    mels_first : bool
        Whether the model takes ``[batch, n_mels, frames]``.
    trained_on : Sequence[str]
        Names of the corpora that the teacher has seen.
    file, revision, savedir, sha256
        As of :class:`~speechbrain_kd.teachers.OnnxTeacher`.

    Raises
    ------
    FileNotFoundError
        If the checkpoint or the labels are not to be had.
    ValueError
        If the checkpoint is refused or does not fit.

    Example
    -------
    >>> model = torch.nn.Linear(80, 4)
    >>> TorchTeacher(model, "no_such.pt")
    Traceback (most recent call last):
    ...
    FileNotFoundError: There is no model file no_such.pt: ...
    """

    def __init__(
        self,
        model: nn.Module,
        source: str,
        prefix: str | Mapping[str, str] = "",
        skip: Sequence[str] = (),
        classifier: nn.Module | None = None,
        labels: str | None = None,
        output: str | int | None = None,
        n_mels: int = 80,
        frontend: str = "kaldi",
        waveform_scale: float = 1.0,
        mean_norm: bool = True,
        dither: float = 0.0,
        window: str = "povey",
        mels_first: bool = False,
        trained_on: Sequence[str] = (),
        file: str | None = None,
        revision: str | None = None,
        savedir: str | None = None,
        sha256: str | None = None,
    ) -> None:
        features = FrontEnd(
            frontend, n_mels, waveform_scale, mean_norm, dither, window
        )
        found = obtain(source, file, revision, savedir, sha256)
        super().__init__(found.name, features, trained_on=trained_on)
        self.revision = found.files.revision_found
        self.model = model
        self.classifier = classifier
        self.output = output
        self.layout = Layout("its input", mels_first=mels_first)
        renames = {prefix: ""} if isinstance(prefix, str) else dict(prefix)
        self.prefix = renames
        self._load(found.path, renames, skip)
        # A checkpoint does not show a stride: the text of the model does.
        self.built = repr(model)
        self.prepare()
        if classifier is not None:
            self._try_classifier(labels)

    def run_model(self, feats: torch.Tensor) -> torch.Tensor:
        """Runs the model, and picks the embedding."""
        return pick(self.model(feats), self.output, self.source)

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """Scores embeddings: cosines, or log-probabilities."""
        if self.classifier is None:
            return None
        scores = self.classifier(embeddings).flatten(1)
        return scores if self.cosine_logits else scores.log_softmax(dim=-1)

    def _load(
        self, path: Path, renames: Mapping[str, str], skip: Sequence[str]
    ) -> None:
        """Loads the checkpoint whole, or says what does not fit."""
        self.digests = {path.name: digest_of(path)}
        state = _tensors(read_state(path), path)
        state = _renamed(state, renames, tuple(skip), path)
        parts = {"": self.model}
        if self.classifier is not None:
            parts[_CLASSIFIER] = self.classifier
        expected = {
            f"{prefix}{key}": value
            for prefix, part in parts.items()
            for key, value in part.state_dict().items()
        }
        problems = mismatches(expected, state)
        if problems:
            raise ValueError(
                f"{path} does not fit the {type(self.model).__name__} of the "
                f"yaml: {'; '.join(problems)}. Correct `prefix` (what its "
                f"keys begin with, now {dict(renames)}), name in `skip` what "
                "is not for this model, or correct the model's arguments"
            )
        for prefix, part in parts.items():
            own = {key: state[f"{prefix}{key}"] for key in part.state_dict()}
            part.load_state_dict(own, strict=True)

    def _try_classifier(self, labels: str | None) -> None:
        """Finds the kind of the scores, and names the classes."""
        self.cosine_logits = gives_cosines(self.classifier, self.embedding_dim)
        if labels is None:
            return
        self.labels = Path(labels).read_text(encoding="utf-8").splitlines()
        with torch.no_grad():
            scores = self.classifier(torch.ones(1, self.embedding_dim))
        if len(self.labels) != scores.shape[-1]:
            raise ValueError(
                f"{labels} should name {scores.shape[-1]} classes, one a line; "
                f"it has {len(self.labels)} lines"
            )


def _tensors(state: dict, path: Path) -> dict[str, torch.Tensor]:
    """Finds the tensors of a checkpoint, also within the usual wrappers."""
    for name in _WRAPPERS:
        if isinstance(state.get(name), dict):
            state = state[name]
            break
    plain = {key: one for key, one in state.items() if torch.is_tensor(one)}
    if not plain:
        raise ValueError(
            f"{path} should hold a state_dict of tensors by name (or one "
            f"under {', '.join(_WRAPPERS)}); its keys are "
            f"{', '.join(map(str, list(state)[:3]))}"
        )
    return plain


def _renamed(
    state: Mapping[str, torch.Tensor],
    renames: Mapping[str, str],
    skip: tuple[str, ...],
    path: Path,
) -> dict[str, torch.Tensor]:
    """Gives each key the name that the model has for it."""
    renamed: dict[str, torch.Tensor] = {}
    longest_first = sorted(renames, key=len, reverse=True)
    for key, value in state.items():
        if skip and key.startswith(skip):
            continue
        theirs = next((p for p in longest_first if key.startswith(p)), None)
        ours = key if theirs is None else renames[theirs] + key[len(theirs) :]
        if ours in renamed:
            raise ValueError(
                f"{path}: two of its keys become {ours} by the `prefix` "
                f"{dict(renames)}, one of them {key}"
            )
        renamed[ours] = value
    return renamed
