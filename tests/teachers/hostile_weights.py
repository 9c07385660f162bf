"""Ways to spoil the weights that an ONNX model keeps in a file of their own."""

import shutil
from pathlib import Path

import onnx
from hostile_onnx import CASES, case


def with_weights_in(path: Path, **entries: object) -> None:
    """Moves the weights to a file, and says other things of it."""
    model = onnx.load(str(path))
    onnx.external_data_helper.convert_model_to_external_data(
        model, location="weights.bin", size_threshold=1000
    )
    onnx.save(model, str(path))
    model = onnx.load(str(path), load_external_data=False)
    (tensor,) = (one for one in model.graph.initializer if one.name == "weight")
    kept = {entry.key: entry.value for entry in tensor.external_data}
    del tensor.external_data[:]
    for key, value in (kept | entries).items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    path.write_bytes(model.SerializeToString())


for _name, _words, _entries in (
    ("parent", "outside its own folder", {"location": "../weights.bin"}),
    ("absolute", "outside its own folder", {"location": "/etc/hostname"}),
    ("backslash", "outside its own folder", {"location": "..\\weights.bin"}),
    ("through", "outside its own folder", {"location": "a/../../weights.bin"}),
    ("memory", "needs its weights file", {"location": "*/_ORT_MEM_ADDR_/*"}),
    ("missing", "needs its weights file", {"location": "none.bin"}),
    ("nameless", "needs its weights file", {"location": ""}),
    ("url", "needs its weights file", {"location": "https://example.com/w"}),
    ("beyond", "which has", {"offset": 4096}),
    ("too_long", "which has", {"length": 10**9}),
    ("too_short", "needs 1920 bytes", {"length": 4}),
    ("before", "which has", {"offset": -8}),
    ("no_number", "says nothing sensible", {"offset": "here"}),
):

    @case(_words)
    def spoil(folder, path, mark, entries=_entries):
        with_weights_in(path, **entries)

    CASES[f"onnx_weights_{_name}"] = CASES.pop("onnx_spoil")


@case("is a link to", "weights.bin")
def weights_link(folder, path, mark):
    with_weights_in(path)
    shutil.move(folder / "weights.bin", folder.parent / "weights.bin")
    (folder / "weights.bin").symlink_to(folder.parent / "weights.bin")
