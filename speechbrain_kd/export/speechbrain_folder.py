"""A trained model as a folder that SpeechBrain alone loads."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.processing.features import InputNormalization
from speechbrain.utils.checkpoints import DEFAULT_SAVE_HOOKS, get_default_hook

from speechbrain_kd.atomic import atomic_path, is_foreign
from speechbrain_kd.export.hyperparams import hyperparams_text
from speechbrain_kd.export.model_card import ModelCard, model_card
from speechbrain_kd.export.nodes import (
    constructor_nodes,
    required_packages,
    top_level_values,
)
from speechbrain_kd.export.parity import check_parity

logger = logging.getLogger(__name__)

ENCODER_KEYS = ("compute_features", "mean_var_norm", "embedding_model")


@dataclass(frozen=True)
class ExportSpec:
    """What is exported: the modules, the yaml that made them, and facts.

    Arguments
    ---------
    hparams_yaml : str
        Text of the experiment's yaml, best the resolved one of the run folder
        (``hyperparams.yaml``). Its top-level keys of the modules' names must
        hold the constructors.
    compute_features, mean_var_norm, embedding_model : torch.nn.Module
        The trained encoder; it may lie on any device, in any mode.
    threshold : float | None
        The cosine above which two utterances are taken for one speaker, or
        None if it was not calibrated.
    card : ModelCard
        What the model card tells.
    calibration : Mapping | None
        Content of ``calibration.json``, where there is one.
    training_data : Mapping | None
        Content of ``training_data.json``: whose voices it has learnt from.
    projector : torch.nn.Linear | None
        From the embeddings to the teacher's, for ``projector.ckpt``.
    classifier : torch.nn.Module | None
        The speaker classifier; None after training without labels.
    labels : Sequence[str] | None
        Class names in index order; needed with a classifier, else unused.
    waveforms : Sequence[torch.Tensor]
        Real speech at 16 kHz, each [samples], to check the export on beside
        noise.
    """

    hparams_yaml: str
    compute_features: torch.nn.Module
    mean_var_norm: torch.nn.Module
    embedding_model: torch.nn.Module
    threshold: float | None
    card: ModelCard
    calibration: Mapping[str, Any] | None = None
    training_data: Mapping[str, Any] | None = None
    projector: torch.nn.Linear | None = None
    classifier: torch.nn.Module | None = None
    labels: Sequence[str] | None = None
    waveforms: Sequence[torch.Tensor] = ()

    def __post_init__(self) -> None:
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ValueError(
                f"threshold: expected a finite cosine, came {self.threshold}"
            )
        if self.classifier is None:
            return
        if not self.labels:
            raise ValueError(
                "labels: a classifier needs its class names in index order, "
                "came none; give labels, or classifier=None"
            )
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: expected unique names, some come twice")
        separator = CategoricalEncoder.VALUE_SEPARATOR
        for label in self.labels:
            if separator in label:
                raise ValueError(
                    f"labels: {label!r} has {separator!r} in it, which parts "
                    "name and index in label_encoder.txt; rename the speaker"
                )


def export_speechbrain(folder: str | Path, *, spec: ExportSpec) -> Path:
    """Writes a model as SpeechBrain publishes its speaker models.

    The folder loads with ``speechbrain.inference.speaker.SpeakerRecognition``
    and ``EncoderClassifier``, from any place or from a hub, and without this
    package where the classes are SpeechBrain's or torch's. It is loaded and
    compared with the modules before it gets its name; if anything fails, what
    stood there before still stands.

    Arguments
    ---------
    folder : str | Path
        The folder to write. An earlier export there is replaced.
    spec : ExportSpec
        The model.

    Returns
    -------
    Path
        The folder: ``hyperparams.yaml``, a ``.ckpt`` for each module with
        weights, ``label_encoder.txt`` (and the same as ``.ckpt``, the name
        that SpeechBrain looks for by itself) and ``README.md``.

    Raises
    ------
    ValueError
        If ``folder`` holds something else than an export, the yaml lacks a
        constructor, or the written model differs from the one in memory.
    """
    folder = Path(folder)
    refuse_foreign(folder)
    modules = {key: _unwrapped(getattr(spec, key)) for key in ENCODER_KEYS}
    nodes = constructor_nodes(spec.hparams_yaml, ENCODER_KEYS)
    packages = required_packages(nodes.values())
    classifier_note = _add_classifier(spec, modules, nodes, packages)
    with atomic_path(folder) as part:
        part.mkdir()
        _write_weights(part, spec, modules)
        (part / "hyperparams.yaml").write_text(
            _hyperparams(spec, modules, nodes), encoding="utf-8"
        )
        check_parity(part, modules, spec.labels, spec.waveforms)
        text = model_card(
            spec.card,
            threshold=spec.threshold,
            classes=_class_names(nodes),
            parameters=_count(modules["embedding_model"]),
            packages=packages,
            classifier_note=classifier_note,
        )
        (part / "README.md").write_text(text, encoding="utf-8")
        for name in ("calibration", "training_data"):
            facts = getattr(spec, name)
            if facts is not None:
                made = json.dumps(facts, indent=2) + "\n"
                (part / f"{name}.json").write_text(made, encoding="utf-8")
    logger.info("exported to %s", folder)
    return folder


def refuse_foreign(folder: Path) -> None:
    """An existing folder is only replaced if it is an export itself."""
    names = ("hyperparams.yaml", "embedding_model.ckpt")
    if is_foreign(
        folder, lambda one: all((one / name).is_file() for name in names)
    ):
        raise ValueError(
            f"{folder} exists and is not an exported model, so it is not "
            "replaced; export to a new folder"
        )


def _unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module itself where DistributedDataParallel wraps it."""
    wrapper = torch.nn.parallel.DistributedDataParallel
    return module.module if isinstance(module, wrapper) else module


def _add_classifier(
    spec: ExportSpec,
    modules: dict[str, torch.nn.Module],
    nodes: dict[str, Any],
    packages: list[str],
) -> str | None:
    """Adds the classifier, or says why there is none.

    Verification does not need it: so it must not be what keeps the encoder
    from loading with SpeechBrain alone.
    """
    if spec.classifier is None:
        return "There is no speaker classifier: it was trained without one."
    node = constructor_nodes(spec.hparams_yaml, [*ENCODER_KEYS, "classifier"])
    extra = sorted(set(required_packages([node["classifier"]])) - set(packages))
    if extra:
        logger.warning(
            "the classifier is not exported: it needs %s, which the encoder "
            "does not",
            ", ".join(extra),
        )
        return (
            "The speaker classifier is left out: it would need the package "
            f"{', '.join(extra)} to load."
        )
    modules["classifier"] = _unwrapped(spec.classifier)
    # All four anew, of one tree: a node that they share stays one object.
    nodes.update(node)
    return None


def _has_weights(module: torch.nn.Module) -> bool:
    """Whether a new instance would differ from this one."""
    if isinstance(module, InputNormalization):
        return module.norm_type == "global"
    return any(True for _ in module.parameters())


def _saved(modules: dict[str, torch.nn.Module]) -> list[str]:
    """The modules of which a checkpoint is written."""
    return [name for name, module in modules.items() if _has_weights(module)]


def _write_weights(
    part: Path, spec: ExportSpec, modules: dict[str, torch.nn.Module]
) -> None:
    """Writes the checkpoints and the label encoder."""
    for name in _saved(modules):
        path = part / f"{name}.ckpt"
        get_default_hook(modules[name], DEFAULT_SAVE_HOOKS)(modules[name], path)
    # Mean 0: normalising leaves the embedding as it is until a user, with
    # embeddings of his own domain, puts their mean here.
    identity = {
        "count": 1,
        "glob_mean": torch.zeros(1),
        "glob_std": torch.ones(1),
    }
    torch.save(identity, part / "mean_var_norm_emb.ckpt")
    if spec.projector is not None:
        weight = spec.projector.weight.detach().float().cpu().clone()
        torch.save({"weight": weight}, part / "projector.ckpt")
    if "classifier" in modules:
        encoder = CategoricalEncoder()
        encoder.update_from_iterable(spec.labels)
        encoder.save(part / "label_encoder.txt")
        encoder.save(part / "label_encoder.ckpt")


def _hyperparams(
    spec: ExportSpec, modules: dict[str, torch.nn.Module], nodes: dict[str, Any]
) -> str:
    """The text of hyperparams.yaml, with the facts that it states."""
    return hyperparams_text(
        nodes,
        saved=_saved(modules),
        values=top_level_values(spec.hparams_yaml, ("n_mels", "sample_rate")),
        classes=len(spec.labels or ()) if "classifier" in modules else None,
        threshold=spec.threshold,
    )


def _class_names(nodes: dict[str, Any]) -> dict[str, str]:
    """For each key the class that its node names."""
    return {
        key: str(node.tag.value).split(":", 1)[1] for key, node in nodes.items()
    }


def _count(module: torch.nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
