"""Programs of torch.export as teachers, and what is refused of them."""

import io
import json
import os
import pickle
import zipfile

import pytest
import torch
from test_onnx import Pooled

from speechbrain_kd.teachers import ExportedTeacher
from speechbrain_kd.teachers.program import read_program
from speechbrain_kd.teachers.program_text import expression, guard, tree

FREE = torch.export.Dim.DYNAMIC


class Net(torch.nn.Module):
    """Convolution, statistics, a buffer and a constant; sizes that are
    computed from the input's."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(80, 8, 3, stride=2)
        self.norm = torch.nn.BatchNorm1d(8)
        self.linear = torch.nn.Linear(16, 6)
        self.register_buffer("shift", torch.ones(6))
        self.constant = torch.tensor(3.0)

    def forward(self, feats):
        frames = self.norm(self.conv(feats.transpose(1, 2))).relu()
        frames = frames + 0.01 * torch.arange(frames.shape[2])
        pooled = torch.cat([frames.mean(2), frames.std(2)], dim=1)
        return self.linear(pooled) + self.shift * self.constant


def save(path, model, feats, free=(0, 1)):
    """Exports a model with some axes free."""
    shapes = (dict.fromkeys(free, FREE),)
    program = torch.export.export(model.eval(), (feats,), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return str(path)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """The model, and its file."""
    torch.manual_seed(0)
    model = Net()
    path = tmp_path_factory.mktemp("net") / "net.pt2"
    return model, save(path, model, torch.randn(2, 50, 80))


def test_equals_the_model(net, wavs):
    model, path = net
    teacher = ExportedTeacher(path, trained_on=["own"])
    with torch.no_grad():
        expected = model(teacher.features(wavs))
    torch.testing.assert_close(teacher.embed(wavs), expected)
    assert teacher.embedding_dim == 6 and set(teacher.digests) == {"net.pt2"}
    assert teacher.count_parameters() == sum(
        one.numel() for one in model.parameters()
    )
    # A filter of 3 x 80 at each second of 96 places, and the linear layer.
    assert teacher.macs(1.0) == 48 * 8 * 3 * 80 + 16 * 6
    lens = torch.tensor([0.5, 1.0, 0.75, 0.5])
    together = teacher(wavs, lens).embeddings
    for row, part in enumerate(lens):
        alone = teacher.embed(wavs[row : row + 1, : int(part * 32000)])
        torch.testing.assert_close(together[row : row + 1], alone)


def test_fixed_axes(tmp_path, wavs):
    torch.manual_seed(0)
    model, feats = Pooled(), torch.randn(3, 50, 80)
    free = ExportedTeacher(save(tmp_path / "free.pt2", model, feats))
    batch = ExportedTeacher(save(tmp_path / "b.pt2", model, feats, (1,)))
    torch.testing.assert_close(batch.embed(wavs), free.embed(wavs))
    path = save(tmp_path / "f.pt2", model, feats, (0,))
    length = ExportedTeacher(path)
    part = wavs[:, :8240]
    torch.testing.assert_close(length.embed(part), free.embed(part))
    with pytest.raises(ValueError, match="fixed frames axis of 50 .0.515 s"):
        length.embed(wavs)
    assert ExportedTeacher(path, windows=True).embed(wavs).shape == (4, 6)
    with pytest.raises(ValueError, match="has 80 mel bins"):
        ExportedTeacher(path, n_mels=24)


def test_length_out_of_range(tmp_path, wavs):
    shapes = ({0: FREE, 1: torch.export.Dim("frames", min=90, max=150)},)
    program = torch.export.export(
        Pooled().eval(), (torch.randn(2, 100, 80),), dynamic_shapes=shapes
    )
    torch.export.save(program, tmp_path / "range.pt2")
    teacher = ExportedTeacher(str(tmp_path / "range.pt2"))
    with pytest.raises(ValueError, match="exported for other lengths.*150"):
        teacher.embed(wavs)


def test_several_inputs(tmp_path):
    class Sum(torch.nn.Module):
        def forward(self, one, other):
            return (one + other).mean(dim=1)

    program = torch.export.export(Sum(), (torch.ones(2, 50, 80),) * 2)
    torch.export.save(program, tmp_path / "sum.pt2")
    with pytest.raises(ValueError, match="takes the inputs one, other"):
        ExportedTeacher(str(tmp_path / "sum.pt2"))


def rewrite(path, target, change):
    """Copies an archive with some of its files changed."""
    with zipfile.ZipFile(path) as old:
        files = {one: old.read(one) for one in old.namelist()}
    root = next(iter(files)).partition("/")[0]
    change({"root": f"{root}/"}, files)
    with zipfile.ZipFile(target, "w") as new:
        for name, data in files.items():
            new.writestr(name, data)
    return str(target)


class Runs:
    """Would make a folder when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def in_model(change):
    """Changes the json of a graph."""

    def apply(names, files, canary):
        name = f"{names['root']}models/model.json"
        model = json.loads(files[name])
        change(model, canary)
        files[name] = json.dumps(model).encode()

    return apply


def node_target(model, canary):
    node = model["graph_module"]["graph"]["nodes"][0]
    node["target"] = "torch.os.mkdir"
    node["inputs"] = [
        {"name": "self", "arg": {"as_string": "canary"}, "kind": 1}
    ]


def size(model, canary):
    values = model["graph_module"]["graph"]["tensor_values"]
    first = next(one for one in values.values() if one["sizes"])
    code = f"__import__('os').mkdir('{canary}') or 1"
    first["sizes"][0] = {"as_expr": {"expr_str": code, "hint": None}}


def guards(model, canary):
    model["guards_code"] = [f"__import__('os').mkdir('{canary}') is None"]


def argument_name(model, canary):
    entry = model["graph_module"]["module_call_graph"][0]["signature"]
    entry["forward_arg_names"] = [f"f=__import__('os').mkdir('{canary}')"]


def structure(model, canary):
    entry = model["graph_module"]["module_call_graph"][0]["signature"]
    entry["out_spec"] = json.dumps(
        [1, {"type": "os.Foo", "context": "null", "children_spec": []}]
    )


def pickled(where):
    def apply(names, files, canary):
        data = io.BytesIO()
        torch.save(Runs(canary), data)
        files[f"{names['root']}{where}"] = data.getvalue()

    return apply


def pickled_constant(names, files, canary):
    name = f"{names['root']}data/constants/model_constants_config.json"
    config = json.loads(files[name])
    next(iter(config["config"].values()))["use_pickle"] = True
    files[name] = json.dumps(config).encode()
    pickled("data/constants/tensor_0")(names, files, canary)


def pickled_object(names, files, canary):
    name = f"{names['root']}data/constants/model_constants_config.json"
    config = json.loads(files[name])
    entry = next(iter(config["config"].values()))
    entry["path_name"], entry["use_pickle"] = "opaque_obj_0", True
    files[name] = json.dumps(config).encode()
    where = f"{names['root']}data/constants/opaque_obj_0"
    files[where] = pickle.dumps(Runs(canary))


def compiled(names, files, canary):
    files[f"{names['root']}data/aotinductor/model/a.wrapper.so"] = b"\x7fELF"


def truncated(names, files, canary):
    name = f"{names['root']}data/weights/weight_0"
    files[name] = files[name][:100]


HOSTILE = {
    "node": (in_model(node_target), "calls 'torch.os.mkdir'"),
    "size": (in_model(size), "size .* is more than arithmetic"),
    "guard": (in_model(guards), "condition .* is more than arithmetic"),
    "argument name": (in_model(argument_name), "is more than a name"),
    "structure": (in_model(structure), "structure .* is not plain"),
    "inputs": (pickled("data/sample_inputs/model.pt"), "more than tensors"),
    "weights": (pickled("data/weights/model.pt"), "more than tensors"),
    "constant": (pickled_constant, "pickled, not a bare tensor"),
    "object": (pickled_object, "no .*opaque_obj_0"),
    "library": (compiled, "no .*a.wrapper.so"),
    "damage": (truncated, "cannot be loaded"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_refuses(kind, net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change, problem = HOSTILE[kind]
    canary = tmp_path / "canary"
    path = rewrite(
        net[1],
        tmp_path / "evil.pt2",
        lambda names, files: change(names, files, canary),
    )
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=f"evil.pt2.*{problem}"):
        ExportedTeacher(path)
    assert set(tmp_path.rglob("*")) == before


def test_refuses_what_is_no_program(tmp_path):
    path = tmp_path / "text.pt2"
    path.write_text("no archive")
    with pytest.raises(ValueError, match="text.pt2 is refused: it is no arch"):
        read_program(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/models/model.json", "{}" + " " * 1000)
    with pytest.raises(ValueError, match="model.json is compressed"):
        read_program(path)


@pytest.mark.parametrize(
    "text",
    [
        "Mul(Integer(80), Symbol('s46', positive=True, integer=True))",
        "Max(Integer(1), Add(FloorDiv(Add(Symbol('s0'), Integer(-3)), 2), 1))",
        "Pow(Symbol('s0', integer=True), Integer(2))",
        "2*s0 + 1",
    ],
)
def test_sizes_that_pass(text):
    expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "().__class__",
        "Symbol('x').free_symbols",
        "Symbol(__import__('os'))",
        "[1 for x in (1,)]",
        "(lambda: 1)()",
        "f'{1}'",
        "eval('1')",
        "Integer('9')",
        "9**9**9",
        "Pow(Integer(9), Pow(Integer(9), Integer(9)))",
        "Add(1, *s0)",
        "(x := 1)",
        "_private",
        "1" * 20_000,
    ],
)
def test_sizes_that_do_not(text):
    with pytest.raises(ValueError, match="size"):
        expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "L['f'].size().__class__",
        "L['f'](1)",
        "L['a\"b'].size()[0] > 1",
        "print(L)",
        "L.x",
    ],
)
def test_guards_that_do_not_pass(text):
    with pytest.raises(ValueError, match="condition"):
        guard(text)


def test_structures():
    leaf = {"type": None, "context": None, "children_spec": []}
    tree(json.dumps([1, leaf]))
    for context in ('["a b"]', '[["os", "x"]]', "{"):
        odd = {"type": "builtins.dict", "context": context}
        with pytest.raises(ValueError, match="structure|Expecting"):
            tree(json.dumps([1, odd | {"children_spec": [leaf]}]))
