"""The page: whole, honest about what is missing, and shown by a browser."""

import html
import json
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from chromium import QUIETLY, chromium

from speechbrain_kd.evaluation.breakdown import Breakdown
from speechbrain_kd.evaluation.certainty import Interval
from speechbrain_kd.evaluation.evaluation import (
    CrossMatrix,
    Evaluation,
    ListResult,
    PairedTest,
    SystemFacts,
)
from speechbrain_kd.evaluation.hard_cases import hard_cases
from speechbrain_kd.evaluation.histories import History
from speechbrain_kd.evaluation.maps import speaker_maps
from speechbrain_kd.evaluation.metrics import eer_threshold, min_dcf
from speechbrain_kd.evaluation.page import write_page
from speechbrain_kd.evaluation.trials import TrialList

SYSTEMS = {"CAM++": 3.6, "baseline c32": 2.3, "<i>distilled</i> c32": 2.7}
COSTS = {
    "CAM++": (7_180_000, 28_100_000, 21.0),
    "baseline c32": (39_600, 187_000, 1.9),
    "<i>distilled</i> c32": (39_600, 187_000, 1.9),
}
WIDTHS = (360, 1280)


def make_trials(speakers=12, each=8, seed=0):
    """Trials of speakers with some utterances each, impostors at random."""
    rng = np.random.default_rng(seed)
    names = [
        f"id2{speaker:04}/speechocean762/{number:05}.flac"
        for speaker in range(speakers)
        for number in range(each)
    ]
    of = np.repeat(np.arange(speakers), each)
    enrol, test = np.triu_indices(len(names), 1)
    same = of[enrol] == of[test]
    keep = same | (rng.random(same.size) < 0.2)
    trials = TrialList(same[keep], enrol[keep], test[keep], names)
    return trials, [name.split("/")[0] for name in names]


def around(rate, width=0.25):
    """An interval of the width that is usual here."""
    return Interval(rate * (1 - width), rate * (1 + width), 0.95, 1000)


def result_of(trials, scores, speakers):
    """What an evaluation would say of scores."""
    parted = trials.split(scores)
    rate, threshold = eer_threshold(*parted)
    costs = {p: min_dcf(*parted, p_target=p) for p in (0.01, 0.05)}
    targets = int(trials.labels.sum())
    return ListResult(
        trials=len(trials),
        target_trials=targets,
        impostor_trials=len(trials) - targets,
        speakers=len(set(speakers)),
        eer=rate,
        eer_interval=around(rate),
        rocch_eer=0.97 * rate,
        min_dcf=costs,
        min_dcf_interval=around(costs[0.01]),
        act_dcf=None,
        cllr=None,
        min_cllr=3 * rate,
        tmr={0.01: 1 - 3 * rate, 0.001: 1 - 6 * rate},
        auc=1 - rate**1.5,
        threshold=threshold,
    )


def example(lists=("realvox", "cut")):
    """All that ``write_page`` takes: three systems on two lists."""
    found = Evaluation(
        [
            SystemFacts(
                name, f"results/{name}", *costs_of(name), 192, "ab" * 32
            )
            for name in SYSTEMS
        ],
        list(lists),
        {},
        machine="Linux x86_64, 2 cores",
        notes=["Cosine scores of whole utterances."],
    )
    found.systems[0].trained_on = ["3D-Speaker", "VoxCeleb2 dev"]
    scored, trials_by_list, hard = {}, {}, {}
    for seed, name in enumerate(lists):
        trials, speakers = make_trials(seed=seed)
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=len(trials))
        trials_by_list[name] = trials
        scored[name] = {
            system: (0.1 * (noise + shift * trials.labels)).astype("f4")
            for system, shift in SYSTEMS.items()
        }
        found.results[name] = {
            system: result_of(trials, scores, speakers)
            for system, scores in scored[name].items()
        }
        hard[name] = {
            system: hard_cases(trials, scores, speakers, 0.12)
            for system, scores in scored[name].items()
        }
        for number, system in enumerate(list(SYSTEMS)[1:]):
            for statistic, value in (("eer", 0.05), ("min_dcf", 0.1)):
                found.differences.append(
                    PairedTest(
                        name, system, "CAM++", statistic, value - 0.02 * number,
                        -0.03 + 0.04 * (1 - number), 0.08, 0.2 * number,
                        number == 0,
                    )
                )  # fmt: skip
    rates = {"CAM++": {"CAM++": 0.03}, "baseline c32": {"baseline c32": 0.12}}
    found.cross = [CrossMatrix(lists[0], list(rates), rates, ["a with b"])]
    found.where = [durations(), columns()]
    return found, scored, trials_by_list, example_maps(), histories(), hard


def costs_of(name):
    """Parameters, GMAC, bytes and milliseconds."""
    params, size, time = COSTS[name]
    return params, None if name == "CAM++" else 0.05, size, time


def durations():
    """A breakdown with intervals."""
    groups = ["1 s", "2 s", "3 s", "5 s", "whole"]
    rates = {
        system: {
            group: 0.6 * 0.5**shift / (1 + number)
            for number, group in enumerate(groups)
        }
        for system, shift in SYSTEMS.items()
    }
    intervals = {
        system: {group: around(rate) for group, rate in by_group.items()}
        for system, by_group in rates.items()
    }
    return Breakdown(
        "Duration of the test utterance",
        "Test utterances cut to a random stretch.",
        groups, dict.fromkeys(groups, 900), rates, intervals,
    )  # fmt: skip


def columns():
    """A breakdown of which one group is too small."""
    trials = {"speechocean762": 600, "samromur": 200, "an4": 7}
    rates = dict.fromkeys(SYSTEMS, {"speechocean762": 0.1, "samromur": 0.2})
    rates = {name: rate | {"an4": None} for name, rate in rates.items()}
    return Breakdown("Corpus", "Both speakers.", list(trials), trials, rates)


def example_maps():
    """Maps of twenty speakers by two systems."""
    rng = np.random.default_rng(3)
    speakers = np.repeat(np.arange(20), 6)
    centres = rng.normal(size=(20, 16))
    rows = {
        name: centres[speakers] + spread * rng.normal(size=(120, 16))
        for name, spread in (("CAM++", 0.3), ("<i>distilled</i> c32", 0.7))
    }
    names = [f"s{one:02}" for one in speakers]
    return speaker_maps(rows, [f"{n}/{i}" for i, n in enumerate(names)], names)


def histories():
    """Training logs of the two students."""
    epochs = list(range(1, 21))
    falling = [8 * 0.9**epoch for epoch in epochs]
    both = {"train loss": falling, "valid EER": [v / 40 for v in falling]}
    return {
        "baseline c32": History(epochs, both),
        "<i>distilled</i> c32": History(
            epochs, both | {"train posteriors": [v / 2 for v in falling]}
        ),
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of the example."""
    return write_page(tmp_path_factory.mktemp("page"), *example())


class Elements(HTMLParser):
    """Collects the elements of a page and checks that they close."""

    VOID = {"meta", "link", "path", "use", "rect", "br"}

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(page):
    text = page.read_text(encoding="utf-8")
    elements = Elements(text).found
    ids = [where["id"] for _, where in elements if "id" in where]
    assert len(ids) == len(set(ids))
    for tag, where in elements:
        for attribute in ("src", "href", "action", "data", "srcset"):
            address = where.get(attribute, "")
            assert not re.match(r"[a-z+]*:?//", address), (tag, address)
            if address.startswith("#"):
                assert address[1:] in ids
            elif address.endswith(".png"):
                assert (page.parent / address).is_file()
    assert not re.search(r"https?:|@import|url\((?!#)", text)
    assert "default-src 'none'" in text
    for tag, where in elements:
        if where.get("role") == "img":
            assert len(where["aria-label"]) > 15
    assert text.count("<caption><span>") == text.count("<table")


def test_names_cannot_write_into_the_page(page):
    text = page.read_text(encoding="utf-8")
    assert "<i>" not in text
    assert "&lt;i&gt;distilled&lt;/i&gt; c32" in text


def test_what_is_told_best_and_within_the_noise(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("≈ within the noise") == 4
    assert text.count(">worse<") == 4
    best = re.findall(r'class="best" data-value="([^"]*)"', text)
    found = json.loads((page.parent / "results.json").read_text())
    rates = {r["eer"] for r in found["results"]["realvox"].values()}
    assert str(min(rates)) in best and str(max(rates)) not in best
    assert "too few" in text and "not stated" in text
    assert "VoxCeleb2 dev" in text
    assert "Of twenty that are all" in text


def test_results_beside_the_page(page):
    found = json.loads((page.parent / "results.json").read_text())
    assert found["lists"] == ["realvox", "cut"]
    assert len(found["hard"]["cut"]["CAM++"]["trials"]) <= 20
    pictures = {path.name for path in (page.parent / "pictures").iterdir()}
    assert {
        "det_realvox.png",
        "scores_cut_CAM.png",
        "pareto_bytes_cut.png",
        "where_1.png",
        "training_train_posteriors.png",
        "map_CAM.png",
    } <= pictures


def test_the_least_that_a_page_may_hold(tmp_path):
    found, scored, trials, *_ = example(["only"])
    found.where, found.cross, found.differences = [], [], []
    for result in found.results["only"].values():
        result.eer_interval = result.min_dcf_interval = None
    for facts in found.systems:
        facts.bytes = facts.ms_per_second = facts.params = None
    page = write_page(tmp_path, found, scored, trials)
    text = page.read_text(encoding="utf-8")
    Elements(text)
    assert 'id="where"' not in text and 'id="training"' not in text
    assert not list((tmp_path / "pictures").glob("pareto*"))


def test_bad_arguments(tmp_path):
    found, scored, trials, *_ = example()
    with pytest.raises(ValueError, match="'cut': no scores of the"):
        write_page(tmp_path, found, scored | {"cut": {}}, trials)
    with pytest.raises(ValueError, match="'cut': no trials"):
        write_page(tmp_path, found, scored, {"realvox": trials["realvox"]})
    found.lists = ["a b", "a_b"]
    with pytest.raises(ValueError, match="names that differ"):
        write_page(tmp_path, found, scored, trials)
    found.lists = []
    with pytest.raises(ValueError, match="at least one system and one"):
        write_page(tmp_path, found, scored, trials)
    assert not list(tmp_path.iterdir())


MEASURE = """<script>
addEventListener("load", () => {
  const size = (one) => one.getBoundingClientRect();
  const table = document.querySelector(".list table.sortable");
  table.tHead.querySelectorAll("button")[1].click();
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = JSON.stringify({
    width: innerWidth,
    sorted: [...table.tBodies[0].rows].map((row) => Number(row.cells[1].dataset.value)),
    overflow: document.documentElement.scrollWidth - innerWidth,
    tabs: document.querySelectorAll("[role=tab]").length,
    lists: [...document.querySelectorAll(".list")].map((one) => size(one).height > 0),
    tables: [...document.querySelectorAll(".list:not([hidden]) > .scroll > table")].map((one) => size(one).height),
    pictures: [...document.querySelectorAll("section:not([hidden]) svg")].filter((one) => !one.closest("[hidden]")).map((one) => [size(one).width, size(one).height]),
    loaded: performance.getEntriesByType("resource").map((one) => one.name),
  });
  parent.document.body.append(out);
});
</script></body>"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Runs headless Chromium and gives what it prints."""
    program = chromium()

    def run(path, width, *options):
        profile = tmp_path_factory.mktemp("profile")
        command = [
            program, *QUIETLY, "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}", f"--window-size={width},900",
            *options, path.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, timeout=120)
        return done.stdout.decode("utf-8")

    return run


def framed(page, path, width, script="</body>"):
    """Writes a document that holds the page in a frame of a given width.

    A window of Chromium's is never narrower than 500 pixels.
    """
    text = page.read_text(encoding="utf-8").replace("</body>", script)
    path.write_text(
        f'<body style="margin:0"><iframe style="border:0" width="{width}" '
        f'height="20000" srcdoc="{html.escape(text)}"></iframe>',
        encoding="utf-8",
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_shows_it(page, browser, tmp_path, width):
    framed(page, tmp_path / "frame.html", width, MEASURE)
    shown = browser(tmp_path / "frame.html", 1280, "--dump-dom")
    found = re.search(r'<pre id="measured">(.*?)</pre>', shown)
    assert found, "the page did not load"
    measured = json.loads(found[1])
    assert measured["width"] == width
    assert measured["overflow"] <= 0
    assert measured["tabs"] == 2
    rates = measured["sorted"]
    assert len(rates) == 3 and rates == sorted(rates)
    assert rates[1] != rates[2]
    assert measured["lists"] == [True, False]
    assert len(measured["tables"]) == 3
    assert min(measured["tables"]) > 60
    assert len(measured["pictures"]) >= 12
    assert all(
        width > across > 200 and down > 120
        for across, down in measured["pictures"]
    )
    assert measured["loaded"] == []


def test_a_browser_paints_it(page, browser, tmp_path):
    import matplotlib.image

    path = tmp_path / "shot.png"
    browser(page, 1280, f"--screenshot={path}")
    image = matplotlib.image.imread(path)[..., :3]
    assert image.shape[1] == 1280
    # Ink on paper: most is ground, some is not, and there is colour.
    ground = (image == image[2, 2]).all(axis=2).mean()
    assert 0.5 < ground < 0.995
    assert (np.ptp(image, axis=2) > 0.3).sum() > 200
