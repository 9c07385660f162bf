"""Pictures: that they are made, and of what."""

import matplotlib.image
import numpy as np
import pytest
import torch
from scipy.stats import norm

from speechbrain_kd.evaluation import det_curve, plot_det, plot_histogram, plots


def scores(seed=0, shift=2.0, targets=300, impostors=5000):
    """Scores of a system of a given goodness."""
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, targets), rng.normal(0, 1, impostors)


@pytest.fixture
def figures(monkeypatch):
    """Collects the figures that are saved."""
    made = []
    save = plots._save

    def keep(figure, path):
        made.append(figure)
        save(figure, path)

    monkeypatch.setattr(plots, "_save", keep)
    return made


def test_det_shows_all_systems(tmp_path, figures):
    systems = {"teacher": scores(shift=4.0), "student": scores(shift=3.0)}
    plot_det(systems, tmp_path / "new" / "det.png")
    image = matplotlib.image.imread(tmp_path / "new" / "det.png")
    assert min(image.shape[:2]) > 500
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["det.png"]
    axes = figures[0].axes[0]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend[0].startswith("teacher (EER 2.")
    assert legend[1].startswith("student (EER 5.98 %)")
    assert "%" in axes.get_xlabel() and "%" in axes.get_ylabel()


def test_normal_scores_of_equal_spread_give_a_straight_line():
    miss, alarm, _ = det_curve(*scores(targets=100_000, impostors=100_000))
    across, up = plots._deviates(miss, alarm, 0.001, 0.5)
    inside = (across > norm.ppf(0.005)) & (up > norm.ppf(0.005))
    np.testing.assert_allclose((across + up)[inside], -2.0, atol=0.1)
    assert len(across) <= plots.MAX_POINTS + 1


@pytest.mark.parametrize(
    "pair",
    [
        ([0.9, 0.8], [0.2, 0.1]),
        ([0.1, 0.2], [0.8, 0.9]),
        ([0.5], [0.5]),
        (torch.tensor([0.5, 0.9]), torch.tensor([0.6, 0.1])),
    ],
)
def test_extreme_systems_are_drawn(tmp_path, pair):
    plot_det({"system": pair}, tmp_path / "det.png")
    plot_histogram(*pair, 0.5, tmp_path / "scores.png")
    assert matplotlib.image.imread(tmp_path / "det.png").std() > 0
    assert matplotlib.image.imread(tmp_path / "scores.png").std() > 0


def test_histogram_shows_shares_and_threshold(tmp_path, figures):
    plot_histogram(*scores(), 1.25, tmp_path / "scores.png")
    axes = figures[0].axes[0]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == [
        "impostor (5,000 trials)",
        "target (300 trials)",
        "threshold 1.250",
    ]
    heights = [patch.get_data().values.sum() for patch in axes.patches]
    np.testing.assert_allclose(heights, 1.0)


def test_more_systems_than_colours(tmp_path):
    systems = {f"s{number}": scores(number) for number in range(8)}
    plot_det(systems, tmp_path / "det.png")
    assert (tmp_path / "det.png").stat().st_size > 0


def test_nothing_to_plot(tmp_path):
    with pytest.raises(ValueError, match="no system to plot"):
        plot_det({}, tmp_path / "det.png")
    with pytest.raises(ValueError, match="no impostor score"):
        plot_det({"a": ([1.0], [])}, tmp_path / "det.png")
    assert not list(tmp_path.iterdir())
