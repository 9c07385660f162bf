"""From embeddings to error rates and score files."""

import numpy as np
import pytest
import torch

from speechbrain_kd.evaluation import (
    SystemResult,
    TrialList,
    eer_threshold,
    gap_closed,
    measure,
    min_dcf,
    read_trials,
    score_system,
    validation_trials,
    write_scores,
)


def make_system(seed=0):
    """Embeddings of 12 speakers, somewhat apart, and trials of them."""
    rng = torch.Generator().manual_seed(seed)
    centres = torch.randn(12, 8, generator=rng).repeat_interleave(4, dim=0)
    embeddings = centres + torch.randn(48, 8, generator=rng)
    speakers = [f"s{number // 4}" for number in range(48)]
    ids = [f"s{number // 4}/{number}.wav" for number in range(48)]
    return ids, embeddings, validation_trials(speakers, ids)


def test_score_system_matches_ids_to_trials():
    ids, embeddings, trials = make_system()
    scores, result = score_system(ids, embeddings, trials)
    rows = dict(zip(ids, embeddings, strict=True))
    for index in range(0, len(trials), 50):
        one = rows[trials.utterances[trials.enrol[index]]]
        other = rows[trials.utterances[trials.test[index]]]
        expected = torch.cosine_similarity(one, other, dim=0)
        assert scores[index] == pytest.approx(expected.item(), abs=1e-6)
    turned = list(reversed(range(48)))
    again, _ = score_system(
        [ids[row] for row in turned] + ["more"],
        torch.cat([embeddings[turned], torch.zeros(1, 8)]),
        trials,
    )
    np.testing.assert_array_equal(scores, again)
    target, impostor = trials.split(scores)
    assert (result.eer, result.threshold) == eer_threshold(target, impostor)
    assert 0 < result.eer < 0.5
    assert result.min_dcf == min_dcf(target, impostor, 0.01)
    assert result.min_dcf_05 == min_dcf(target, impostor, 0.05)
    assert result.target_trials == 12 * 6
    assert result.impostor_trials == 48 * 44 // 2
    assert result == measure(target, impostor)


def test_score_system_errors():
    trials = TrialList([True, False], [0, 0], [1, 2], ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"no embedding of 'c'.*\(1 of 3"):
        score_system(["a", "b"], torch.ones(2, 4), trials)
    with pytest.raises(ValueError, match="each of 3 ids, got 2"):
        score_system(["a", "b", "c"], torch.ones(2, 4), trials)
    with pytest.raises(ValueError, match="'b' is zero"):
        rows = torch.tensor([[1.0], [0.0], [1.0]])
        score_system(["a", "b", "c"], rows, trials)
    trials.labels[1] = True
    with pytest.raises(ValueError, match="2 trials and no impostor"):
        score_system(["a", "b", "c"], torch.ones(3, 4), trials)


def test_score_file_gives_trials_and_scores_back(tmp_path):
    ids, embeddings, trials = make_system()
    scores, _ = score_system(ids, embeddings, trials)
    path = tmp_path / "scores.txt"
    write_scores(path, trials, scores)
    lines = [line.split() for line in path.read_text().splitlines()]
    read = np.array([line[3] for line in lines], dtype=np.float32)
    np.testing.assert_array_equal(read, scores)
    trial_list = tmp_path / "trials.txt"
    trial_list.write_text("".join(f"{' '.join(x[:3])}\n" for x in lines))
    again = read_trials(trial_list)
    np.testing.assert_array_equal(again.labels, trials.labels)
    assert (
        again.utterances[again.enrol[7]] == trials.utterances[trials.enrol[7]]
    )


def test_score_file_is_whole_or_absent(tmp_path):
    trials = TrialList([True, True], [0, 1], [1, 0], ["a", "b"])
    with pytest.raises(ValueError, match="each of 2 trials, got 1"):
        write_scores(tmp_path / "scores.txt", trials, np.zeros(1))
    with pytest.raises(ValueError):
        write_scores(tmp_path / "scores.txt", trials, ["no", "number"])
    assert not list(tmp_path.iterdir())


def test_gap_closed():
    assert gap_closed(0.02, 0.06, 0.06) == 0.0
    assert gap_closed(0.02, 0.06, 0.02) == 1.0
    assert gap_closed(0.02, 0.06, 0.08) == pytest.approx(-0.5)
    assert gap_closed(0.02, 0.06, 0.01) == pytest.approx(1.25)
    assert gap_closed(0.05, 0.05, 0.05) is None
    assert gap_closed(0.06, 0.05, 0.04) is None


def test_result_as_dictionary():
    result = SystemResult(0.1, 0.2, 0.3, 0.4, 5, 6, params=7)
    assert result.to_dict() == {
        "eer": 0.1,
        "min_dcf": 0.2,
        "min_dcf_05": 0.3,
        "threshold": 0.4,
        "target_trials": 5,
        "impostor_trials": 6,
        "params": 7,
        "gmac": None,
        "bytes": None,
        "ms_per_second": None,
    }
