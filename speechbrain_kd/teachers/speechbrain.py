"""A teacher from a SpeechBrain model folder or from the hub."""

import io
import logging
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references
from speechbrain.nnet.pooling import StatisticsPooling
from speechbrain.utils.parameter_transfer import Pretrainer
from torch.nn import Module

from speechbrain_kd.speed.features import FastFeatures, feature_key
from speechbrain_kd.speed.modules import skip_empty_padding
from speechbrain_kd.teachers.base import Teacher
from speechbrain_kd.teachers.hub import Source, locate
from speechbrain_kd.teachers.loading import check_fits, sha256
from speechbrain_kd.teachers.trust import DEFAULT_ALLOWED, check_text

logger = logging.getLogger(__name__)

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
        ``projector.ckpt`` of an export that kept it (``keep_projector``).

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
    ) -> None:
        super().__init__(source, trained_on=trained_on)
        self.revision = revision
        files = locate(str(source), revision, savedir)
        yaml_path = files.fetch(hparams_file)
        self.digests[hparams_file] = sha256(yaml_path)
        hparams = _build(yaml_path, files.place, (*DEFAULT_ALLOWED, *allowed))
        self._load(hparams, files)
        self.compute_features = hparams["compute_features"]
        self.mean_var_norm = hparams["mean_var_norm"]
        self.embedding_model = hparams["embedding_model"]
        self.projector: Module = torch.nn.Identity()
        self.classifier = None if projector else hparams.get("classifier")
        if projector:
            self._load_projector(files)
        self.features = FastFeatures(self.compute_features, self.mean_var_norm)
        skip_empty_padding(self.embedding_model)
        _silence_pooling(self)
        self.freeze()
        self._probe()
        self.labels = self._read_labels(hparams.get("label_encoder"))

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
            found = files.fetch(file)
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
        state = torch.load(path, map_location="cpu", weights_only=True)
        weight = state.get("weight") if isinstance(state, dict) else None
        if not isinstance(weight, torch.Tensor) or weight.ndim != 2:
            raise ValueError(
                f"{path}: expected a matrix `weight` [teacher's dim, dim], got "
                f"{type(weight).__name__}"
            )
        self.projector = torch.nn.Linear(*weight.T.shape, bias=False)
        self.projector.load_state_dict({"weight": weight})
        self.digests[PROJECTOR] = sha256(path)

    def _probe(self) -> None:
        """Finds the embedding's size and the classifier's kind by trial."""
        noise = torch.Generator().manual_seed(0)
        embedding = self.embed(0.1 * torch.randn(1, 16000, generator=noise))
        self.embedding_dim = embedding.shape[-1]
        with torch.no_grad():
            once, tenfold = (
                self.classify(scale * embedding) for scale in (1.0, 10.0)
            )
        # Cosines are bounded and blind to the length of an embedding.
        self.cosine_logits = once is not None and bool(
            once.abs().max() < 1.001
            and torch.allclose(once, tenfold, atol=1e-4)
        )

    def _read_labels(self, encoder: object | None) -> list[str] | None:
        """Lists the class names in the order of the logits."""
        if self.classifier is None or encoder is None:
            return None
        classes = self.classify(torch.ones(1, self.embedding_dim)).shape[-1]
        names = encoder.ind2lab
        if sorted(names) != list(range(classes)):
            raise ValueError(
                f"The label encoder of {self.source} has {len(names)} labels "
                f"where its classifier has {classes} classes: it must hold "
                f"one label for each index from 0 to {classes - 1}"
            )
        return [str(names[index]) for index in range(classes)]


def _build(path: Path, place: str, allowed: Sequence[str]) -> dict:
    """Reads a yaml once it is known to build nothing but a model.

    It is checked twice, since references can put together what no line says.
    """
    text = path.read_text(encoding="utf-8")
    check_text(text, str(path), allowed)
    overrides = {}
    if re.search(r"^pretrained_path:", text, re.MULTILINE):
        overrides["pretrained_path"] = place
    resolved = resolve_references(text, overrides).getvalue()
    name = f"{path} with its references resolved"
    check_text(resolved, name, allowed, resolved=True)
    # A student of the same seed starts alike with a teacher and without.
    with torch.random.fork_rng(devices=[]):
        hparams = load_hyperpyyaml(io.StringIO(resolved))
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
    return hparams


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


def _silence_pooling(module: Module) -> None:
    """Makes an x-vector deterministic.

    SpeechBrain's statistics pooling adds noise of at most 9e-5 to the mean,
    also in eval mode: a frozen teacher would change from call to call, and
    draw from the random numbers of the training.
    """
    for part in module.modules():
        if isinstance(part, StatisticsPooling):
            part._get_gauss_noise = partial(_middle_of_noise, part.eps)


def _middle_of_noise(
    eps: float, shape: torch.Size, device: str | torch.device = "cpu"
) -> torch.Tensor:
    """Gives the middle of the range that the pooling draws from."""
    return torch.full(shape, 5.0 * eps, device=device)
