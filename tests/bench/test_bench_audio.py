"""The same utterances in every format."""

import json

import pytest
import soundfile

from speechbrain_kd.bench import audio
from speechbrain_kd.bench.common import Options

FORMATS = ["wav", "flac", "int16", "tar", "tar stream"]


@pytest.fixture
def options(tiny_corpus, tmp_path):
    return Options(data_folder=str(tiny_corpus), work=tmp_path)


def no_clock(asked):
    """Instead of the clock: calls each once; the n-th takes n seconds."""

    def best_of_each(functions, repeats):
        for name, function in functions.items():
            asked[name] = function()
        return {name: float(n) for n, name in enumerate(functions, start=1)}

    return best_of_each


def test_every_format_gives_a_crop_of_every_utterance(options, monkeypatch):
    asked = {}
    monkeypatch.setattr(audio, "best_of_each", no_clock(asked))
    facts = json.loads(json.dumps(audio.measure(options)))
    count = facts["utterances"]
    assert 0 < count <= 36
    assert asked == dict.fromkeys(FORMATS, 32000 * count)
    assert facts["cache"] == "warm"
    formats = facts["formats"]
    assert list(formats) == FORMATS
    assert formats["tar"]["ratio"] == 0.25
    assert formats["flac"]["crops_per_second"] == count / 2
    # 16-bit samples, and no more than headers or an index beside.
    samples = 2 * 16000 * 3600 * facts["hours"]
    assert samples < formats["wav"]["bytes"] < 1.05 * samples
    assert formats["tar stream"]["bytes"] == formats["tar"]["bytes"]
    table = audio.report(facts).splitlines()
    assert table[2].startswith("| wav files |")
    assert table[5].split(" | ")[2] == "0.25"
    assert "page cache" in table[-1]


def test_copies_are_used_again_and_checked(options, monkeypatch):
    monkeypatch.setattr(audio, "best_of_each", no_clock({}))
    audio.measure(options)
    (copy, *_) = sorted((options.work / "audio").glob("*/flac/**/*.flac"))
    written = copy.stat().st_mtime_ns
    audio.measure(options)
    assert copy.stat().st_mtime_ns == written
    samples, rate = soundfile.read(copy)
    soundfile.write(copy, 0.5 * samples, rate)
    with pytest.raises(ValueError, match="expected the samples of"):
        audio.measure(options)
