"""VoxCeleb1, VoxCeleb2 and both in miniature, of real speech."""

import shutil

import numpy as np
import pytest
import soundfile
from small_runs import train, train_log

from speechbrain_kd.data.corpus import load_corpus

pytestmark = pytest.mark.usefixtures("training_only")

SIZE = ("--batch_size=8", "--sentence_len=1.0")


def by_set(realvox, which):
    """Speakers of ``dev`` or ``test``."""
    lines = (realvox / "meta" / "speakers.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    return [row[0] for row in rows if row[-1] == which]


def flacs(realvox, speaker, count=4):
    """Some utterances of a speaker."""
    return sorted((realvox / "wav" / speaker).glob("*/*.flac"))[:count]


@pytest.fixture(scope="module")
def voxceleb1(realvox, tmp_path_factory):
    """wav/<speaker>/<recording>/<n>.wav and its trial list."""
    folder = tmp_path_factory.mktemp("voxceleb1")
    lines = (realvox / "meta" / "veri_test.txt").read_text().splitlines()
    kept = []
    testers = by_set(realvox, "test")[:4]
    for speaker in [*by_set(realvox, "dev")[:6], *testers]:
        for flac in flacs(realvox, speaker):
            name = flac.relative_to(realvox / "wav").with_suffix(".wav")
            (folder / "wav" / name).parent.mkdir(parents=True, exist_ok=True)
            samples, rate = soundfile.read(flac)
            soundfile.write(folder / "wav" / name, samples, rate, "PCM_16")
            kept.append(str(name))
    trials = [
        line.replace(".flac", ".wav")
        for line in lines
        if set(line.replace(".flac", ".wav").split()[1:]) <= set(kept)
    ]
    assert {line[0] for line in trials} == {"0", "1"}
    (folder / "meta").mkdir()
    (folder / "meta" / "veri_test.txt").write_text("\n".join(trials) + "\n")
    return folder


@pytest.fixture(scope="module")
def voxceleb2(realvox, tmp_path_factory):
    """dev/aac/<speaker>/<recording>/<n>.m4a."""
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("voxceleb2")
    for speaker in by_set(realvox, "dev")[6:12]:
        for flac in flacs(realvox, speaker):
            samples, rate = soundfile.read(flac, dtype="float32")
            assert rate == 16000
            target = folder / "dev" / "aac" / speaker / flac.parent.name
            target.mkdir(parents=True, exist_ok=True)
            write_m4a(target / f"{flac.stem}.m4a", samples)
    return folder


def write_m4a(path, samples):
    """Writes AAC as VoxCeleb2 has it."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None]), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 16000, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def check(folder, speakers, utterances):
    """One epoch was trained on so much."""
    corpus = load_corpus(folder / "save")
    assert len(corpus.speakers) == speakers
    rows = [
        path.read_text().splitlines()[1:]
        for path in (corpus.train_csv, corpus.valid_csv)
    ]
    assert sum(map(len, rows)) == utterances
    (entry,) = train_log(folder)
    assert all(np.isfinite(value) for value in entry.values())
    return corpus


def test_voxceleb1(voxceleb1, tmp_path):
    folder = train(voxceleb1, tmp_path / "run", *SIZE)
    corpus = check(folder, speakers=6, utterances=24)
    testers = {name.split("/")[0] for name in corpus.test_files}
    assert testers and not testers & set(corpus.speakers)


def test_voxceleb2(voxceleb2, tmp_path):
    folder = train(voxceleb2, tmp_path / "run", *SIZE)
    corpus = check(folder, speakers=6, utterances=24)
    assert corpus.trials is None


@pytest.mark.parametrize("form", ["[{}, {}]", "{},{}"])
def test_both(voxceleb1, voxceleb2, tmp_path, form):
    data = form.format(voxceleb1, voxceleb2)
    folder = train(data, tmp_path / "run", *SIZE)
    corpus = check(folder, speakers=12, utterances=48)
    assert corpus.data_folders == [voxceleb1, voxceleb2]
    assert corpus.trials is not None


def test_both_in_one_folder(voxceleb1, voxceleb2, tmp_path):
    """Both unpacked into one folder, as the upstream recipe wants it."""
    shutil.copytree(voxceleb1 / "wav", tmp_path / "both" / "wav")
    shutil.copytree(voxceleb1 / "meta", tmp_path / "both" / "meta")
    shutil.copytree(
        voxceleb2 / "dev" / "aac", tmp_path / "both" / "wav", dirs_exist_ok=True
    )
    folder = train(tmp_path / "both", tmp_path / "run", *SIZE)
    check(folder, speakers=12, utterances=48)
