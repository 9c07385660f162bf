"""Where it fails: the changes, the groups and the worst cases."""

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_kd.evaluation.babble import Babble
from speechbrain_kd.evaluation.breakdown import MIN_TRIALS, by_column
from speechbrain_kd.evaluation.changes import (
    add_noise,
    cut,
    embed_changed,
    utterance_rng,
)
from speechbrain_kd.evaluation.hard_cases import (
    hard_cases,
    worst_speakers,
    worst_trials,
)
from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.speaker_table import read_speakers
from speechbrain_kd.evaluation.trials import TrialList
from speechbrain_kd.evaluation.where import by_duration, by_snr

RATE = 16000


class Spectrum(torch.nn.Module):
    """A model that tells tones apart, and notes what it hears."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def embed(self, wavs):
        self.heard.extend(wavs)
        power = torch.fft.rfft(wavs).abs()
        return torch.nn.functional.adaptive_avg_pool1d(power, 64)


@pytest.fixture
def corpus(tmp_path):
    """Six speakers, each a tone, four utterances; all trials of them."""
    rng = np.random.default_rng(0)
    files = {}
    for speaker in range(6):
        for number in range(4):
            name = f"s{speaker}/{number}.wav"
            time = np.arange(RATE // 2 * (1 + number)) / RATE
            tone = np.sin(2 * np.pi * (400 + 900 * speaker) * time)
            wav = 0.1 * tone + 0.01 * rng.normal(size=time.size)
            files[name] = tmp_path / name
            files[name].parent.mkdir(exist_ok=True)
            soundfile.write(files[name], wav, RATE, subtype="FLOAT")
    names = list(files)
    enrol, test = np.triu_indices(len(names), 1)
    labels = [names[e][:2] == names[t][:2] for e, t in zip(enrol, test)]
    return files, TrialList(labels, enrol, test, names)


def test_a_cut_is_a_stretch_and_always_the_same():
    wav = torch.arange(5.0 * RATE)
    one = cut(wav, 2.0, utterance_rng("a"))
    assert one.shape == (2 * RATE,) and (one.diff() == 1).all()
    assert torch.equal(one, cut(wav, 2.0, utterance_rng("a")))
    starts = {float(cut(wav, 2.0, utterance_rng(str(n)))[0]) for n in range(9)}
    assert len(starts) == 9
    assert torch.equal(cut(wav, 5.0, utterance_rng("a")), wav)
    with pytest.raises(ValueError, match="positive, got nan"):
        cut(wav, float("nan"), utterance_rng("a"))


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -5.0])
def test_noise_is_added_at_the_ratio_asked_for(snr_db):
    torch.manual_seed(0)
    wav, noise = 0.01 * torch.randn(9000), 7 * torch.rand(9000)
    added = add_noise(wav, noise, snr_db) - wav
    ratio = 10 * torch.log10(wav.square().mean() / added.square().mean())
    assert ratio == pytest.approx(snr_db, abs=0.01)
    assert torch.corrcoef(torch.stack([added, noise]))[0, 1] > 0.999


def test_noise_that_has_no_ratio():
    with pytest.raises(ValueError, match="the speech is silent"):
        add_noise(torch.zeros(9), torch.ones(9), 5.0)
    with pytest.raises(ValueError, match="the noise is silent"):
        add_noise(torch.ones(9), torch.zeros(9), 5.0)
    with pytest.raises(ValueError, match=r"\[9\], got \[8\]"):
        add_noise(torch.ones(9), torch.ones(8), 5.0)


def test_babble_is_of_others_and_repeats(corpus):
    files, _ = corpus
    babble = Babble(files, voices=6)
    noise = babble("s2/1.wav", RATE, utterance_rng("s2/1.wav"))
    again = Babble(files, voices=6)("s2/1.wav", RATE, utterance_rng("s2/1.wav"))
    assert torch.equal(noise, again)
    power = torch.fft.rfft(noise).abs()
    # Bins of 1 Hz: the tones of others are there, that of s2 is not.
    loud = {n for n in range(6) if power[400 + 900 * n] > 0.05 * power.max()}
    assert 2 not in loud and len(loud) >= 3
    own = {name: path for name, path in files.items() if name[:2] == "s2"}
    with pytest.raises(ValueError, match="no babble for 's2/9.wav'"):
        Babble(own)("s2/9.wav", RATE, utterance_rng("a"))


def test_rows_do_not_depend_on_batch_or_order(corpus):
    files, _ = corpus

    def shorten(wav, name):
        return cut(wav, 1.0, utterance_rng(name))

    model = Spectrum()
    ids, rows = embed_changed(model, files, shorten, progressbar=False)
    assert ids == list(files) and rows.shape == (24, 64)
    assert {wav.shape[0] for wav in model.heard} == {RATE // 2, RATE}
    for size in (1, 5):
        turned = dict(reversed(files.items()))
        _, other = embed_changed(
            model, turned, shorten, progressbar=False, batch_size=size
        )
        torch.testing.assert_close(other.flip(0), rows, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="nothing left"):
        embed_changed(model, files, lambda wav, _: wav[:0], progressbar=False)
    with pytest.raises(ValueError, match="no file to embed"):
        embed_changed(model, {}, shorten)


def test_noise_and_cuts_cost_errors_on_the_test_side_alone(corpus):
    files, trials = corpus
    model = Spectrum()
    _, rows = embed_changed(model, files, lambda w, _: w, progressbar=False)
    rows = {"tones": rows}
    given = ({"tones": model}, rows, trials, files)
    before = rows["tones"].clone()
    noisy = by_snr(
        *given, snrs_db=(-10.0, 40.0), noise="white", progressbar=False
    )
    assert noisy.groups == ["-10 dB", "40 dB", "as it is"]
    rates = noisy.rates["tones"]
    assert rates["-10 dB"] > rates["40 dB"] + 0.1
    assert noisy.trials == dict.fromkeys(noisy.groups, len(trials))
    assert noisy.intervals is None
    assert torch.equal(rows["tones"], before)
    calls = []

    def interval(scores, part):
        calls.append(len(part))
        return float(scores.mean())

    short = by_duration(
        *given, durations_s=(2.0, 0.05), progressbar=False, interval=interval
    )
    assert short.groups == ["0.05 s", "2 s", "whole"]
    # No utterance is longer than 2 s.
    assert short.rates["tones"]["2 s"] == short.rates["tones"]["whole"]
    assert calls == [len(trials)] * 3
    assert "0 to 2 s" in short.what and "23 to 0.05 s" in short.what
    assert short.intervals["tones"]["0.05 s"] < short.intervals["tones"]["2 s"]
    with pytest.raises(ValueError, match="white.*babble.*'pink'"):
        by_snr(*given, noise="pink")


def test_columns_keep_both_speakers_and_small_groups(corpus):
    _, trials = corpus
    speakers = [name[:2] for name in trials.utterances]
    gender = dict(zip(["s0", "s1", "s2", "s3", "s4"], "fffmm"))
    scores = np.random.default_rng(0).normal(size=len(trials))
    found = by_column(trials, {"a": scores}, gender, speakers, "gender")
    both = {"f": 12 * 11 // 2, "m": 8 * 7 // 2, "(not given)": 6}
    assert found.trials == both and found.groups == list(both)
    at = [
        gender.get(speakers[e]) == gender.get(speakers[t]) == "f"
        for e, t in zip(trials.enrol, trials.test)
    ]
    target, impostor = (
        scores[at][trials.labels[at]],
        scores[at][~trials.labels[at]],
    )
    # 18 target trials are too few, and said to be.
    assert target.size == 18 < MIN_TRIALS
    assert found.rates["a"] == dict.fromkeys(both)
    whole = by_column(
        trials,
        {"a": scores},
        dict.fromkeys(set(speakers), "x"),
        speakers,
        "all",
    )
    assert whole.rates["a"]["x"] == eer(*trials.split(scores))
    assert impostor.size == 48
    assert f"{276 - 66 - 28 - 6:,} of 276 trials are across" in found.what
    with pytest.raises(ValueError, match="24 utterances, got 2"):
        by_column(trials, {}, gender, ["a", "b"], "gender")


def test_tables_of_speakers(tmp_path, realvox):
    columns = read_speakers(realvox / "meta" / "speakers.csv")
    # A name in the source corpus tells speakers apart and makes no groups.
    assert set(columns) == {"corpus", "set"}
    assert set(columns["corpus"].values()) == {
        "an4",
        "samromur",
        "speechocean762",
    }
    path = tmp_path / "vox1_meta.csv"
    path.write_text(
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tSet\n"
        "id1\tA.J._Buckley\tm\tdev\nid2\tB, C\tf\tdev\n"
        "id3\tD\tm\tdev\nid4\tE\tf\tdev\n"
    )
    assert read_speakers(path) == {
        "Gender": {"id1": "m", "id2": "f", "id3": "m", "id4": "f"}
    }
    path.write_text("id,gender\na,f\nb\n")
    with pytest.raises(ValueError, match=r"line 3: expected 2 .*\['b'\]"):
        read_speakers(path)
    path.write_text("id,gender\na,f\na,m\n")
    with pytest.raises(ValueError, match="line 3: speaker 'a' comes twice"):
        read_speakers(path)
    path.write_text("")
    with pytest.raises(ValueError, match="expected a header"):
        read_speakers(path)
    with pytest.raises(FileNotFoundError, match="no such table"):
        read_speakers(tmp_path / "nowhere.csv")


def test_worst_cases_by_a_plain_loop():
    rng = np.random.default_rng(1)
    names = [f"s{n // 3}/{n}.wav" for n in range(15)]
    speakers = [name[:2] for name in names]
    enrol, test = rng.integers(15, size=(2, 400))
    labels = np.array([speakers[e] == speakers[t] for e, t in zip(enrol, test)])
    trials = TrialList(labels, enrol, test, names)
    scores = rng.normal(size=400) + labels
    worst = worst_speakers(trials, scores, speakers, 0.5, count=3)
    rates = {}
    for one in sorted(set(speakers)):
        wrong, total = [0, 0], [0, 0]
        for e, t, label, score in zip(enrol, test, labels, scores):
            if one in (speakers[e], speakers[t]):
                total[int(label)] += 1
                wrong[int(label)] += (score >= 0.5) != label
        rates[one] = (wrong[0] / total[0] + wrong[1] / total[1]) / 2
        for found in worst:
            if found.speaker == one:
                assert [found.false_alarms, found.misses] == wrong
                assert [found.impostor_trials, found.target_trials] == total
    expected = sorted(rates, key=lambda one: -rates[one])[:3]
    assert [found.speaker for found in worst] == expected
    assert [found.rate for found in worst] == pytest.approx(
        [rates[one] for one in expected]
    )
    assert worst[0].utterance.startswith(worst[0].speaker)
    hard = worst_trials(trials, scores, 0.5, count=4)
    assert [one.kind for one in hard] == ["miss"] * 4 + ["false alarm"] * 4
    assert hard[0].score == scores[labels].min()
    assert hard[4].score == scores[~labels].max()
    assert hard_cases(trials, scores, speakers, 0.5, 4).trials == hard


def test_no_errors_no_cases():
    trials = TrialList([1, 0], [0, 0], [1, 2], ["a", "b", "c"])
    found = hard_cases(trials, np.array([1.0, 0.0]), ["x", "x", "y"], 0.5)
    assert found.trials == [] and found.speakers == []
    with pytest.raises(ValueError, match="each of 2 trials, got .*3"):
        worst_trials(trials, np.zeros(3), 0.5)
    with pytest.raises(ValueError, match="3 utterances, got 2"):
        worst_speakers(trials, np.zeros(2), ["x", "y"], 0.5)
