"""From a yaml and its overrides to hyperparameters that are ready to train.

What can be wrong is found here, before any training: an unknown key, an unset
``!PLACEHOLDER``, missing data, a classifier that is too small. Data are
prepared before the yaml's objects are made, so that ``out_n_neurons: null``
can be counted from the training speakers.
"""

import difflib
import io
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ruamel.yaml
import yaml
from hyperpyyaml import load_hyperpyyaml, resolve_references
from speechbrain.utils.run_opts import RunOptions

from speechbrain_kd.checks import check_required, check_values
from speechbrain_kd.experiment_keys import DEFAULTS, UPSTREAM_UNREAD
from speechbrain_kd.yaml_trees import mended, merge, parse_overrides, round_trip

logger = logging.getLogger(__name__)

BASE = "__base__"
_FRAGMENTS = (
    "teacher",
    "embedding_model",
    "distillation",
    "wav_augment",
    "fea_augment",
    "average",
)


@dataclass(frozen=True)
class Tagged:
    """A yaml node that makes an object, not yet made.

    Arguments
    ---------
    tag : str
        ``!new:package.Class`` and the like.
    arguments : dict
        Its keyword arguments, where it is a mapping.
    """

    tag: str
    arguments: dict


class _Peeking(yaml.SafeLoader):
    """Reads plain values; whatever would run code becomes a ``Tagged``."""


def _construct_tagged(loader, tag, node):
    if isinstance(node, yaml.MappingNode):
        return Tagged(node.tag, loader.construct_mapping(node, deep=True))
    return Tagged(node.tag, {})


_Peeking.add_multi_constructor("!", _construct_tagged)


class Experiment:
    """A yaml file with its overrides, checked and resolved, nothing made.

    A yaml whose ``__base__`` names another is that other one with its own
    keys as overrides: baseline and student then share one schedule.

    Arguments
    ---------
    hparams_file : str | Path
        The yaml.
    overrides : str | Mapping
        Replacements, as ``sb.parse_arguments`` returns them. ``teacher``,
        ``embedding_model``, ``distillation``, ``wav_augment``,
        ``fea_augment`` and ``average`` may be paths of yaml fragments.

    Raises
    ------
    ValueError
        For an unknown key, a key without which nothing trains, a
        ``!PLACEHOLDER`` left unset.
    FileNotFoundError
        If the yaml or a fragment does not exist.
    """

    def __init__(
        self, hparams_file: str | Path, overrides: str | Mapping = ""
    ) -> None:
        self.file = Path(hparams_file)
        if not self.file.is_file():
            raise FileNotFoundError(
                f"{hparams_file}: no such hyperparameter file"
            )
        if isinstance(overrides, str):
            overrides = parse_overrides(overrides)
        self.overrides = dict(overrides)
        self._written: dict[str, Path] = {}
        self._inherit()
        for key in _FRAGMENTS:
            self._include(key)
        self._check_keys()
        check_required(self.file, self.overrides)
        self.values = self._peek()
        check_values(self.file, self.values)

    def _inherit(self) -> None:
        """Follows ``__base__``: a yaml that only says what differs."""
        own = self._tree()
        self.keys = set(own) - {BASE}
        self.text = self.file.read_text(encoding="utf-8")
        while BASE in own:
            base = Path(os.path.normpath(self.file.parent / own.pop(BASE)))
            if not base.is_file():
                raise FileNotFoundError(
                    f"{self.file}: {BASE} names {base}, which does not exist"
                )
            self._written = dict.fromkeys(own, self.file) | self._written
            # As on a yaml without a base: mappings are merged.
            merge(own, self.overrides)
            self.overrides = dict(own)
            self.file = base
            own = self._tree()
            self.keys |= set(own) - {BASE}
            self.text += base.read_text(encoding="utf-8")

    def _tree(self) -> dict:
        """The yaml's top level; nothing is made.

        Includes are found beside the yaml that names them, also where this
        one is the base of another in another folder.
        """
        folder = self.file.resolve().parent
        text = re.sub(
            r"!include:(?!/)(\S+)",
            lambda include: f"!include:{(folder / include[1]).resolve()}",
            self.file.read_text(encoding="utf-8"),
        )
        try:
            tree = round_trip().load(text)
        except ruamel.yaml.error.YAMLError as error:
            raise ValueError(f"{self.file}: not a yaml file: {error}") from None
        if not isinstance(tree, dict):
            raise ValueError(f"{self.file}: expected keys and values")
        return tree

    def _include(self, key: str) -> None:
        """Turns the path of a fragment into an ``!include``."""
        value = self.overrides.get(key)
        if not isinstance(value, str):
            return
        if not value.endswith(".yaml") or not Path(value).is_file():
            raise FileNotFoundError(
                f"--{key}={value}: expected null or the path of a yaml "
                f"fragment (see hparams/), and there is no such file"
            )
        self.overrides[key] = round_trip().load(
            f"!include:{Path(value).resolve()}"
        )

    def _check_keys(self) -> None:
        """Refuses keys that nothing reads: most are slips of the pen."""
        present = self.keys
        referenced = set(re.findall(r"<(\w+)", self.text))
        known = set(DEFAULTS) | UPSTREAM_UNREAD | set(RunOptions().as_dict())
        for key in present - known - referenced:
            if not key.startswith("__"):
                raise ValueError(
                    f"{self._written.get(key, self.file)}: nothing reads the "
                    f"key {key}" + _suggestion(key, (known | present) - {key})
                )
        for key in set(self.overrides) - present - set(DEFAULTS):
            raise ValueError(
                f"--{key}: no such key in {self.file}"
                + _suggestion(key, present | set(DEFAULTS))
            )

    def resolved(self) -> str:
        """The yaml with overrides, includes and references in place."""
        try:
            return mended(resolve_references(self._merged()).getvalue())
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.file} includes {error.filename}, which does not exist"
            ) from None
        except ValueError as error:
            key = re.match(r"'(.+)' is a !PLACEHOLDER", str(error))
            if key is None:
                raise ValueError(f"{self.file}: {error}") from error
            raise ValueError(
                f"{self.file}: {key[1]} is not set; give --{key[1]}=VALUE"
            ) from None

    def _merged(self) -> io.StringIO:
        """The yaml with its overrides, references not yet resolved."""
        tree = self._tree()
        merge(tree, self.overrides)
        stream = io.StringIO()
        round_trip().dump(tree, stream)
        stream.seek(0)
        return stream

    def _peek(self) -> dict[str, Any]:
        """Plain values by key; objects stay ``Tagged``."""
        return DEFAULTS | yaml.load(self.resolved(), Loader=_Peeking)

    def override(self, **values: Any) -> None:
        """Replaces values, as if they stood on the command line."""
        self.overrides.update(values)
        self.values = self._peek()

    def load(self) -> dict[str, Any]:
        """Makes the objects.

        Returns
        -------
        dict[str, Any]
            Every key of ``DEFAULTS`` and of the yaml.

        Raises
        ------
        ValueError
            If a class does not take the arguments that the yaml gives it.
        """
        try:
            made = load_hyperpyyaml(self.resolved())
        except TypeError as error:
            why = ": ".join(map(str, error.args))
            raise ValueError(f"{self.file}: {why}") from error
        hparams = DEFAULTS | made
        hparams["dataloader_options"] = dict(hparams["dataloader_options"])
        return hparams


def _suggestion(key: str, known: set[str]) -> str:
    """The nearest known key, as the end of a message."""
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
