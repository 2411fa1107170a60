"""Hostile and broken model folders, as data: each is refused by name before anything opens it."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from desireline.trainer import model_files
from desireline.trainer.errors import UnsafeModelError

TRANSFORMER = "sentence_transformers.models.Transformer"


def _write(name: str, content: bytes = b"x") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return change


def _json(name: str, **changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps(content))

    return change


def _modules(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        modules = json.loads((folder / "modules.json").read_text())
        modules[0] |= changes
        (folder / "modules.json").write_text(json.dumps(modules))

    return change


def _link(name: str, target: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return change


def _sharded(file: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        index = {"metadata": {}, "weight_map": {"embeddings": file}}
        (folder / "vocab.txt").write_bytes(pickle.dumps([1]))
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return change


def _huge(name: str, size: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / name).open("wb") as file:
            file.truncate(size)  # a hole: no disk is used

    return change


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "vocab.txt")


#: What was done to a good folder, and what the refusal must name.
HOSTILE: list[tuple[str, Callable[[Path], None], str]] = [
    ("pickled weights", _write("pytorch_model.bin", pickle.dumps([1])), "pytorch_model.bin"),
    ("torch weights", _write("model.pt"), "model.pt"),
    ("torch weights, other name", _write("model.PTH"), "model.PTH"),
    ("a pickle", _write("tokenizer.pkl"), "tokenizer.pkl"),
    ("a pickle below", _write("1_Pooling/state.pickle"), "state.pickle"),
    ("a numpy archive", _write("table.npz"), "table.npz"),
    ("keras weights", _write("tf_model.h5"), "tf_model.h5"),
    ("code", _write("modeling_custom.py"), "modeling_custom.py"),
    ("machine code", _write("ops.so"), "ops.so"),
    ("an unknown kind", _write("payload.xyz"), "payload.xyz"),
    ("no suffix", _write("payload"), "payload"),
    ("a pickle called safetensors", _write("model.safetensors", pickle.dumps([1])), "safetensors"),
    ("an empty safetensors", _write("model.safetensors", b""), "safetensors"),
    ("a huge safetensors header", _write("model.safetensors", b"\xff" * 64), "safetensors"),
    ("a link to a file", _link("vocab.txt", "/etc/hostname"), "vocab.txt"),
    ("a link to a folder", _link("2_Extra", "/etc"), "2_Extra"),
    ("a dangling link", _link("vocab.txt", "nowhere"), "vocab.txt"),
    ("a pipe", _fifo, "vocab.txt"),
    ("code by auto_map", _json("config.json", auto_map={"AutoModel": "x--y.Z"}), "auto_map"),
    ("code below a key", _json("config.json", vision={"auto_map": {"A": "b"}}), "auto_map"),
    ("tokenizer code", _json("tokenizer_config.json", auto_map={"A": ["b", "c"]}), "auto_map"),
    ("remote code", _json("sentence_bert_config.json", trust_remote_code=True), "remote_code"),
    (
        "a kernel from the hub",
        _json("config.json", _attn_implementation="someone/kernel"),
        "_attn_implementation",
    ),
    ("weights in a pickle", _sharded("vocab.txt"), "sends weights to 'vocab.txt'"),
    ("weights elsewhere", _sharded("../other.safetensors"), "sends weights to '../other"),
    ("weights at the root", _sharded("/tmp/other.safetensors"), "sends weights to '/tmp/other"),
    ("weights nowhere", _sharded("missing.safetensors"), "sends weights to 'missing"),
    ("weights of no file", _write("model.safetensors.index.json", b"{}"), "names no weights"),
    (
        "another file of weights",
        _json("config.json", transformers_weights="x.safetensors.index.json"),
        "transformers_weights",
    ),
    (
        "a pickle allowed",
        _json("sentence_bert_config.json", model_kwargs={"weights_only": False}),
        "weights_only",
    ),
    (
        "a tokenizer elsewhere",
        _json("sentence_bert_config.json", tokenizer_name_or_path="/tmp"),
        "tokenizer_name_or_path",
    ),
    ("a huge setting", _huge("config.json", 8 * 2**20 + 1), "larger than any"),
    ("a huge tokenizer", _huge("tokenizer.json", 2**30), "larger than any"),
    ("pipeline code", _json("config.json", custom_pipelines={"x": {}}), "custom_pipelines"),
    ("an unknown architecture", _json("config.json", model_type="mystery"), "mystery"),
    ("an adapter", _write("adapter_config.json", b"{}"), "adapter_config.json"),
    ("a module of its own", _modules(type="custom_st.Transformer"), "custom_st.Transformer"),
    ("a system call as module", _modules(type="os.system"), "os.system"),
    ("a look-alike module", _modules(type="sentence_transformers.x.Evil"), "Evil"),
    ("a longer look-alike", _modules(type=f"{TRANSFORMER}.load"), "load"),
    ("a module outside", _modules(path="../../etc"), "../../etc"),
    ("an absolute module", _modules(path="/etc"), "/etc"),
    ("modules that are no list", _write("modules.json", b"{}"), "modules.json"),
    ("modules that are no JSON", _write("modules.json", b"[{]"), "modules.json"),
    ("modules nested too deep", _write("modules.json", b"[" * 100_000), "modules.json"),
    ("a config that is a list", _write("config.json", b"[]"), "config.json"),
    (
        "an activation of its own",
        _write("2_Dense/config.json", b'{"activation_function": "os.system"}'),
        "os.system",
    ),
]


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_bert, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("change", "named"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE]
)
def test_a_hostile_folder_is_refused_by_name(
    folder: Path, change: Callable[[Path], None], named: str
) -> None:
    change(folder)
    with pytest.raises(UnsafeModelError) as refused:
        model_files.check(folder)
    assert named in str(refused.value)
    assert refused.value.next_step


def test_a_good_folder_gives_its_files(folder: Path) -> None:
    names = model_files.check(folder)
    assert {"modules.json", "model.safetensors", "config.json", "tokenizer.json"} <= set(names)
    assert "1_Pooling/config.json" in names


def test_harmless_neighbours_are_not_copied(folder: Path, tmp_path: Path) -> None:
    neighbours = ["README.md", "data_config.json", "notes.txt", "onnx/model.onnx", "LICENSE"]
    for name in [*neighbours, ".git/hooks/run.py"]:
        _write(name, b"{}")(folder)
    target = tmp_path / "copy"
    target.mkdir()
    copied = model_files.copy(folder, target)
    assert set(copied) == set(model_files.check(target)) == set(model_files.check(folder))
    assert not any((target / name).exists() for name in [*neighbours, ".git"])


def test_a_missing_folder_says_what_to_name_instead(tmp_path: Path) -> None:
    with pytest.raises(UnsafeModelError, match="does not exist") as refused:
        model_files.check(tmp_path / "nowhere")
    assert "modules.json" in refused.value.next_step


def test_a_folder_without_weights_is_incomplete(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnsafeModelError, match="no loadable model"):
        model_files.check(folder)


def test_weights_in_several_safetensors_are_a_model(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    _sharded("model-00001-of-00001.safetensors")(folder)
    assert "model-00001-of-00001.safetensors" in model_files.check(folder)
