"""Options of a plan as arguments, and what tells one command from another."""

from pathlib import Path

import pytest
import speechbrain as sb
import yaml

from speechbrain_kd.experiment import Experiment
from speechbrain_kd.study.options import arguments, digest, pairs_of

HPARAMS = Path(__file__).parents[2] / "hparams"


def made(text: str, **places: str) -> list[str]:
    return arguments(pairs_of(yaml.compose(text), "options"), places)


def test_values_within_a_fragment_reach_the_experiment(monkeypatch):
    monkeypatch.chdir(HPARAMS.parent)
    given = made(
        """
        teacher: !include:hparams/teachers/campplus_onnx.yaml {source: <cam>}
        distillation: hparams/distillation/embedding.yaml
        distillation.terms.embedding.centre: True
        distillation: hparams/distillation/both.yaml  # begins anew
        distillation.weights.embedding: 7
        distillation.terms.posteriors.temperature: 4
        """,
        cam="my cam.onnx",
    )
    file, _, overrides = sb.parse_arguments(["hparams/student.yaml", *given])
    values = Experiment(file, overrides).values
    assert values["teacher"].arguments["source"] == "my cam.onnx"
    assert values["teacher"].arguments["frontend"] == "kaldi"
    objective = values["distillation"].arguments
    assert objective["weights"] == {
        "classification": 1.0,
        "posteriors": 1.0,
        "embedding": 7,
    }
    terms = objective["terms"]
    assert terms["posteriors"].arguments == {"scale": 30.0, "temperature": 4}
    assert terms["embedding"].arguments == {}


def test_an_objective_within_the_plan():
    (given,) = made(
        """
        distillation: !new:a.Objective
            terms:
                one: !new:a.One
                two: !new:a.Two {k: !ref <lr>}
            weights: {one: 1, two: 2}
        """
    )
    found = yaml.compose(given.partition("=")[2])
    assert found.tag == "!new:a.Objective"
    terms = dict(pairs_of(dict(pairs_of(found, ""))["terms"], ""))
    assert terms["one"].tag == "!new:a.One"
    # <lr> of !ref is a key of the recipe, not a place of the plan.
    assert "!ref '<lr>'" in given or "!ref <lr>" in given


@pytest.mark.parametrize(
    "text, message",
    [
        ("{a: <cam>}", "a: nothing is given for <cam>: give --cam=PATH"),
        ("{a: b=c}", "a: a value with = cannot be told"),
        ("[a]", "options: expected keys and values, got"),
    ],
)
def test_what_cannot_be_told_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        made(text)


def test_digest_follows_fragments_and_not_their_comments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inner, outer = Path("inner.yaml"), Path("outer.yaml")
    inner.write_text("!new:a.B\nk: 1\n")
    outer.write_text("!new:a.C\nb: !include:inner.yaml\n")
    before = digest(["--teacher=outer.yaml"])
    inner.write_text("# said\n!new:a.B\nk: 1  # again\n")
    assert digest(["--teacher=outer.yaml"]) == before
    # The same in full, as a fragment with a changed value is named.
    assert digest([f"--teacher={tmp_path}/outer.yaml"]) == before
    inner.write_text("!new:a.B\nk: 2\n")
    assert digest(["--teacher=outer.yaml"]) != before
