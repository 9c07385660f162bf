"""A teacher from a SpeechBrain model folder or from the hub."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from speechbrain.utils.parameter_transfer import Pretrainer
from torch.nn import Module

from speechbrain_kd.speed.features import FastFeatures, feature_key
from speechbrain_kd.speed.modules import skip_empty_padding
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.class_names import class_names
from speechbrain_kd.teachers.dry_run import dry_run, gives_cosines
from speechbrain_kd.teachers.expected import check_expected
from speechbrain_kd.teachers.files import check_link, check_name
from speechbrain_kd.teachers.folding import fold
from speechbrain_kd.teachers.hub import Source, locate
from speechbrain_kd.teachers.loading import check_fits, read_state, sha256
from speechbrain_kd.teachers.pooling import silence_pooling
from speechbrain_kd.teachers.trust import DEFAULT_ALLOWED
from speechbrain_kd.teachers.yaml_build import load_foreign

_NEEDED = ("compute_features", "mean_var_norm", "embedding_model")
#: What an export keeps on request: from its embeddings to its teacher's.
PROJECTOR = "projector.ckpt"


class SpeechBrainTeacher(Teacher):
    """A speaker model in the layout that SpeechBrain publishes: a yaml with
    ``compute_features``, ``mean_var_norm``, ``embedding_model`` and a
    ``pretrainer``, and the files that this one names. With a ``classifier``
    it gives logits, with a ``label_encoder`` also their labels.

    The yaml is refused unless it only builds a model (see
    :mod:`~speechbrain_kd.teachers.trust`), and a checkpoint unless it fits.

    Arguments
    ---------
    source : str
        A folder, or the id of a model on the hub.
    revision : str | None
        Branch, tag or commit on the hub; pin a commit to load the same
        teacher for ever. Not for folders.
    savedir : str | None
        Where downloads are kept; by default the cache of Hugging Face.
    trained_on : Sequence[str]
        Names of the corpora that the teacher has seen.
    hparams_file : str
        Name of the yaml in the source.
    allowed : Sequence[str]
        Further module prefixes, such as ``["my_package."]``, whose model
        classes the yaml may name.
    projector : bool
        Whether to speak in the space of the model's own teacher, by the
        ``projector.ckpt`` of an export that kept it (``keep_projector``). It
        becomes a part of the last layer, where that is affine.
    expected : Mapping[str, Any] | None
        What the model is said to be, by name: ``n_mels``, ``embedding_dim``,
        ``classes`` (None without a classifier), ``cosine_logits`` and
        ``parameters`` (of the embedding model). Another one is refused.

    Raises
    ------
    FileNotFoundError
        If the source or one of its files is not to be had.
    ValueError
        If the yaml is refused or incomplete, or a checkpoint does not fit.

    Example
    -------
    >>> SpeechBrainTeacher("./no/such/folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: There is no teacher folder ./no/such/folder ...
    """

    def __init__(
        self,
        source: str,
        revision: str | None = None,
        savedir: str | None = None,
        trained_on: Sequence[str] = (),
        hparams_file: str = "hyperparams.yaml",
        allowed: Sequence[str] = (),
        projector: bool = False,
        expected: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(source, trained_on=trained_on)
        files = locate(str(source), revision, savedir)
        yaml_path = files.fetch(hparams_file)
        check_link(yaml_path)
        self.digests[hparams_file] = sha256(yaml_path)
        prefixes = (*DEFAULT_ALLOWED, *allowed)
        hparams = load_foreign(yaml_path, files.place, prefixes)
        _check_parts(hparams, yaml_path)
        self._load(hparams, files)
        self.compute_features = hparams["compute_features"]
        self.mean_var_norm = hparams["mean_var_norm"]
        self.embedding_model = hparams["embedding_model"]
        self.projector: Module = torch.nn.Identity()
        self.projected = projector
        self.classifier = None if projector else hparams.get("classifier")
        self.features = FastFeatures(self.compute_features, self.mean_var_norm)
        skip_empty_padding(self.embedding_model)
        silence_pooling(self)
        self.freeze()
        if projector:
            self._load_projector(files)
        self._probe()
        self._name_classes(hparams, files)
        #: The commit that was loaded; None for a folder.
        self.revision = files.revision_found
        if expected:
            check_expected(self.source, expected, self._facts())

    def encode(self, wavs: torch.Tensor, lens: torch.Tensor) -> torch.Tensor:
        """Embeds a batch as ``EncoderClassifier.encode_batch`` does."""
        return self.encode_features(self.features(wavs, lens), lens)

    def feature_key(self) -> tuple | None:
        """What a student must agree on to share its features."""
        return feature_key(self.compute_features, self.mean_var_norm)

    def encode_features(
        self, feats: torch.Tensor, lens: torch.Tensor
    ) -> torch.Tensor:
        """Embeds features ``[batch, time, mels]``."""
        return self.projector(self.embedding_model(feats, lens).squeeze(1))

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """Scores embeddings with the classifier, where there is one."""
        if self.classifier is None:
            return None
        return self.classifier(embeddings.unsqueeze(1)).squeeze(1)

    def _load(self, hparams: dict, files: Source) -> None:
        """Collects the files, checks that each fits, and loads them."""
        pretrainer = hparams["pretrainer"]
        pretrainer.set_collect_in(None)  # a foreign yaml names no folder here
        pretrainer.custom_hooks.clear()  # nor what loads its files
        for name in pretrainer.loadables:
            path = pretrainer.paths.setdefault(
                name, f"{files.place}/{name}.ckpt"
            )
            folder, _, file = str(path).rpartition("/")
            if folder != files.place:
                raise ValueError(
                    f"The yaml of {self.source} loads {name} from {path}: a "
                    "teacher's files must lie beside its yaml. Write the "
                    "path as `!ref <pretrained_path>/FILE`"
                )
            check_name(file, f"The yaml of {self.source}")
            found = files.fetch(file)
            check_link(found)
            check_fits(pretrainer.loadables[name], found)
            self.digests[file] = sha256(found)
            # Load the very file that was checked, not what is there later.
            pretrainer.paths[name] = found.absolute().as_posix()
        collected = pretrainer.collect_files()
        _refuse_untrained(self.source, hparams, collected)
        pretrainer.load_collected()

    def _load_projector(self, files: Source) -> None:
        """Reads ``projector.ckpt``; its sizes say which modules it joins."""
        path = files.fetch(PROJECTOR)
        check_link(path)
        weight = read_state(path).get("weight")
        if not isinstance(weight, torch.Tensor) or weight.ndim != 2:
            raise ValueError(
                f"{path}: expected a matrix `weight` [teacher's dim, dim], got "
                f"{type(weight).__name__}"
            )
        self.digests[PROJECTOR] = sha256(path)
        projector = torch.nn.Linear(*weight.T.shape, bias=False)
        projector.load_state_dict({"weight": weight})
        noise = torch.randn(
            2, 16000, generator=torch.Generator().manual_seed(0)
        )
        feats = self.features(noise, torch.ones(2))
        if not fold(self.embedding_model, projector, feats):
            self.projector = projector.requires_grad_(False)

    def _probe(self) -> None:
        """Finds the embedding's size and the classifier's kind by trial."""
        self.embedding_dim = dry_run(self)
        self.cosine_logits = self.classifier is not None and gives_cosines(
            self.classify, self.embedding_dim
        )

    def _name_classes(self, hparams: dict, files: Source) -> None:
        """Finds the labels of the classifier, where there is one."""
        logits = self.classify(torch.ones(1, self.embedding_dim))
        if logits is None:
            return
        self.labels, digests = class_names(hparams, files, logits.shape[-1])
        self.digests.update(digests)

    def _facts(self) -> dict[str, Any]:
        """What can be expected of a model, as it was loaded."""
        second, embedding = torch.zeros(1, 16000), self.embedding_dim
        logits = self.classify(torch.ones(1, embedding))
        weights = self.embedding_model.parameters()
        return {
            "n_mels": self.features(second, torch.ones(1)).shape[-1],
            "embedding_dim": embedding,
            "classes": None if logits is None else logits.shape[-1],
            "cosine_logits": self.cosine_logits,
            "parameters": sum(weight.numel() for weight in weights),
        }


def _check_parts(hparams: dict, path: Path) -> None:
    """Raises where a yaml lacks a part of a speaker model."""
    absent = [
        key for key in _NEEDED if not isinstance(hparams.get(key), Module)
    ]
    if not isinstance(hparams.get("pretrainer"), Pretrainer):
        absent.append("pretrainer")
    if absent:
        raise ValueError(
            f"{path} lacks {', '.join(absent)}: a SpeechBrain speaker model "
            f"has {', '.join(_NEEDED)} and a pretrainer"
        )


def _refuse_untrained(source: str, hparams: dict, collected: dict) -> None:
    """Raises where a model would be left at its random initial weights."""
    loaded = [hparams["pretrainer"].loadables[name] for name in collected]
    for key in ("embedding_model", "classifier"):
        part = hparams.get(key)
        if part is not None and not any(part is one for one in loaded):
            raise ValueError(
                f"The pretrainer of {source} loads no {key}, whose weights "
                "would stay random: add it to `loadables` and `paths`"
            )
