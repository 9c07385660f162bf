"""``speechbrain-kd export``: what each ``--to`` writes, and what it refuses."""

import shutil
from pathlib import Path

import pytest
import soundfile
import torch
from small_hub import COMMIT, TINY, point_at, serve
from small_run import write_run
from small_speech import speech
from speechbrain.inference.speaker import SpeakerRecognition

from speechbrain_kd.export import web_folder
from speechbrain_kd.export.command import main
from speechbrain_kd.runtime import SpeakerVerifier

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

# As the hub's yamls have it: each file by its place.
_PLACES = """\
    paths:
        embedding_model: !ref <pretrained_path>/weights.pt
        mean_var_norm_emb: !ref <pretrained_path>/mean_var_norm_emb.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run."""
    return write_run(tmp_path_factory.mktemp("made") / "run")


def export(run, to, output, *options) -> Path:
    main([str(run), "--to", to, "--output", str(output), *map(str, options)])
    return output


def embedding(folder) -> torch.Tensor:
    """By SpeechBrain alone."""
    model = SpeakerRecognition.from_hparams(str(folder))
    wavs = 0.1 * torch.randn(1, 16000, generator=torch.manual_seed(1))
    return model.encode_batch(wavs)


def test_speechbrain_from_a_run(run, tmp_path, capsys):
    (tmp_path / "moved").mkdir()
    made = export(run, "speechbrain", tmp_path / "made")
    assert " bytes in " in capsys.readouterr().out
    files = {one.name: one.read_bytes() for one in made.iterdir()}
    assert files == {
        one.name: one.read_bytes() for one in (run / "export").iterdir()
    }
    export(run / "export", "speechbrain", made)  # over its own
    with pytest.raises(SystemExit, match="is not an exported model, so it"):
        export(run, "speechbrain", tmp_path)


def test_speechbrain_from_the_hub(run, tmp_path, monkeypatch):
    published = shutil.copytree(run / "export", tmp_path / "published")
    yaml = published / "hyperparams.yaml"
    text = yaml.read_text().replace("path: null", f"path: {TINY}")
    yaml.write_text(text + _PLACES)
    (published / "embedding_model.ckpt").rename(published / "weights.pt")
    with serve() as hub:
        point_at(hub, tmp_path / "cache", monkeypatch)
        hub.publish(TINY, published, COMMIT, "main")
        made = export(TINY, "speechbrain", tmp_path / "made")
    # The hub is gone, and so is the cache.
    shutil.rmtree(tmp_path / "cache")
    moved = made.rename(tmp_path / "elsewhere")
    names = {one.name for one in moved.iterdir()}
    assert {"embedding_model.ckpt", "README.md"} <= names
    assert "weights.pt" not in names
    torch.testing.assert_close(embedding(moved), embedding(run / "export"))


def test_int8_of_given_audio(run, tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    for number, wave in enumerate(speech(3)):
        soundfile.write(audio / f"{number}.wav", wave, 16000)
    path = tmp_path / "small.onnx"
    export(run, "onnx-int8", path, "--calibration", audio)
    facts = SpeakerVerifier(path).facts
    assert (facts.metadata["arithmetic"], facts.name) == ("int8", "run")
    with pytest.raises(SystemExit, match="give --calibration FOLDER"):
        export(run, "onnx-int8", path)
    with pytest.raises(SystemExit, match="no/such: expected a run folder or a"):
        export(run, "onnx-int8", path, "--calibration", "no/such")


def test_the_teachers_space(run, tmp_path):
    """The projector is in the file; it has no threshold of another space."""
    copied = shutil.copytree(run, tmp_path / "run")
    weight = torch.randn(20, 12)
    torch.save({"weight": weight}, copied / "export" / "projector.ckpt")
    (copied / "export" / "calibration.json").write_text(
        '{"eer_threshold": 0.25, "calibration": {"weights": [8], "offset": -4}}'
    )
    audio = tmp_path / "audio"
    audio.mkdir()
    for number, wave in enumerate(speech(3)):
        soundfile.write(audio / f"{number}.wav", wave, 16000)
    own = SpeakerVerifier(export(copied, "onnx", tmp_path / "own.onnx"))
    assert own.facts.metadata["threshold"] == "0.25"
    expected = weight.numpy() @ own.embed(wave)
    expected /= (expected**2).sum() ** 0.5
    named = f"{copied},projector=True"
    for to, options, least in (
        ("onnx", (), 0.99999),
        ("onnx-int8", ("--calibration", audio), 0.99),
    ):
        made = export(named, to, tmp_path / f"{to}.onnx", *options)
        found = SpeakerVerifier(made)
        assert found.embed(wave).shape == (20,)
        assert found.embed(wave) @ expected > least
        assert "threshold" not in found.facts.metadata
    with pytest.raises(SystemExit, match="projector=True it is exported to on"):
        export(named, "speechbrain", tmp_path / "folder")
    with pytest.raises(SystemExit, match="expected no options, came projector"):
        export(named, "hub", tmp_path / "folder", "--repo_id", "a/b")
    assert not (tmp_path / "folder").exists()


def test_a_hub_folder(run, tmp_path):
    made = export(run, "hub", tmp_path / "hub", "--repo_id", "ann/tiny")
    assert "ann/tiny" in (made / "README.md").read_text()
    with pytest.raises(SystemExit, match="is made of a finished run folder"):
        export("ann/other", "hub", tmp_path / "b", "--repo_id", "ann/tiny")
    with pytest.raises(SystemExit, match="is no name of a model"):
        export(run, "hub", tmp_path / "b", "--repo_id", "tiny")


def test_a_page_of_a_run_or_of_a_file(run, tmp_path, monkeypatch):
    seen = []

    def page(folder, file, npm=None):
        seen.append((SpeakerVerifier(file).facts, npm))
        folder.mkdir()
        return folder

    monkeypatch.setattr(web_folder, "export_web", page)
    export(run, "web", tmp_path / "a", "--weights=int8", "--npm=ort.tgz")
    file = export(run, "onnx", tmp_path / "b.onnx")
    export(file, "web", tmp_path / "b")
    (one, npm), (other, none) = seen
    assert (one.name, one.metadata["weights"]) == ("run", "int8")
    assert (str(npm), none) == ("ort.tgz", None)
    assert other.digest == SpeakerVerifier(file).facts.digest


@pytest.mark.parametrize(
    ("to", "options", "message"),
    [
        ("onnx", ["--npm=a"], "--npm is for --to web, not for onnx"),
        ("onnx-int8", ["--weights=int8"], "for --to onnx or web, not for onnx"),
        ("hub", ["--opset=13", "--repo_id=a/b"], "--opset is for --to onnx"),
        ("web", ["--calibration=a"], "--calibration is for --to onnx-int8"),
        ("speechbrain", ["--speech", "a.wav"], "--speech is for --to onnx or"),
        ("onnx", ["--opset=9"], "--opset is at least 10; got 9"),
        ("hub", [], "--to hub needs --repo_id USER/MODEL"),
    ],
)
def test_options_of_another_target(tmp_path, capsys, to, options, message):
    with pytest.raises(SystemExit) as caught:
        export("run", to, tmp_path / "out", *options)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
