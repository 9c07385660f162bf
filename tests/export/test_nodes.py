"""Constructors cut out of upstream's yamls and of small ones."""

from io import StringIO

import pytest
from hyperpyyaml import resolve_references
from ruamel.yaml import YAML

from speechbrain_kd.export import (
    constructor_nodes,
    required_packages,
    top_level_values,
)

KEYS = ("compute_features", "mean_var_norm", "embedding_model", "classifier")
INDIRECT = """
seed: 1
width: 8
blocks:
    encoder: !new:torch.nn.Linear
        in_features: !ref <width>
        out_features: !ref <width> * 3
embedding_model: !ref <blocks[encoder]>
activation: !name:torch.nn.LeakyReLU
    negative_slope: 0.2
classifier: !new:torch.nn.ModuleList
    modules: [!ref <embedding_model>, !new:torch.nn.ReLU {}]
copied: !copy <embedding_model>
modules: {embedding_model: !ref <embedding_model>}
labels: null
"""


def dumped(tree) -> str:
    stream = StringIO()
    YAML().dump(tree, stream)
    return stream.getvalue()


def test_a_reference_to_a_node_gives_the_node_with_its_numbers():
    node = constructor_nodes(INDIRECT, ["embedding_model"])["embedding_model"]
    assert node.tag.value == "!new:torch.nn.Linear"
    assert dict(node) == {"in_features": 8, "out_features": 24}
    assert "<" not in dumped({"a": node}) and "*" not in dumped({"a": node})


def test_raw_and_resolved_text_give_the_same_nodes():
    keys = ["embedding_model", "classifier", "copied"]
    resolved = resolve_references(INDIRECT).getvalue()
    assert dumped(constructor_nodes(INDIRECT, keys)) == dumped(
        constructor_nodes(resolved, keys)
    )


def test_a_shared_node_is_one_object_and_stands_on_its_own_when_alone():
    both = constructor_nodes(INDIRECT, ["embedding_model", "classifier"])
    assert both["classifier"]["modules"][0] is both["embedding_model"]
    alone = dumped(constructor_nodes(INDIRECT, ["classifier"]))
    assert "!new:torch.nn.Linear" in alone and "*" not in alone


@pytest.mark.parametrize("overrides", [{"width": 2}, "width: 2"])
def test_overrides_are_applied(overrides):
    nodes = constructor_nodes(INDIRECT, ["embedding_model"], overrides)
    assert nodes["embedding_model"]["out_features"] == 6


def test_an_included_fragment_is_cut_out_too(tmp_path, monkeypatch):
    (tmp_path / "student.yaml").write_text(
        "embedding_model: !new:torch.nn.Linear [3, 5]\n"
    )
    monkeypatch.chdir(tmp_path)
    text = (
        "student: !include:student.yaml\n"
        "embedding_model: !ref <student[embedding_model]>\n"
    )
    node = constructor_nodes(text, ["embedding_model"])["embedding_model"]
    assert node.tag.value == "!new:torch.nn.Linear" and list(node) == [3, 5]


def test_comments_stay_behind():
    text = "a: !new:torch.nn.Linear  # mine\n    # /home/me\n    x: 1  # one\n"
    assert "#" not in dumped(constructor_nodes(text, ["a"]))


def test_a_missing_key_is_named_with_the_keys_there_are():
    with pytest.raises(ValueError, match="no key 'compute_features'.*seed"):
        constructor_nodes(INDIRECT, ["compute_features"])


@pytest.mark.parametrize(
    "key, came", [("labels", "None"), ("activation", "!name:"), ("width", "8")]
)
def test_what_is_no_constructor_is_refused(key, came):
    with pytest.raises(ValueError, match=f"'{key}'.*!new:.*came {came}"):
        constructor_nodes(INDIRECT, [key])


def test_a_text_without_keys_is_refused():
    with pytest.raises(ValueError, match="expected keys and values"):
        constructor_nodes("- 1\n- 2\n", ["a"])


def test_a_placeholder_left_unset_is_named():
    with pytest.raises(ValueError, match="data_folder.*PLACEHOLDER"):
        constructor_nodes("data_folder: !PLACEHOLDER\n", [])


def test_only_scalars_are_plain_values():
    values = top_level_values(
        INDIRECT, ["width", "blocks", "labels", "missing"], {"width": 4}
    )
    assert values == {"width": 4}


def test_packages_in_nested_tags_are_found():
    text = (
        "a: !new:torch.nn.Sequential\n"
        "    - !new:lab.Net {act: !name:other.f }\n"
        "    - !apply:math.sqrt [4]\n"
        "    - !apply:getattr [x, y]\n"
        "b: !new:speechbrain.lobes.features.Fbank {}\n"
    )
    nodes = constructor_nodes(text, ["a", "b"])
    assert required_packages([nodes["a"]]) == ["lab", "other"]
    assert required_packages([nodes["b"]]) == []


@pytest.mark.parametrize(
    "name, embedding, mels",
    [
        ("train_ecapa_tdnn", "ECAPA_TDNN.ECAPA_TDNN", 80),
        ("train_resnet", "ResNet.ResNet", 80),
        ("train_x_vectors", "Xvector.Xvector", 24),
    ],
)
def test_upstream_yamls(upstream_hparams, name, embedding, mels):
    text = (upstream_hparams / f"{name}.yaml").read_text()
    overrides = {"data_folder": "/data", "out_n_neurons": 11}
    nodes = constructor_nodes(text, KEYS, overrides)
    assert nodes["embedding_model"].tag.value.endswith(embedding)
    assert nodes["compute_features"]["n_mels"] == mels
    assert nodes["classifier"]["out_neurons"] == 11
    assert required_packages(nodes.values()) == []
    assert "!ref" not in dumped(nodes) and "PLACEHOLDER" not in dumped(nodes)
