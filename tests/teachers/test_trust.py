"""Foreign yaml is refused unless it only builds a model."""

import pytest

from speechbrain_kd.teachers import DEFAULT_ALLOWED, check_yaml

HOSTILE = [
    "!apply:os.popen [touch x]",
    "!apply:builtins.eval ['1']",
    "!apply:speechbrain.utils.superpowers.run_shell [id]",
    "!applyref:os.getcwd []",
    "!new:subprocess.Popen {args: id}",
    "!new:speechbrain.utils.data_utils.os.popen [id]",
    "!name:torch.nn.modules.os.system",
    "!name:torch.nn.functional.importlib.import_module",
    "!new:torch.nn.functional.Callable",
    "!new:torch.nnx.Linear",
    "!new:speechbrain.core.Brain",
    "!new:speechbrain.lobes.models.fairseq_wav2vec.FairseqWav2Vec2 [x, y]",
    "!new:speechbrain.nnet.linear.Nothing",
    "!new:torch.nn.modules.linear",
    "!new:torch.nn.functional.relu",
    "!new:torch.nn.Linear.__init__.__globals__",
    "!new:os%2Epopen [id]",
    "!new:Linear",
    "!module:os",
    "!include:other.yaml",
    "!!python/object/apply:os.system [id]",
    "!!python/name:os.system",
    "!unknown x",
    "(!!python/object/apply:os.system [id])",
    "'(!!python/object/apply:os.system [id])'",
    "{a: [1, {b: !apply:os.popen [id]}]}",
    "{? !apply:os.popen [id] : 1}",
    "{a: &a [!apply:os.popen [id], *a]}",
    "!new:torch.nn.Linear {in_features: !apply:os.popen [id]}",
    "!include:x.yaml {a: !new:subprocess.Popen [id]}",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_refused(value, tmp_path):
    path = tmp_path / "hyperparams.yaml"
    path.write_text(f"# A model\nn_mels: 80\nodd: {value}\n")
    with pytest.raises(ValueError, match="the tag .* is refused") as info:
        check_yaml(path)
    assert str(info.value).startswith(f"{path}, line 3: ")


@pytest.mark.parametrize(
    "value",
    [
        "!new:torch.nn.Linear [2, 3]",
        "!new:speechbrain.lobes.features.Fbank {n_mels: 24}",
        "!name:torch.nn.LeakyReLU",
        "!name:torch.nn.functional.relu",
        "!name:torch.nn.functional.gelu",
        "!name:speechbrain.nnet.activations.Swish {beta: 1.0}",
        "!new:speechbrain.dataio.encoder.CategoricalEncoder",
        "!new:speechbrain.utils.parameter_transfer.Pretrainer",
        "!apply:speechbrain.utils.seed_everything [1]",
        "!ref <n_mels>",
        "!copy <n_mels>",
        "!PLACEHOLDER",
        "!tuple (1, 2)",
        "(1, 2)",
        "[1, 2.5, null, true, text, 2020-01-01]",
        "{<<: {a: 1}, b: 2}",
    ],
)
def test_allowed(value, tmp_path):
    path = tmp_path / "hyperparams.yaml"
    path.write_text(f"n_mels: 80\nfine: {value}\n")
    check_yaml(path)


def test_tag_handles_hide_nothing(tmp_path):
    path = tmp_path / "hyperparams.yaml"
    path.write_text("%TAG !e! !apply:os.\n---\nx: !e!popen [id]\n")
    with pytest.raises(ValueError, match="line 3: the tag !apply:os.popen"):
        check_yaml(path)


def test_further_prefixes(tmp_path, monkeypatch):
    package = tmp_path / "own_package.py"
    package.write_text(
        "import torch\nclass Own(torch.nn.Module):\n    pass\nraise_later = 1\n"
    )
    (tmp_path / "broken_package.py").write_text("import no_such_thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "hyperparams.yaml"
    path.write_text("x: !new:own_package.Own\n")
    with pytest.raises(ValueError, match="not under an allowed prefix"):
        check_yaml(path)
    check_yaml(path, (*DEFAULT_ALLOWED, "own_package."))
    path.write_text("x: !new:broken_package.Own\n")
    with pytest.raises(ValueError, match="cannot be imported"):
        check_yaml(path, ("broken_package.",))


def test_not_a_mapping(tmp_path):
    path = tmp_path / "hyperparams.yaml"
    for text in ("- 1\n", ""):
        path.write_text(text)
        with pytest.raises(ValueError, match="should hold a mapping"):
            check_yaml(path)


def test_not_yaml(tmp_path):
    path = tmp_path / "hyperparams.yaml"
    path.write_text("a: [1\n")
    with pytest.raises(ValueError, match="is not valid yaml"):
        check_yaml(path)
