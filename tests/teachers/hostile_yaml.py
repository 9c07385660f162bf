"""Ways to spoil the yaml of a good SpeechBrain folder."""

from pathlib import Path

from hostile_folders import Case

YAML = "hyperparams.yaml"
CASES: dict[str, Case] = {}


def _yaml(name: str, text: str, words: str) -> None:
    """Adds lines to the yaml; MARK in them is the file not to be made."""

    def spoil(folder: Path, mark: Path) -> None:
        path = folder / YAML
        lines = text.replace("MARK", str(mark))
        head = "" if "%" != lines[0] else lines.partition("---\n")[0] + "---\n"
        body = lines.removeprefix(head)
        path.write_text(f"{head}{path.read_text()}\n{body}\n")

    CASES[f"yaml_{name}"] = Case(spoil, YAML, words)


def _edit(name: str, old: str, new: str, file: str, words: str) -> None:
    """Changes the yaml."""

    def spoil(folder: Path, mark: Path) -> None:
        text = (folder / YAML).read_text()
        assert old in text
        text = text.replace(old, new.replace("MARK", str(mark)))
        (folder / YAML).write_text(text)

    CASES[name] = Case(spoil, file, words)


# Code, in every form that a tag has.
for _name, _text in {
    "apply": 'x: !apply:os.system ["touch MARK"]',
    "applyref": 'x: !applyref:os.system ["touch MARK"]',
    "new": "x: !new:subprocess.Popen [[touch, MARK]]",
    "name": "x: !name:os.system",
    "module": "x: !module:os",
    "python_apply": 'x: !!python/object/apply:os.system ["touch MARK"]',
    "python_new": "x: !!python/object/new:subprocess.Popen [[touch, MARK]]",
    "python_name": "x: !!python/name:os.system ''",
    "python_module": "x: !!python/module:os ''",
    "verbatim": "x: !<!apply:os.system> ['touch MARK']",
    "verbatim_python": (
        "x: !<tag:yaml.org,2002:python/object/apply:os.system> ['touch MARK']"
    ),
    "handle": "%TAG !e! !apply:os.\n---\nx: !e!system ['touch MARK']",
    "handle_of_python": (
        "%TAG !p! tag:yaml.org,2002:python/object/apply:\n---\n"
        "x: !p!os.system ['touch MARK']"
    ),
    "escaped": "x: !%61pply:os.system ['touch MARK']",
    "include": "x: !include:second.yaml",
    "include_overrides": (
        "x: !include:second.yaml {y: !apply:os.system ['touch MARK']}"
    ),
    "argument": (
        "x: !new:torch.nn.Linear {in_features: !apply:os.system ['touch MARK']}"
    ),
    "key": "x: {? !apply:os.system ['touch MARK'] : 1}",
    "anchor": "x: &a !apply:os.system ['touch MARK']\ny: *a",
    "merge": "x: {<<: {y: [!apply:os.system ['touch MARK']]}}",
    "tuple": "x: (!!python/object/apply:os.system ['touch MARK'])",
    "quoted_tuple": 'x: "(!!python/object/apply:os.system [touch MARK])"',
    "tagged_tuple": (
        "x: !tuple '-!!python/object/apply:os.system [touch MARK]-'"
    ),
    "assembled_tuple": (
        'a: "("\nb: "!!python/object/apply:os.system [touch MARK]"\n'
        "x: !ref <a><b>)"
    ),
    "attribute": "x: !ref <classifier.weight>",
    "seed": "x: !apply:speechbrain.utils.superpowers.run_shell ['touch MARK']",
    "teacher": (
        "x: !new:speechbrain_kd.teachers.SpeechBrainTeacher\n"
        "    source: evil/model\n    savedir: MARK\n    allowed: [os.]"
    ),
}.items():
    _yaml(_name, _text, "is refused, as loading it could run foreign code")

# Small files that would fill the memory, or reckon for ever.
_LAUGHS = "".join(
    f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9)
)
for _name, _text, _words in (
    ("laughs", f"a0: &a0 [lol]\n{_LAUGHS}", "stands for more than"),
    (
        "copies",
        "c0: [lol, lol]\n"
        + "".join(
            f"c{n + 1}: [!copy <c{n}>, !copy <c{n}>]\n" for n in range(40)
        ),
        "stands for more than",
    ),
    (
        "doubled_text",
        "t0: lollollol\n"
        + "".join(f"t{n + 1}: !ref <t{n}><t{n}>\n" for n in range(40)),
        "too long",
    ),
    ("power", "x: !ref 9 ** 9 ** 9 ** <n_mels>", "costly reckoning"),
    (
        "hidden_power",
        "s: '*'\nx: !ref <n_mels><s><s>9<s><s>9<s><s>9",
        "costly reckoning",
    ),
    (
        "repeated_text",
        "x: !ref \"'<n_mels>' * 99999999999\"",
        "costly reckoning",
    ),
    (
        "padded_text",
        "x: !ref \"'%99999999999d' % <n_mels>\"",
        "costly reckoning",
    ),
    ("self", "x: &x [1, *x]", "holds or refers to itself"),
    ("loop", "x: !ref <y>\ny: !ref <x>", "holds or refers to itself"),
    ("nested", "x: " + "[" * 20_000, "nested too deeply"),
    ("huge", "x: " + "y" * 70_000, "has 7"),
    ("layer", "x: !new:torch.nn.Linear [1000000, 1000000]", "would take more"),
    ("duplicate", "n_mels: 80", "the key 'n_mels' stands twice"),
    ("nowhere", "x: !ref <none>", "leads nowhere"),
    ("zero", "x: !ref 1 / 0 * <n_mels>", "unsound references"),
    ("argument_unknown", "x: !new:torch.nn.ReLU {odd: 1}", "cannot be built"),
    ("number_key", "1: x", "cannot be built"),
):
    _yaml(_name, _text, _words)


def _replaced(file: str, content: bytes, name: str, words: str) -> None:
    """Puts other bytes in a file's place."""
    CASES[name] = Case(
        lambda folder, mark: (folder / file).write_bytes(content), file, words
    )


_replaced(YAML, b"", "yaml_empty", "should hold a mapping")
_replaced(YAML, b"- 1\n", "yaml_list", "should hold a mapping")
_replaced(YAML, b"n_mels: 8\xff\n", "yaml_latin", "text in UTF-8")
_replaced(YAML, "n_mels: 80\n".encode("utf-16"), "yaml_utf16", "text in UTF-8")
_replaced(YAML, b"a: \x00\n", "yaml_zero_byte", "not valid yaml")

# Paths that leave the folder.
_OLD = "classifier: !ref <pretrained_path>/classifier.ckpt"
for _name, _path, _words in (
    ("parent", "!ref <pretrained_path>/../classifier.ckpt", "must lie beside"),
    ("absolute", "/etc/hostname", "must lie beside"),
    ("url", "https://example.com/classifier.ckpt", "must lie beside"),
    ("backslash", "!ref <pretrained_path>/..\\classifier.ckpt", "plain name"),
    ("escape", "!ref <pretrained_path>/%2e%2e%2fclassifier.ckpt", "plain name"),
    ("dots", "!ref <pretrained_path>/..", "plain name"),
):
    _edit(f"path_{_name}", _OLD, f"classifier: {_path}", "ecapa", _words)
_edit(
    "embedding_of_other_size",
    "    input_size: !ref <n_mels>",
    "    input_size: 40",
    "embedding_model.ckpt",
    "does not fit",
)
_edit(
    "features_of_other_size", "Fbank\n", "Fbank\n    n_fft: 40\n", "ecapa", ""
)
