"""``speechbrain-kd evaluate``: whole evaluations of small models."""

import hashlib
import json
import runpy
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from speechbrain_kd.evaluate import main
from speechbrain_kd.evaluation import embed_files, filling, score_system
from speechbrain_kd.evaluation.evaluation import ListResult
from speechbrain_kd.evaluation.score_files import read_scores
from speechbrain_kd.evaluation.trials import read_trials
from speechbrain_kd.model_sources import load_model

_LAYOUT = Path(__file__).parent / "teachers" / "teacher_layout.py"
QUIET = ["--noprogressbar", "--nocosts", "--draws=20", "--where=none"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A run with its log, and an export; of one dimension."""
    write_model = runpy.run_path(str(_LAYOUT))["write_model"]
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "run" / "export", "ecapa")
    (folder / "run" / "train_log.txt").write_text(
        "epoch: 1, lr: 1.0e-03 - train loss: 2.50 - valid EER: 2.0e-01\n"
        "epoch: 2, lr: 1.0e-03 - train loss: 1.50 - valid EER: 1.0e-01\n"
    )
    (folder / "run" / "hyperparams.yaml").write_text(
        "data_folder: /a/own,/b/more\n"
    )
    write_model(folder / "other", "resnet")
    return folder


@pytest.fixture(scope="module")
def lists(tiny_corpus, tmp_path_factory):
    """All pairs of the first utterances; and the corpus's own."""
    folder = tmp_path_factory.mktemp("lists")
    names = sorted(
        path.relative_to(tiny_corpus / "wav").as_posix()
        for path in (tiny_corpus / "wav").glob("*/*/00001.wav")
    )
    pairs = list(combinations(names, 2))
    lines = [f"{int(a[:7] == b[:7])} {a} {b}\n" for a, b in pairs]
    (folder / "all.txt").write_text("".join(lines))
    lines = [f"{a} {b}\n" for a, b in pairs[:5]]
    (folder / "blind.txt").write_text("".join(lines))
    (folder / "spk2utt").write_text(
        "".join(
            f"{a[:7]} {a} {a.replace('1.wav', '2.wav')}\n" for a in names[::2]
        )
    )
    (folder / "models.txt").write_text(
        "".join(
            f"{int(a[:7] == b[:7])} {a[:7]} {b}\n"
            for a in names[::2]
            for b in names[1::2]
        )
    )
    (folder / "speakers.csv").write_text(
        "id,kind\n" + "".join(f"id{n:05d},{'fm'[n % 2]}\n" for n in range(8))
    )
    return folder


@pytest.fixture
def evaluate(tiny_corpus, models, tmp_path):
    """Runs the command on the two models; gives results.json."""

    def evaluate(*options, quiet=True):
        sources = [f"ours={models / 'run'}", f"other={models / 'other'}"]
        places = [f"--output={tmp_path / 'out'}", f"--cache={tmp_path / 'c'}"]
        quiet = QUIET if quiet else []
        main(
            [*sources, f"--data_folder={tiny_corpus}", *places, *quiet]
            + list(map(str, options))
        )
        path = tmp_path / "out" / "results.json"
        return json.loads(path.read_text()) if path.is_file() else None

    return evaluate


def test_all_of_it(evaluate, lists, models, tmp_path, capsys):
    found = evaluate(
        "--trials",
        f"all={lists / 'all.txt'}",
        f"pooled={lists / 'models.txt'}",
        f"blind={lists / 'blind.txt'}",
        f"--spk2utt=pooled={lists / 'spk2utt'}",
        f"--speakers={lists / 'speakers.csv'}",
        "--where=durations,snr,columns",
        "--cross",
        "--draws=20",
        "--noprogressbar",
        "--reference=other",
        quiet=False,
    )
    names = [facts["name"] for facts in found["systems"]]
    assert names == ["other", "ours"] and found["lists"] == ["all", "pooled"]
    ours = found["systems"][1]
    assert ours["params"] > 0 and ours["ms_per_second"] > 0
    assert ours["run_folder"] == str(models / "run")
    assert ours["trained_on"] == ["own", "more"] and ours["dim"] == 12
    tests = [(one["list"], one["statistic"]) for one in found["differences"]]
    assert len(tests) == 4 and set(tests) == {
        (name, kind) for name in found["lists"] for kind in ("eer", "min_dcf")
    }
    matrix = found["cross"][0]["eer"]
    result = found["results"]["all"]["ours"]
    assert matrix["ours"]["ours"] == result["eer"]
    assert set(matrix["other"]) == {"other", "ours"}
    assert result["trials"] == 120 and result["target_trials"] == 8
    assert result["act_dcf"] is None and result["speakers"] == 8
    assert set(result) == set(ListResult.__dataclass_fields__)
    titles = [one["title"] for one in found["where"]]
    assert len(titles) == 5 and sum("all" in title for title in titles) == 4
    out = tmp_path / "out"
    page = (out / "index.html").read_text()
    assert "ours" in page and "train loss" in page
    assert "| ours |" in (out / "report.md").read_text()
    assert "| ours |" in capsys.readouterr().out
    scores = (out / "scores" / "blind.ours.txt").read_text().splitlines()
    assert len(scores) == 5


def test_scores_are_those_of_the_plain_way(
    evaluate, lists, models, tiny_corpus, tmp_path
):
    found = evaluate("--trials", lists / "all.txt")
    trials = read_trials(lists / "all.txt")
    files = {name: tiny_corpus / "wav" / name for name in trials.utterances}
    model = load_model(str(models / "run"))
    expected, result = score_system(
        *embed_files(model.embed, files, progressbar=False), trials
    )
    got = read_scores(tmp_path / "out" / "scores" / "all.ours.txt")[1]
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert found["results"]["all"]["ours"]["eer"] == pytest.approx(result.eer)


def test_a_second_time_embeds_nothing(evaluate, lists, monkeypatch):
    first = evaluate("--trials", lists / "all.txt")
    monkeypatch.setattr(filling, "embed_stream", None)
    again = evaluate(
        "--trials", lists / "all.txt", f"again={lists / 'all.txt'}"
    )
    assert again["results"]["all"] == first["results"]["all"]
    assert again["results"]["again"] == first["results"]["all"]


@pytest.mark.parametrize(
    "options",
    [
        ["--norm=as", "--top_k=2"],
        ["--norm=z", "--centre"],
        ["--centre"],
        ["--backend=plda"],
    ],
)
def test_scores_by_a_cohort(
    evaluate, lists, models, tiny_corpus, tmp_path, options
):
    # Of the same speakers, who would be others: here only the way counts.
    cohort = [f"--cohort={tiny_corpus / 'wav'}", "--allow-contaminated"]
    given = ["--trials", lists / "all.txt", "--cross", "--map"]
    found = evaluate(*given, *cohort, *options)
    trials = read_trials(lists / "all.txt")
    files = {name: tiny_corpus / "wav" / name for name in trials.utterances}
    model = load_model(str(models / "run"))
    rows = embed_files(model.embed, files, progressbar=False)
    plain = score_system(*rows, trials)[1]
    result = found["results"]["all"]["ours"]
    assert result["threshold"] != pytest.approx(plain.threshold)
    assert "48 utterances of 8 speakers" in " ".join(found["notes"])
    assert found["seen"]["all"]["ours"]["by"] == {"the cohort": 8}
    own = found["cross"][0]["eer"]["ours"]["ours"]
    plda = "--backend=plda" in options
    assert own == pytest.approx(plain.eer if plda else result["eer"])
    plain, mapped = found["cross"]
    assert mapped["mapped"] and set(mapped["eer"]["ours"]) == {"other"}
    report = (tmp_path / "out" / "report.md").read_text()
    assert "a column verifies, enrolments mapped (EER)" in report
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("mapped into the space of the other by least") == 1
    with np.load(tmp_path / "out" / "maps" / "ours.other.npz") as file:
        matrix = file["matrix"]
        assert file["mean"].shape == (matrix.shape[0],) == (12,)
        assert file["other_mean"].shape == (matrix.shape[1],)


def test_calibration(evaluate, lists, tiny_corpus, models, tmp_path):
    own = tiny_corpus / "meta" / "veri_test.txt"
    given = ["--trials", f"all={lists / 'all.txt'}", f"--calibrate={own}"]
    plain = evaluate(*given)["results"]["all"]["ours"]
    assert plain["cllr"] >= plain["min_cllr"] - 1e-9
    for prior, cost in plain["act_dcf"].items():
        assert cost >= plain["min_dcf"][prior] - 1e-9
    written = tmp_path / "out" / "calibration" / "ours.json"
    line = json.loads(written.read_text())
    assert len(line["weights"]) == 1
    # Shipped in an export, the same line gives the same costs.
    shipped = models / "run" / "export" / "calibration.json"
    shipped.write_text(written.read_text())
    try:
        found = evaluate("--trials", f"all={lists / 'all.txt'}")
    finally:
        shipped.unlink()
    assert found["results"]["all"]["ours"] == plain
    assert found["results"]["all"]["other"]["cllr"] is None
    found = evaluate(*given, "--quality", "duration", "magnitude")
    line = json.loads(written.read_text())
    assert len(line["weights"]) == 5 and "thresholds" not in line
    assert found["results"]["all"]["ours"]["cllr"] != plain["cllr"]


def test_embed_only_by_two_processes(evaluate, lists, monkeypatch):
    given = ["--trials", lists / "all.txt"]
    assert evaluate(*given, "--embed_only", "--processes=2") is None
    monkeypatch.setattr(filling, "embed_stream", None)
    assert evaluate(*given)["lists"] == ["all"]


@pytest.mark.parametrize(
    "options, status, problem",
    [
        (["--trials=none.txt"], 1, "none.txt: there is no such trial list"),
        (["--trials={all}", "--reference=x"], 1, "expected one of ours, other"),
        (["--trials={all}", "--data_folder=none"], 1, "no folder .*none"),
        (["--trials={all}", "--cohort=none"], 1, "there is no none"),
        (["--trials={all}", "--where=sex"], 2, "got 'sex'"),
        (["--trials={all}", "--norm=s"], 2, "take a --cohort"),
        (["--trials={all}", "--map", "--cross"], 2, "--map takes --cross and"),
        (["--trials={all}", "--draws=1"], 2, "0, or at least 2"),
        (["--trials={all}", "--p_target=2"], 2, "between 0 and 1"),
        (["--trials={all}", "--quality=duration"], 2, "a list to --calibrate"),
        (["--trials={all}", "other=none"], 2, "unrecognized|two models"),
        (["--trials", "{all}", "{all}"], 1, "two trial lists are called 'all'"),
        (["--trials={all}", "--spk2utt=x={all}"], 1, "'x' is no trial list"),
        ([], 2, "--trials"),
    ],
)
def test_errors_are_one_line(evaluate, lists, capsys, options, status, problem):
    options = [option.format(all=lists / "all.txt") for option in options]
    with pytest.raises(SystemExit) as caught:
        evaluate(*options)
    said = capsys.readouterr().err
    if status == 1:
        assert isinstance(caught.value.code, str)  # Python exits with 1
        said = caught.value.code
    else:
        assert caught.value.code == 2
    assert "evaluate: error:" in said
    assert pytest.raises(ValueError, match=problem).matches(ValueError(said))


@pytest.fixture
def trained(models):
    """``ours`` has a record: trained on two speakers, its teacher on all."""
    learners = [
        {"who": who, "trained_on": [], "unknown": [], "sets": [part]}
        for who, ids in (("itself", range(2)), ("its teacher x", range(8)))
        for ids in [[f"id{number:05d}" for number in ids]]
        for digest in [hashlib.sha256("\n".join(ids).encode()).hexdigest()]
        for part in [
            {"name": "t", "corpus": None, "ids": ids, "sha256": digest}
        ]
    ]
    path = models / "run" / "export" / "training_data.json"
    path.write_text(json.dumps({"format": 1, "learners": learners}))
    yield
    path.unlink()


def test_a_contaminated_list_is_refused(evaluate, lists, trained, monkeypatch):
    monkeypatch.setattr(filling, "embed_stream", None)  # nothing is embedded
    with pytest.raises(SystemExit) as refused:
        evaluate("--trials", f"O={lists / 'all.txt'}")
    said = str(refused.value)
    assert "the trial list O is contaminated (ours: 8 of 8 test spea" in said
    assert "seen by itself and its teacher x)" in said
    assert all(f"id0000{number}" in said for number in range(8))
    assert "other" not in said.split("Shared")[0]


def test_or_marked_in_every_table(evaluate, lists, trained, tmp_path):
    found = evaluate(
        "--trials",
        f"O={lists / 'all.txt'}",
        "--allow-contaminated",
        "--cross",
        "--draws=0",
        f"--speakers={lists / 'speakers.csv'}",
        "--where=columns",
        "--nocosts",
        "--noprogressbar",
        quiet=False,
    )
    met = found["seen"]["O"]
    assert met["ours"]["shared"] == 8 and met["other"]["shared"] == 0
    assert met["other"]["unknown"] == ["itself (nothing is stated)"]
    report = (tmp_path / "out" / "report.md").read_text()
    assert report.count("| ours (contaminated) |") == 3  # rates, cross twice
    assert "contaminated: 8 of 8 test speakers seen by itself and" in report
    assert "not known: itself (nothing is stated) |" in report
    assert "Not on new speakers: ours, contaminated: 8 of 8" in report
    page = (tmp_path / "out" / "index.html").read_text()
    # A row in each of three tables, a column of the last, and the worst.
    assert page.count("<small>contaminated</small>") == 4
    assert page.count("</span>ours (contaminated): ") == 1
    assert "not known: itself (nothing is stated)</td>" in page


def test_missing_utterance(evaluate, lists, tmp_path):
    path = tmp_path / "lost.txt"
    path.write_text("1 id00000/rec0/00001.wav id00000/rec9/00001.wav\n" * 2)
    path.write_text(path.read_text() + "0 id00000/rec0/00001.wav id1/a/1.wav\n")
    with pytest.raises(
        SystemExit, match=r"rec9/00001.wav'.*2 of 3 are missing"
    ):
        evaluate("--trials", path)


def test_a_list_of_one_class(evaluate, lists, tmp_path):
    lines = (lists / "all.txt").read_text().splitlines(keepends=True)
    path = tmp_path / "alike.txt"
    path.write_text("".join(line for line in lines if line[0] == "0"))
    with pytest.raises(SystemExit, match="alike: .* no target"):
        evaluate("--trials", path)


def test_the_manifest_of_a_run_is_a_cohort(evaluate, lists, tiny_corpus):
    rows = [
        f"id{n:05d}--rec0--00001,1.0,$data_root/wav/id{n:05d}/rec0/00001.wav,"
        f"0,16000,id{n:05d}\n"
        for n in range(6)
    ]
    manifest = lists / "train.csv"
    manifest.write_text("ID,duration,wav,start,stop,spk_id\n" + "".join(rows))
    given = ["--trials", lists / "all.txt", "--norm=z", "--cohort", manifest]
    with pytest.raises(SystemExit, match="6 of 8 .* seen by the cohort"):
        evaluate(*given)
    given.append("--allow_contaminated")
    assert evaluate(*given)["lists"] == ["all"]
    with pytest.raises(
        SystemExit, match=r"cohort: no file .*6 of 6 are missin"
    ):
        evaluate(*given, "--cohort_folder", lists)
