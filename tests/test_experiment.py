"""From a yaml and its overrides to hyperparameters."""

from pathlib import Path

import pytest
import torch
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

from speechbrain_kd import inputs
from speechbrain_kd.experiment import Experiment, Tagged
from speechbrain_kd.experiment_keys import DEFAULTS

ROOT = Path(__file__).parents[1]
HPARAMS = ROOT / "hparams"
STUDENT = HPARAMS / "student.yaml"


def write(path, text):
    """A yaml with what nothing trains without, and something more."""
    path.write_text(
        "output_folder: out\n"
        "save_folder: !ref <output_folder>/save\n"
        "data_folder: data\n"
        "compute_features: !new:torch.nn.Identity\n"
        "mean_var_norm: !new:torch.nn.Identity\n"
        "embedding_model: !new:torch.nn.Linear\n"
        "    in_features: 4\n"
        "    out_features: 2\n"
        "classifier: !new:torch.nn.Identity\n"
        "compute_cost: !new:torch.nn.Identity\n"
        "modules:\n"
        "    embedding_model: !ref <embedding_model>\n"
        "epoch_counter: !new:torch.nn.Identity\n"
        "opt_class: !name:torch.optim.SGD\n"
        "    lr: 0.1\n"
        "dataloader_options:\n"
        "    batch_size: 2\n" + text
    )
    return path


def test_values_are_plain_and_objects_only_named():
    values = Experiment(STUDENT).values
    assert values["data_folder"] == "minivox"
    assert values["save_folder"] == "results/demo/student/save"
    assert values["opt_class"].tag == "!name:torch.optim.AdamW"
    assert values["teacher"] == Tagged(
        "!new:speechbrain_kd.teachers.RunTeacher",
        {
            "source": "results/demo/teacher",
            "recipe": "hparams/teacher.yaml",
            "trained_on": ["minivox-dev"],
        },
    )
    # A sequence under a tag has no keyword arguments to look at.
    assert values["__set_seed"] == Tagged(
        "!apply:speechbrain.utils.seed_everything", {}
    )


def test_what_a_yaml_does_not_name_has_its_default(tmp_path):
    experiment = Experiment(write(tmp_path / "a.yaml", ""))
    made = experiment.load()
    assert set(made) >= set(DEFAULTS)
    assert made["split_ratio"] == [90, 10] and made["teacher"] is None
    assert made["modules"]["embedding_model"] is made["embedding_model"]
    assert isinstance(made["embedding_model"], torch.nn.Linear)


def test_overrides_replace_merge_and_add(tmp_path):
    experiment = Experiment(
        write(tmp_path / "a.yaml", ""),
        "output_folder: other\n"
        "single_utterance: drop\n"
        "dataloader_options: {num_workers: 3}\n"
        "embedding_model: {out_features: 7}",
    )
    values = experiment.values
    assert values["save_folder"] == "other/save"
    assert values["single_utterance"] == "drop"
    assert values["dataloader_options"] == {"batch_size": 2, "num_workers": 3}
    assert values["embedding_model"].arguments == {
        "in_features": 4,
        "out_features": 7,
    }
    experiment.override(data_folder="elsewhere")
    assert experiment.values["data_folder"] == "elsewhere"
    assert "data_folder: elsewhere" in experiment.resolved()


def test_an_include_can_be_overridden_and_replaced():
    teacher = Experiment(STUDENT, {"teacher": {"source": "mine"}}).values
    assert teacher["teacher"].arguments["source"] == "mine"
    assert teacher["teacher"].arguments["recipe"] == "hparams/teacher.yaml"
    fragment = str(HPARAMS / "students" / "ecapa_c32.yaml")
    values = Experiment(STUDENT, {"embedding_model": fragment}).values
    assert values["embedding_model"].arguments["channels"][0] == 32
    assert values["classifier"].arguments["input_size"] == 192


def test_the_baseline_differs_from_the_student_by_the_teacher_alone():
    student = Experiment(STUDENT).values
    baseline = Experiment(HPARAMS / "baseline.yaml").values
    differing = {key for key in student if student[key] != baseline[key]}
    folders = {"output_folder", "save_folder", "train_log", "train_logger"}
    assert differing == folders | {"checkpointer", "teacher", "distillation"}


def test_the_teacher_is_larger_and_has_seen_more_speakers():
    student = Experiment(STUDENT).values
    teacher = Experiment(HPARAMS / "teacher.yaml").values
    channels = [
        x["embedding_model"].arguments["channels"] for x in (student, teacher)
    ]
    assert channels[0][0] < channels[1][0]
    assert inputs.EMBEDDED[student["data_folder"]] == 100
    assert inputs.EMBEDDED[teacher["data_folder"]] is None
    assert teacher["teacher"] is None and teacher["distillation"] is None


def test_the_large_margin_stage_is_made():
    overrides = "teacher: null\ndistillation: null\nout_n_neurons: 4"
    made = Experiment(HPARAMS / "large_margin.yaml", overrides).load()
    stage = made["large_margin"]
    assert stage.compute_cost is made["compute_cost"]
    assert stage.active(made["epoch_counter"].limit)
    assert isinstance(made["embedding_model"], ECAPA_TDNN)


def test_the_command_line_beats_the_heir_and_the_heir_its_base(tmp_path):
    write(tmp_path / "a.yaml", "seed: 1\nsplit_seed: 1\nsentence_len: 1.0\n")
    (tmp_path / "b.yaml").write_text(
        "__base__: a.yaml\nsplit_seed: 2\nsentence_len: 2.0\n"
    )
    (tmp_path / "c.yaml").write_text("__base__: b.yaml\nsentence_len: 3.0\n")
    values = Experiment(tmp_path / "c.yaml").values
    keys = ("seed", "split_seed", "sentence_len")
    assert [values[key] for key in keys] == [1, 2, 3.0]
    values = Experiment(tmp_path / "c.yaml", "sentence_len: 4.0").values
    assert values["sentence_len"] == 4.0


def test_a_part_of_what_an_heir_says_can_be_changed():
    """And the rest of it stays, not what its base had in its place."""
    recipe = ROOT / "recipes/VoxCeleb/SpeakerKD/hparams"
    values = Experiment(
        recipe / "large_margin_ecapa_c64.yaml",
        "data_folder: x\nlarge_margin: {margin: 0.3}\n"
        "distillation: {weights: {posteriors: 7}}",
    ).values
    stage = values["large_margin"]
    assert stage.tag.endswith("LargeMarginStage")
    assert stage.arguments["margin"] == 0.3
    assert stage.arguments["sentence_len"] == 6.0
    given = values["distillation"].arguments
    assert given["projector"] == "always"
    expected = {"classification": 1.0, "posteriors": 7, "centres": 1.0}
    assert given["weights"] == expected


@pytest.mark.parametrize("key", ["large_margin", "fea_augment", "wav_augment"])
def test_keys_alone_are_no_object(key):
    with pytest.raises(ValueError, match=rf"{key} must be null .* 0\.3"):
        Experiment(STUDENT, f"{key}: {{margin: 0.3}}")


def test_keys_that_are_no_mistakes(tmp_path):
    text = "random_chunk: True\nmine: 3\nseed: !ref <mine>\n__note: x\n"
    experiment = Experiment(
        write(tmp_path / "a.yaml", text + "grad_accumulation_factor: 2\n"),
        "mine: 5",
    )
    assert experiment.values["seed"] == 5


@pytest.mark.parametrize(
    "text, overrides, match",
    [
        ("sede: 3\n", "", "nothing reads the key sede; did you mean seed?"),
        ("qqqqqqqqq: 3\n", "", "nothing reads the key qqqqqqqqq$"),
        ("", "sede: 3", "--sede: no such key in .*did you mean seed?"),
        ("seed: !PLACEHOLDER\n", "", "seed is not set; give --seed=VALUE"),
        ("seed: !ref <none>\n", "", 'a.yaml: The reference "none"'),
        ("seed: {\n", "", "a.yaml: not a yaml file"),
        ("", "just words", "expected options --KEY=VALUE; got just words"),
        ("", "a: 1\na: 2", "--a: 2: expected --KEY=VALUE, once for each"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, overrides, match):
    file = write(tmp_path / "a.yaml", text)
    with pytest.raises(ValueError, match=match):
        Experiment(file, overrides)


def test_a_yaml_without_keys(tmp_path):
    (tmp_path / "a.yaml").write_text("- 1\n- 2\n")
    with pytest.raises(ValueError, match="a.yaml: expected keys and values"):
        Experiment(tmp_path / "a.yaml")


def test_a_missing_key(tmp_path):
    (tmp_path / "a.yaml").write_text("output_folder: out\n")
    with pytest.raises(ValueError, match="the key data_folder is missing"):
        Experiment(tmp_path / "a.yaml")


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such hyperparameter file"):
        Experiment(tmp_path / "none.yaml")
    file = write(tmp_path / "a.yaml", "teacher: !include:none.yaml\n")
    with pytest.raises(FileNotFoundError, match="includes .*none.yaml"):
        Experiment(file)
    (tmp_path / "b.yaml").write_text("__base__: none.yaml\n")
    with pytest.raises(FileNotFoundError, match="__base__ names .*none.yaml"):
        Experiment(tmp_path / "b.yaml")
    with pytest.raises(FileNotFoundError, match="--wav_augment=x.yaml"):
        Experiment(STUDENT, {"wav_augment": "x.yaml"})


def test_an_argument_that_a_class_does_not_take(tmp_path):
    file = write(tmp_path / "a.yaml", "")
    experiment = Experiment(file, {"embedding_model": {"kernels": 3}})
    with pytest.raises(ValueError, match="a.yaml: .*Linear.*'kernels'"):
        experiment.load()
