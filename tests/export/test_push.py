"""``speechbrain-kd push``: to a hub and back, or one line and nothing there."""

import re
import shutil

import pytest
import soundfile
import torch
from hub_uploads import UploadHub, Uploads
from small_hub import Fault, point_at, serve
from small_run import write_run
from speechbrain.inference.speaker import SpeakerRecognition

from speechbrain_kd.push import main

# huggingface_hub's own way of sending a file.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:httpx2.*")

ID = "ann/tiny"
FAST = ["--license=apache-2.0", "--draws=20"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture
def run(made, tmp_path):
    """A finished run, for a test to spoil."""
    return shutil.copytree(made, tmp_path / "run")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serve(UploadHub(root=tmp_path / "hub"), Uploads) as hub:
        point_at(hub, tmp_path / "cache", monkeypatch)
        constants = "huggingface_hub.constants"
        monkeypatch.setattr(f"{constants}.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(f"{constants}.HF_TOKEN_PATH", "/no/such/token")
        monkeypatch.setenv("HF_TOKEN", hub.token)
        yield hub


def files_of(hub, branch="main"):
    """What a branch of the repository holds, by name."""
    commit = hub.names[ID][branch]
    folder = hub.commits[ID][commit]
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def refusal(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments), *FAST])
    said = str(caught.value.code)
    assert said.startswith("push: error: ") and "\n" not in said
    return said


def code_of(card):
    """The blocks of Python of a card."""
    return re.findall(r"```python\n(.*?)```", card.decode(), re.DOTALL)


@pytest.mark.parametrize("branch", ["main", "v1"])
def test_there_and_back(hub, run, tmp_path, monkeypatch, branch, capsys):
    main([str(run), ID, *FAST, "--private", f"--revision={branch}"])
    assert hub.private[ID]
    there = files_of(hub, branch)
    assert hub.names[ID][branch] in capsys.readouterr().out
    assert sum("/commit/" in one for one in hub.writes()) == 1
    for file in (run / "hub").iterdir():
        assert there[file.name] == file.read_bytes()
    if branch != "main":
        assert set(files_of(hub)) == {".gitattributes"}

    noise = 0.1 * torch.randn(2, 16000, generator=torch.manual_seed(1))
    for name, wav in zip(("enrol", "test"), noise, strict=True):
        soundfile.write(tmp_path / f"{name}.wav", wav.numpy(), 16000)
    monkeypatch.chdir(tmp_path)
    (code,) = code_of(there["README.md"])
    assert ID in code and len(code.splitlines()) <= 10
    found = {}
    exec(code, found)
    ours = SpeakerRecognition.from_hparams(source=str(run / "export"))
    wav = ours.load_audio(str(tmp_path / "test.wav"))
    assert torch.equal(found["embedding"], ours.encode_batch(wav))
    assert found["same_speaker"].item() == (found["score"].item() > 0.31)


def test_a_dry_run_asks_nobody(hub, run, capsys):
    main([str(run), ID, *FAST, "--dry-run"])
    out = capsys.readouterr().out
    assert "nothing was uploaded" in out and not hub.requests
    for file in (run / "hub").iterdir():
        assert f"  {file.name}\n" in out
        if file.suffix in (".md", ".json", ".yaml", ".txt"):
            text = file.read_text()
            assert "/home/ann" not in text and str(run) not in text
    main([str(run), ID, *FAST, "--dry-run"])  # over its own


def test_there_already(hub, run):
    main([str(run), ID, *FAST])
    first = files_of(hub)
    assert "is there already" in refusal(run, ID)
    assert files_of(hub) == first
    main([str(run), ID, "--license=mit", "--draws=20", "--update"])
    assert b"license: mit" in files_of(hub)["README.md"]
    assert "and public" in refusal(run, ID, "--private", "--update")


@pytest.mark.parametrize(
    "what, said",
    [
        ("token", "401.*hf auth login"),
        ("no token", "there is no token"),
        ("user", "403.*may not write to bob's"),
        ("offline", "HF_HUB_OFFLINE"),
        ("gone", "onnect"),
        ("commit", "answered 500"),
        ("too large", "413.*too large"),
        ("meanwhile", "412.*meanwhile"),
    ],
)
def test_nothing_is_half_there(hub, run, monkeypatch, what, said):
    repository = ID
    if what == "token":
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    elif what == "no token":
        monkeypatch.delenv("HF_TOKEN")
    elif what == "user":
        repository = "bob/tiny"
    elif what == "offline":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    elif what == "gone":
        nobody = "http://127.0.0.1:9"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", nobody)
    elif what == "meanwhile":
        hub.meanwhile.append(lambda: hub.commit(ID, "main", {"b.txt": b"b"}))
    else:
        status = 413 if what == "too large" else 500
        hub.faults.append(Fault(status, "/commit/", "POST"))
    assert re.search(said, refusal(run, repository))
    made = set(files_of(hub)) - {"b.txt"} if ID in hub.names else set()
    assert made <= {".gitattributes"}


def test_a_card_that_the_hub_refuses(hub, run):
    with pytest.raises(SystemExit) as caught:
        main([str(run), ID, "--license=none-such", "--draws=20"])
    assert '"license" must be one of' in str(caught.value.code)
    assert set(files_of(hub)) == {".gitattributes"}


def test_after_a_failure_the_same_command_goes_on(hub, run):
    hub.faults.append(Fault(500, "/commit/", "POST", times=1))
    refusal(run, ID)
    main([str(run), ID, *FAST])
    assert "embedding_model.ckpt" in files_of(hub)


def test_what_arrives_is_looked_at(hub, run, monkeypatch):
    commit = hub.commit
    monkeypatch.setattr(
        *(hub, "commit"),
        lambda repository, branch, files: commit(
            repository, branch, {key: files[key] for key in list(files)[:1]}
        ),
    )
    assert "lacks" in refusal(run, ID)


@pytest.mark.parametrize(
    "name", ["tiny", "ann/", "a/b/c", "ann/..", "ann/a b", "ann/x.git", "../x"]
)
def test_refused_names(hub, run, name):
    assert "is no name of a model" in refusal(run, name)
    assert not hub.requests and not (run / "hub").exists()


@pytest.mark.parametrize("branch", ["refs/pr/1", "a b", "../x", ""])
def test_refused_branches(hub, run, branch):
    said = refusal(run, ID, f"--revision={branch}")
    assert "is no name of a branch" in said and not hub.requests


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda run: shutil.rmtree(run), "there is no such run"),
        (lambda run: shutil.rmtree(run / "export"), "is no finished run"),
        (
            lambda run: (run / "export" / "README.md").write_text("# Notes\n"),
            "expected the card of an export",
        ),
        (
            lambda run: (run / "export" / "ann.wav").write_bytes(b"RIFF"),
            "ann.wav is not published",
        ),
        (
            lambda run: (run / "export" / "x.ckpt").symlink_to("/etc/passwd"),
            "x.ckpt is not published",
        ),
        (
            lambda run: _cut(run / "export" / "embedding_model.ckpt", 0.5),
            "embedding_model",
        ),
        (lambda run: _cut(run / "scores.txt", 0.5), "line 1.*: expected"),
        (lambda run: _swap(run / "scores.txt"), "are not of one evaluation"),
        (
            lambda run: _replace(run, '"params": ', '"params": 1'),
            "are not of one training",
        ),
        (lambda run: _cut(run / "report" / "results.json", 0.5), "the report"),
    ],
)
def test_half_a_run(hub, run, spoil, said):
    spoil(run)
    assert re.search(said, refusal(run, ID))
    assert not hub.requests and not (run / "hub").exists()


def test_only_its_own_folder_is_replaced(run):
    for folder in (run, run / "export", run / "report"):
        before = sorted(folder.iterdir())
        said = refusal(run, ID, "--dry-run", f"--output={folder}")
        assert "is not replaced" in said
        assert sorted(folder.iterdir()) == before


def _cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


def _swap(path):
    """Scores of another model: each trial has its neighbour's."""
    rows = [line.rsplit(" ", 1) for line in path.read_text().splitlines()]
    lines = [f"{rows[n][0]} {rows[n - 1][1]}\n" for n in range(len(rows))]
    path.write_text("".join(lines))


def _replace(run, old, new):
    path = run / "report" / "results.json"
    path.write_text(path.read_text().replace(old, new))
