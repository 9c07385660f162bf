"""What a user names becomes a model, or one clear error."""

import sys
from pathlib import Path

import pytest
import small_onnx
import torch
from teacher_layout import write_model
from test_onnx import DYNAMIC, Pooled, export

from speechbrain_kd.model_sources import (
    export_folder,
    load_model,
    parse_models,
    recipe_of,
    run_folder,
)
from speechbrain_kd.teachers import (
    OnnxTeacher,
    RunTeacher,
    SpeechBrainTeacher,
    Teacher,
)
from speechbrain_kd.teachers.fragment import read_fragment

HPARAMS = Path(__file__).parents[2] / "hparams" / "teachers"


@pytest.fixture
def run(tmp_path):
    """The folder of a finished run."""
    folder = tmp_path / "run"
    write_model(folder / "export")
    (folder / "train_log.txt").write_text("epoch: 1 - train loss: 1.0\n")
    return folder


@pytest.fixture
def onnx_file(tmp_path):
    """A small model of 80 mel bins."""
    torch.manual_seed(0)
    return export(
        tmp_path / "pooled.onnx", Pooled(), torch.randn(2, 50, 80), axes=DYNAMIC
    )


def test_names_options_and_places(tmp_path):
    odd = tmp_path / "a=b,c.onnx"
    odd.touch()
    texts = ["results/x/export", "t=a/b", f"{odd}", "c.onnx,n_mels=24,x=[1]"]
    found = parse_models(texts)
    assert [one.name for one in found] == ["x", "t", "a_b_c", "c"]
    assert found[2].place == str(odd) and not found[2].options
    assert found[3].options == {"n_mels": 24, "x": [1]}
    with pytest.raises(ValueError, match="two models are called 'b'"):
        parse_models(["a/b", "c/b"])
    with pytest.raises(ValueError, match="got 'odd' after a comma"):
        parse_models(["c.onnx,odd"])


def test_run_and_export_are_one_model(run, wavs):
    by_run, by_export = load_model(str(run)), load_model(str(run / "export"))
    assert isinstance(by_run, RunTeacher)
    assert type(by_export) is SpeechBrainTeacher
    assert torch.equal(by_run.embed(wavs), by_export.embed(wavs))
    assert run_folder(by_run) == run_folder(by_export) == run
    assert export_folder(by_run) == export_folder(by_export) == run / "export"


def test_onnx_file_and_fragment(onnx_file, wavs, tmp_path):
    plain = load_model(str(onnx_file))
    text = f"{HPARAMS / 'campplus_onnx.yaml'},source={onnx_file}"
    named = load_model(text)
    assert isinstance(plain, OnnxTeacher) and isinstance(named, OnnxTeacher)
    assert named.trained_on == ["3dspeaker-200k"]
    assert torch.equal(plain.embed(wavs), named.embed(wavs))
    assert run_folder(plain) is None and export_folder(plain) is None
    with pytest.raises(ValueError, match="no option 'mels'; it has.*n_mels"):
        load_model(f"{onnx_file},mels=24")


def test_an_exported_file_takes_waveforms(tmp_path, wavs):
    encoder = small_onnx.write(tmp_path / "student.onnx")
    came = load_model(str(tmp_path / "student.onnx")).embed(wavs)
    expected = torch.nn.functional.normalize(encoder(wavs), dim=1)
    assert torch.allclose(came, expected, atol=1e-4)


def test_hub_id(hub, ecapa, wavs):
    model = load_model("speechbrain/tiny@v1")
    assert torch.equal(model.embed(wavs), load_model(str(ecapa)).embed(wavs))
    assert any("/v1/" in path for path in hub)


def test_hub_id_with_a_commit():
    (source,) = parse_models(["speechbrain/spkrec-ecapa-voxceleb@abc"])
    assert recipe_of(source) == (
        SpeechBrainTeacher,
        {"source": "speechbrain/spkrec-ecapa-voxceleb", "revision": "abc"},
    )


@pytest.mark.parametrize("name", sorted(p.stem for p in HPARAMS.glob("*.yaml")))
def test_every_fragment_is_understood(name):
    fragment = read_fragment(HPARAMS / f"{name}.yaml")
    assert issubclass(fragment.kind, Teacher)
    assert "source:" in fragment.text and "trained_on:" in fragment.text


WRAPPED = """\
!new:speechbrain_kd.teachers.SpeechBrainTeacher
source: {inner}
savedir:
- {inner}
- {inner}
trained_on: [&one outer, *one]
"""


def test_a_fragment_within_a_fragment(onnx_file, tmp_path):
    inner, outer = tmp_path / "in" / "inner.yaml", tmp_path / "outer.yaml"
    inner.parent.mkdir()
    inner.write_text(
        "!new:speechbrain_kd.teachers.OnnxTeacher\n"
        "source: no.onnx\nn_mels: &mels 24\ntrained_on: [*mels]\n"
    )
    outer.write_text(WRAPPED.format(inner="!include:in/inner.yaml"))
    options = {"source.source": str(onnx_file), "source.n_mels": 80}
    options |= {f"savedir.{n}.source": str(onnx_file) for n in range(2)}
    options |= {"savedir.0.n_mels": 80, "savedir.1.n_mels": 80}
    fragment = read_fragment(outer, options)
    assert fragment.kind is SpeechBrainTeacher
    arguments = fragment.arguments()
    teachers = [arguments["source"], *arguments["savedir"]]
    assert [type(one) for one in teachers] == 3 * [OnnxTeacher]
    assert {one.source for one in teachers} == {str(onnx_file)}
    assert teachers[0].trained_on == [24]  # an alias is the included file's
    assert arguments["trained_on"] == ["outer", "outer"]
    kept = "{inner}\n  source: {file}\n  n_mels: 80"
    kept = kept.format(inner="!include:in/inner.yaml", file=onnx_file)
    outer.write_text(WRAPPED.split("savedir")[0].format(inner=kept))
    assert read_fragment(outer).arguments()["source"].n_mels == 80
    with pytest.raises(ValueError, match="place below 2 in a list, got '2'"):
        outer.write_text(WRAPPED.format(inner="a"))
        read_fragment(outer, {"savedir.2.source": 1})


def test_foreign_classes_are_the_users_to_allow(tmp_path, monkeypatch):
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from pathlib import Path\n"
        "import torch\n"
        "from speechbrain_kd.teachers import Teacher\n"
        "Path(__file__).with_name('imported').touch()\n"
        "class Net(torch.nn.Linear): pass\n"
        "class Own(Teacher):\n"
        "    def __init__(self, source, model):\n"
        "        super().__init__(source)\n"
        "        self.model = model\n"
        "        self.freeze()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    path = tmp_path / "own.yaml"
    path.write_text(
        "!new:my_package.Own\nsource: here\nallowed: [my_package.]\n"
        "model: !new:my_package.Net\n  in_features: 2\n  out_features: 3\n"
    )
    with pytest.raises(ValueError, match=r"own.yaml,allowed=\[my_package.\]"):
        load_model(str(path))
    assert not (package / "imported").exists()
    path.write_text(path.read_text().replace("allowed: [my_package.]\n", ""))
    model = load_model(f"{path},allowed=[my_package.]")
    assert type(model).__name__ == "Own" and model.model.out_features == 3


@pytest.mark.parametrize(
    "text",
    [
        "!apply:os.system\n- touch {ran}\n",
        "!new:os.system\nsource: touch {ran}\n",
        "!new:speechbrain_kd.teachers.base\nsource: a\n",
        "!new:speechbrain_kd.teachers.OnnxTeacher\n"
        "source: !apply:os.system [touch {ran}]\n",
        "!new:speechbrain_kd.teachers.OnnxTeacher\n"
        "source: !applyref:os.system [touch {ran}]\n",
        "!new:speechbrain_kd.teachers.OnnxTeacher\n"
        "source: !include:other.yaml\n",
        "!new:speechbrain_kd.teachers.OnnxTeacher\n"
        "source: !include:teacher.yaml\n",
        "!new:speechbrain_kd.teachers.os.path\nsource: a\n",
        "!new:torch.nn.Linear\nin_features: 1\nout_features: 1\n",
        "!new:speechbrain_kd.teachers.OnnxTeacher\nsource: !ref <none>\n",
        "!new:speechbrain_kd.teachers.OnnxTeacher\nsource: !PLACEHOLDER\n",
        "source: a\n",
        "- a\n",
        "a: [\n",
        "",
    ],
)
def test_foreign_fragments_are_refused(text, tmp_path):
    ran, path = tmp_path / "ran", tmp_path / "teacher.yaml"
    path.write_text(text.format(ran=ran))
    other = f"a: !apply:os.system [touch {ran}]\n"
    (tmp_path / "other.yaml").write_text(other)
    with pytest.raises(ValueError, match=r"(teacher|other)\.yaml[,: ]"):
        load_model(str(path))
    assert not ran.exists()


def test_nothing_there(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="no model here; expected a run"
    ):
        load_model(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no such yaml fragment"):
        load_model("none.yaml")
    for name in ("none.onnx", "none.pt2"):
        with pytest.raises(FileNotFoundError, match=f"There is no .* {name}"):
            load_model(name)
