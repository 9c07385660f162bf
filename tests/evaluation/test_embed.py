"""Embedding of files: no padding, the right order, clear errors."""

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_kd.evaluation import embed_files


def make_files(folder, lengths, rate=16000):
    """Noise of so many samples a file, of different loudness."""
    files = {}
    rng = np.random.default_rng(0)
    for number, samples in enumerate(lengths):
        wav = (0.1 + 0.01 * number) * rng.uniform(-1, 1, samples)
        files[f"u{number}"] = folder / f"{number}.wav"
        soundfile.write(files[f"u{number}"], wav, rate, subtype="FLOAT")
    return files


class Recorder:
    """An embedding of length and content that notes its batches."""

    def __init__(self):
        self.shapes = []

    def __call__(self, wavs):
        self.shapes.append(tuple(wavs.shape))
        length = torch.full((len(wavs),), float(wavs.shape[1]))
        return torch.stack([length, wavs.std(dim=1), wavs[:, 0]], dim=1)


LENGTHS = [4000, 8000, 4000, 4001, 8000, 4000, 2000]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_rows_follow_the_files_and_nothing_is_padded(tmp_path, num_workers):
    files = make_files(tmp_path, LENGTHS)
    model = Recorder()
    ids, embeddings = embed_files(
        model, files, num_workers=num_workers, progressbar=False
    )
    assert ids == list(files)
    assert embeddings.dtype == torch.float32
    assert embeddings[:, 0].tolist() == LENGTHS
    for row, path in zip(embeddings, files.values(), strict=True):
        wav = torch.tensor(soundfile.read(path, dtype="float32")[0])
        torch.testing.assert_close(row[1], wav.std())
        assert row[2] == wav[0]
    assert model.shapes == [(2, 8000), (1, 4001), (3, 4000), (1, 2000)]


def test_an_embedding_does_not_depend_on_its_batch(tmp_path):
    files = make_files(tmp_path, LENGTHS)
    _, together = embed_files(Recorder(), files, progressbar=False)
    for number, (name, path) in enumerate(files.items()):
        _, alone = embed_files(Recorder(), {name: path}, progressbar=False)
        torch.testing.assert_close(alone[0], together[number])


def test_batches_are_bounded(tmp_path):
    files = make_files(tmp_path, [4000] * 7)
    model = Recorder()
    embed_files(model, files, batch_size=3, progressbar=False)
    assert model.shapes == [(3, 4000), (3, 4000), (1, 4000)]
    model = Recorder()
    embed_files(model, files, max_batch_s=0.5, progressbar=False)
    assert model.shapes == [(2, 4000)] * 3 + [(1, 4000)]
    # A file longer than the bound is still embedded, by itself.
    model = Recorder()
    embed_files(model, files, max_batch_s=0.1, progressbar=False)
    assert model.shapes == [(1, 4000)] * 7


def test_short_utterances_are_repeated(tmp_path):
    files = make_files(tmp_path, [700, 1600])
    seen = []

    def model(wavs):
        seen.extend(wavs)
        return wavs[:, :2]

    embed_files(model, files, progressbar=False)
    short = next(wav for wav in seen if wav[0] == wav[700])
    assert {wav.shape for wav in seen} == {(1600,)}
    assert torch.equal(short[700:1400], short[:700])
    assert torch.equal(short[1400:], short[:200])


def test_no_gradient_and_a_progress_bar(tmp_path, capsys):
    files = make_files(tmp_path, [2000])
    layer = torch.nn.Linear(2000, 4).eval()
    _, embeddings = embed_files(layer, files)
    assert not embeddings.requires_grad
    assert "embed" in capsys.readouterr().err


def test_real_speech(realvox):
    paths = sorted(realvox.glob("wav/*/*/*.flac"))[:5]
    ids, embeddings = embed_files(
        Recorder(), {path.name: path for path in paths}, progressbar=False
    )
    expected = [soundfile.info(path).frames for path in paths]
    assert embeddings[:, 0].tolist() == expected


def test_bad_arguments(tmp_path):
    files = make_files(tmp_path, [2000, 2000])
    with pytest.raises(ValueError, match="no file to embed"):
        embed_files(Recorder(), {})
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        embed_files(Recorder(), files, batch_size=0)
    with pytest.raises(ValueError, match="Dropout is in training mode"):
        embed_files(torch.nn.Dropout(), files)
    with pytest.raises(ValueError, match=r"\[2, dim\] .* shape \[2, 1, 2000\]"):
        embed_files(lambda wavs: wavs[:, None], files, progressbar=False)


def test_bad_files_are_named(tmp_path):
    files = make_files(tmp_path, [2000])
    soundfile.write(tmp_path / "void.wav", np.zeros(0), 16000)
    files["void"] = tmp_path / "void.wav"
    with pytest.raises(ValueError, match="void.wav"):
        embed_files(Recorder(), files, progressbar=False)
    files["void"] = tmp_path / "nowhere.wav"
    with pytest.raises((ValueError, FileNotFoundError), match="nowhere.wav"):
        embed_files(Recorder(), files, progressbar=False)


def test_no_samples_after_decoding(tmp_path, monkeypatch):
    # A header may promise what the decoder does not deliver.
    from speechbrain_kd.evaluation import embed

    files = make_files(tmp_path, [2000])
    monkeypatch.setattr(embed, "load_audio", lambda *a, **k: torch.empty(0))
    with pytest.raises(ValueError, match="0.wav: no audio in the file"):
        embed_files(Recorder(), files, progressbar=False)
