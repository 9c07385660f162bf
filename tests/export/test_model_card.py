"""The model card says what it was told, and nothing else."""

import yaml

from speechbrain_kd.export import ModelCard, TeacherFacts, model_card

TEACHER = TeacherFacts(
    source="speechbrain/spkrec-ecapa-voxceleb",
    revision="0f99f2d0",
    digests={"embedding_model.ckpt": "ab12"},
    trained_on=["voxceleb1-dev", "voxceleb2-dev"],
)
FULL = ModelCard(
    name="Student c32",
    corpus="minivox",
    seed=1986,
    teachers=[TEACHER],
    terms={"posteriors": "PosteriorKL, temperature 2"},
    weights={"classification": 1.0, "posteriors": 0.5},
    results={
        "teacher": {"eer": 0.0428, "params": 764000, "min_dcf": 0.4},
        "student": {
            "eer": 0.051,
            "params": 82944,
            "gmac": 0.0123,
            "bytes": 340123,
            "ms_per_second": 1.234,
            "min_dcf": None,
        },
    },
    trials="veri_test.txt",
    calibrated_on="1,200 validation trials",
    licence="apache-2.0",
    notes=["Children were not among the speakers."],
)
CLASSES = {"embedding_model": "speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN"}


def card(facts: ModelCard, threshold=0.3125, **changes) -> str:
    return model_card(
        facts,
        threshold=threshold,
        classes=CLASSES,
        parameters=82944,
        **changes,
    )


def front_matter(text: str) -> dict:
    _, head, _ = text.split("---\n", 2)
    return yaml.safe_load(head)


def test_the_front_matter_is_yaml_with_licence_and_tags():
    head = front_matter(card(FULL))
    assert head["license"] == "apache-2.0"
    assert {"speechbrain", "speaker-verification", "embeddings"} < set(
        head["tags"]
    )
    assert "knowledge-distillation" in head["tags"] and "language" not in head


def test_unknown_facts_are_not_made_up():
    text = card(ModelCard("Bare"), threshold=None)
    head = front_matter(text)
    assert "license" not in head
    assert "knowledge-distillation" not in head["tags"]
    for phrase in (
        "Not measured.",
        "Not calibrated",
        "Corpus: not stated",
        "Seed: not stated",
        "Teacher: none",
        "score > 0.25",
    ):
        assert phrase in text
    assert "EER" not in text and "distilled" not in text


def test_the_training_is_told():
    text = card(FULL)
    for phrase in (
        "`speechbrain/spkrec-ecapa-voxceleb` at revision `0f99f2d0`",
        "trained on: voxceleb1-dev, voxceleb2-dev",
        "`embedding_model.ckpt` sha256 `ab12`",
        "Term `posteriors` (PosteriorKL, temperature 2): weight 0.5",
        "Term `classification`: weight 1",
        "Seed: 1986",
        "82,944 parameters",
    ):
        assert phrase in text


def test_results_show_percent_and_what_was_not_measured():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in card(FULL).splitlines()
        if line.startswith("| ")
    ]
    missing = "not measured"
    assert rows[2] == ["teacher", "764,000", *[missing] * 3, "4.28", "0.400"]
    assert rows[3] == [
        "student", "82,944", "0.012", "340", "1.23", "5.10", missing,
    ]  # fmt: skip
    assert "On veri_test.txt:" in card(FULL)


def test_what_was_met_of_the_test_speakers_is_told_in_every_row():
    met = "contaminated: 40 of 40 test speakers seen by its teacher x"
    results = {"student": {"eer": 0.05, "seen": met}, "teacher": {"eer": 0.1}}
    text = card(ModelCard("x", results=results, trials="E.txt"))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[0].endswith("| test speakers met before |")
    assert rows[2].endswith(f"| {met} |") and "| student" in rows[2]
    assert rows[3].endswith("| not known |")
    limits = text.split("## Limits")[1]
    assert "student above are no results on new speakers; contamin" in limits
    assert "met before" not in card(FULL)


def test_the_threshold_says_where_it_is_from():
    text = card(FULL)
    assert (
        "0.3125 (cosine, at the EER)" in text
        and "1,200 validation trials" in text
    )
    assert "score > verifier.hparams.threshold" in text
    unknown = card(ModelCard("Bare"))
    assert "on trials that are not stated" in unknown


def test_contamination_through_the_teacher_is_a_limit():
    assert "contaminated through it" in card(FULL)
    assert "Children were not" in card(FULL)
    hidden = card(ModelCard("x", teachers=[TeacherFacts("somewhere")]))
    assert "may have heard the test speech" in hidden
    assert "contaminated" not in hidden


def test_a_term_without_a_weight_is_not_given_one():
    text = card(ModelCard("x", terms={"cosine": "CosineEmbedding"}))
    assert "Term `cosine` (CosineEmbedding): weight not stated" in text


def test_packages_and_a_missing_classifier_are_named():
    text = card(FULL, packages=["my_lab"], classifier_note="No classifier.")
    assert "SpeechBrain and the package `my_lab`" in text
    assert "No classifier." in text
    assert "SpeechBrain alone" in card(FULL)
