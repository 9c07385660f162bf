"""Error rates by group and condition, recomputed."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_kd.evaluating.crossing import map_between, through
from speechbrain_kd.evaluating.scoring import Scoring
from speechbrain_kd.evaluating.systems import System
from speechbrain_kd.evaluation.cohort import Cohort
from speechbrain_kd.evaluation.metrics import eer
from speechbrain_kd.evaluation.scoring import cosine_scores
from speechbrain_kd.evaluation.trials import read_trials
from speechbrain_kd.study import validation as module
from speechbrain_kd.study.plan import Conditions
from speechbrain_kd.study.rates import Bench, measure, rates
from speechbrain_kd.study.validation import validate

RATE = 16000


class Spectrum(torch.nn.Module):
    """Embeds by 32 bands of the mean spectrum."""

    def embed(self, wavs: torch.Tensor) -> torch.Tensor:
        power = torch.stft(
            wavs, 256, window=torch.hann_window(256), return_complex=True
        ).abs()
        return power.mean(-1)[:, :128].reshape(len(wavs), 32, 4).mean(-1)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> SimpleNamespace:
    """Ten speakers of two corpora, each a tone in noise; all trials."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    files, rows = {}, ["id,corpus"]
    for number in range(10):
        rows.append(f"s{number},{'ab'[number % 2]}")
        for take in range(4):
            name = f"s{number}/r/{take}.wav"
            seconds = np.arange(2 * RATE) / RATE
            wav = np.sin(2 * np.pi * 200 * (1 + number) * seconds)
            wav = 0.1 * wav + 0.4 * rng.standard_normal(wav.size)
            files[name] = folder / "wav" / name
            files[name].parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(files[name], wav / 4, RATE)
    (folder / "meta").mkdir()
    (folder / "meta" / "speakers.csv").write_text("\n".join(rows))
    names = list(files)
    lines = [
        f"{int(one[:2] == other[:2])} {one} {other}"
        for at, one in enumerate(names)
        for other in names[at + 1 :]
    ]
    trials = folder / "meta" / "veri_test.txt"
    trials.write_text("\n".join(lines))
    return SimpleNamespace(
        data_folders=[folder], trials=trials, test_files=files, valid_csv="v"
    )


@pytest.fixture
def bench(corpus, tmp_path) -> Bench:
    conditions = Conditions("corpus", (1.0,), (0.0,), "white")
    return Bench(corpus, conditions, tmp_path)


def system_of(
    bench: Bench, model: torch.nn.Module, mean: float = 0.0
) -> System:
    files = bench.corpus.test_files
    wavs = [soundfile.read(path, dtype="float32")[0] for path in files.values()]
    rows = model.embed(torch.from_numpy(np.stack(wavs))).numpy()
    places = {name: row for row, name in enumerate(files)}
    cohort = Cohort(np.full((3, rows.shape[1]), mean) + 1e-9)
    return System(None, model, [], places, rows, cohort)


def test_groups_count_each_alike(bench):
    system = system_of(bench, Spectrum())
    trials = read_trials(bench.corpus.trials)
    scores = cosine_scores(system.rows_of(trials), trials)
    found = rates(scores, trials, bench.values())
    own = {}
    for group, ids in (("a", "02468"), ("b", "13579")):
        inside = [
            trials.utterances[one][1] in ids
            and trials.utterances[two][1] in ids
            for one, two in zip(trials.enrol, trials.test, strict=True)
        ]
        at = np.array(inside)
        both = scores[at & trials.labels], scores[at & ~trials.labels]
        own[group] = eer(*both)
    assert found["groups"] == pytest.approx(own)
    assert found["mean"] == pytest.approx((own["a"] + own["b"]) / 2)
    assert found["pooled"] == pytest.approx(eer(*trials.split(scores)))
    assert found["mean"] != pytest.approx(found["pooled"], abs=1e-6)


def test_every_condition_and_who_enrols(bench):
    system = system_of(bench, Spectrum())
    found = measure(system, bench, system)
    shared = measure(system, bench, system_of(bench, Spectrum(), mean=0.1))
    assert list(found) == ["whole", "1 s", "0 dB", "teacher enrols"]
    # The model itself enrols: as without a teacher.
    assert found["teacher enrols"] == found["whole"]
    # What its embeddings share is taken off them.
    assert shared["teacher enrols"] != found["whole"] == shared["whole"]
    assert found["1 s"] != found["whole"] != found["0 dB"]
    for one in found.values():
        assert set(one["groups"]) == {"a", "b"}
    small = System(None, None, rows=np.ones((40, 3)))
    assert "teacher enrols" not in measure(system, bench, small)


def by_hand(enrolled, tested, trials, cohort_of_tests, cohort, top):
    """Adaptive s-norm, a trial at a time."""
    scores = []
    for one, two in zip(trials.enrol, trials.test, strict=True):
        enrol, test = enrolled[one], tested[two]
        mine = np.sort(cohort_of_tests @ enrol)[-top:]
        theirs = np.sort(cohort @ test)[-top:]
        score = enrol @ test
        own = (score - mine.mean()) / mine.std(ddof=1)
        other = (score - theirs.mean()) / theirs.std(ddof=1)
        scores.append((own + other) / 2)
    return np.array(scores)


def test_adaptive_s_norm_by_the_training_speakers(bench):
    def unit(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    asked = Conditions("corpus", (), (), "white", as_norm=5)
    bench = Bench(bench.corpus, asked, bench.cache)
    system, teacher = (system_of(bench, Spectrum()) for _ in range(2))
    rng = np.random.default_rng(1)
    system.cohort = Cohort(unit(rng.random((12, 32))))
    teacher.cohort = Cohort(unit(rng.random((12, 32))))
    found = measure(system, bench, teacher)
    assert list(found) == [
        *("whole", "AS-norm", "teacher enrols", "teacher enrols, AS-norm")
    ]
    trials, values = read_trials(bench.corpus.trials), bench.values()
    rows, cohort = unit(system.rows_of(trials)), unit(system.cohort.embeddings)
    mean = teacher.cohort.mean
    enrolled = unit(rows - mean)
    expected = by_hand(rows, rows, trials, cohort, cohort, 5)
    assert found["AS-norm"] == rates(expected, trials, values)
    others = unit(teacher.cohort.embeddings - mean)
    expected = by_hand(enrolled, rows, trials, cohort, others, 5)
    assert found["teacher enrols, AS-norm"] == rates(expected, trials, values)
    # Of fewer speakers than are asked for, all are taken.
    few = Conditions("corpus", (), (), "white", as_norm=50)
    all_of_them = Conditions("corpus", (), (), "white", as_norm=12)
    assert measure(system, Bench(bench.corpus, few, bench.cache)) == measure(
        system, Bench(bench.corpus, all_of_them, bench.cache)
    )


def test_the_teachers_enrolments_are_mapped(bench):
    asked = Conditions("corpus", (), (), "white", mapped=True)
    bench = Bench(bench.corpus, asked, bench.cache)
    rng = np.random.default_rng(1)
    trials = read_trials(bench.corpus.trials)
    plain = system_of(bench, Spectrum())
    rows = plain.rows_of(trials)
    places = {name: row for row, name in enumerate(trials.utterances)}
    speakers = [f"s{number}" for number in range(100)]

    def system(matrix):
        heard = (np.abs(heard_rows) @ matrix).astype(np.float32)
        return System(
            *(None, plain.model, [], places, rows @ matrix),
            Cohort.from_utterances(heard, speakers),
            heard=heard,
            heard_speakers=speakers,
        )

    heard_rows = rows.mean(0) + rows.std(0) * rng.normal(size=(100, 32))
    student = system(np.eye(32, dtype=np.float32))
    teacher = system(rng.normal(size=(32, 40)).astype(np.float32))
    found = measure(student, bench, teacher)
    assert list(found) == ["whole", "teacher enrols, mapped"]
    sides = through(map_between(teacher, student), teacher, student)
    scores = sides[0].score(trials, Scoring(), sides[1])
    expected = rates(scores, trials, bench.values())
    assert found["teacher enrols, mapped"] == expected
    assert expected["mean"] < 0.4


def test_validation_trials_are_within_a_group(bench, monkeypatch):
    files = bench.corpus.test_files
    held = SimpleNamespace(files=files)
    monkeypatch.setattr(module, "held_out", lambda corpus: held)
    made = []
    trials_of = module.validation_trials

    def watch(speakers, names):
        made.append(set(speakers))
        return trials_of(speakers, names)

    monkeypatch.setattr(module, "validation_trials", watch)
    found = validate(Spectrum().eval(), bench)
    even, odd = ({f"s{n}" for n in range(at, 10, 2)} for at in (0, 1))
    assert made == [even, odd]
    assert found["mean"] == pytest.approx(
        np.mean(list(found["groups"].values()))
    )
    held.files = {"s1/r/0.wav": files["s1/r/0.wav"]}
    with pytest.raises(ValueError, match="no validation trial can be made"):
        validate(Spectrum().eval(), bench)


def test_a_column_that_no_table_has(bench):
    other = Bench(bench.corpus, Conditions("accent"), bench.cache)
    with pytest.raises(ValueError, match="no column 'accent' that groups"):
        other.values()
