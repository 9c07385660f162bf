"""The hyperparams.yaml of an exported model, in the published layout."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

_HEAD = """\
# A speaker model for speechbrain.inference.speaker; README.md tells how it is
# used. The weights are taken from where this file came from, so that the folder
# may be moved or uploaded: pretrained_path is there to be overridden by tools
# that do so, and has no effect.
"""

_NORM_EMB = """\
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
"""


class _Representer(RoundTripRepresenter):
    """Writes None as null: an empty value reads like a mistake."""

    def represent_none(self, data: None) -> ScalarNode:
        """The node of a None."""
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def hyperparams_text(
    nodes: Mapping[str, Any],
    *,
    saved: Sequence[str],
    values: Mapping[str, Any],
    classes: int | None = None,
    threshold: float | None = None,
) -> str:
    """The text of the yaml that rebuilds a speaker model.

    Arguments
    ---------
    nodes : Mapping[str, Any]
        The constructor of each module, as ``constructor_nodes`` gives them.
    saved : Sequence[str]
        The modules of which there is a checkpoint.
    values : Mapping[str, Any]
        ``n_mels`` and ``sample_rate`` where the experiment's yaml has them;
        the features' own arguments have precedence.
    classes : int | None
        Number of classes; None without a classifier.
    threshold : float | None
        The calibrated threshold, written as a plain key.

    Returns
    -------
    str
        HyperPyYAML.

    Example
    -------
    >>> from speechbrain_kd.export import constructor_nodes
    >>> nodes = constructor_nodes(
    ...     "compute_features: !new:torch.nn.Identity {}", ["compute_features"]
    ... )
    >>> text = hyperparams_text(nodes, saved=[], values={"n_mels": 24})
    >>> "n_mels: 24" in text, "!new:torch.nn.Identity" in text
    (True, True)
    """
    facts = {"pretrained_path": None, **_plain_values(nodes, values)}
    loadables = [*saved, "mean_var_norm_emb"]
    label_encoder = ""
    if classes is not None:
        facts["out_n_neurons"] = classes
        loadables.append("label_encoder")
        encoder = "speechbrain.dataio.encoder.CategoricalEncoder"
        label_encoder = f"label_encoder: !new:{encoder}\n"
    if threshold is not None:
        facts["threshold"] = float(threshold)
    parts = [
        _HEAD + _dump(facts),
        # In one piece: a node that two others share is then written once.
        _dump(nodes),
        _NORM_EMB,
        "modules:\n" + _references([*nodes, "mean_var_norm_emb"], indent=4),
        label_encoder,
        "pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer\n"
        "    loadables:\n" + _references(loadables, indent=8),
    ]
    return "\n".join(part for part in parts if part)


def _plain_values(
    nodes: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Mel bins and sample rate, of the features' node, else of the yaml."""
    facts = {"sample_rate": 16000, **values}
    features = nodes["compute_features"]
    for key in ("n_mels", "sample_rate"):
        if isinstance(features, Mapping) and key in features:
            facts[key] = features[key]
    return facts


def _references(names: Sequence[str], indent: int) -> str:
    """Lines that refer to the nodes of these names."""
    return "".join(f"{' ' * indent}{name}: !ref <{name}>\n" for name in names)


def _dump(tree: Mapping[str, Any]) -> str:
    """Writes nodes as yaml text."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = 80
    yaml.indent(mapping=4, sequence=4, offset=2)
    yaml.boolean_representation = ["False", "True"]
    stream = StringIO()
    yaml.dump(dict(tree), stream)
    return stream.getvalue()
