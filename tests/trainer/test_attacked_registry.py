"""Whoever may write to the shared registry, a full disk, and kill -9: what is here stays right."""

import resource
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest

from desireline.connectors.documents import TextTemplate
from desireline.connectors.errors import SharedFolderError
from desireline.connectors.shared_folder import SharedFolder
from desireline.trainer.errors import (
    ModelChangedError,
    ModelMissingError,
    RegistryFullError,
    SignatureError,
    UnsafeModelError,
)
from desireline.trainer.models.manifest import MANIFEST, Manifest, Provenance
from desireline.trainer.models.shared import Pushed, SharedModels
from desireline.trainer.models.signing import SigningKey, Trust, generate
from desireline.trainer.models.taking import digest_of
from desireline.trainer.registry import Registry

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


def machine(root: Path, url: str, **shared: Any) -> Registry:
    return Registry(root, now=lambda: NOW, shared=SharedModels(SharedFolder(url), **shared))


def added(registry: Registry, folder: Path) -> Manifest:
    return registry.add(
        folder,
        template=TextTemplate(fields=("title",)),
        similarity="cosine",
        provenance=Provenance(base_model="tiny"),
    )


def push(registry: Registry, fingerprint: str, *, vouch: bool = False) -> Pushed:
    assert registry.shared is not None
    return registry.shared.push(registry.folder(fingerprint), vouch=vouch)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def ours(tmp_path: Path, place: Path) -> Registry:
    return machine(tmp_path / "ours", f"file://{place}")


@pytest.fixture
def theirs(tmp_path: Path, place: Path) -> Registry:
    return machine(tmp_path / "theirs", f"file://{place}")


def changed(place: Path, fingerprint: str, old: bytes, new: bytes) -> None:
    """Change a shared manifest as somebody who knows where its folder belongs."""
    folder = next((place / fingerprint).iterdir())
    text = (folder / MANIFEST).read_bytes()
    assert old in text
    text = text.replace(old, new)
    (folder / MANIFEST).write_bytes(text)
    folder.rename(folder.with_name(digest_of(text)))


def test_a_label_without_a_time_zone_is_refused_and_stops_no_list(
    ours: Registry, theirs: Registry, place: Path, exported_static: Path, exported_bert: Path
) -> None:
    poisoned = added(ours, exported_static)
    good = added(ours, exported_bert)
    for each in (poisoned, good):
        push(ours, each.fingerprint)
    changed(place, poisoned.fingerprint, b'"2026-11-22T02:00:00Z"', b'"2026-11-22T02:00:00"')
    assert theirs.shared is not None
    assert theirs.shared.manifests() == [good]
    with pytest.raises(ModelChangedError, match="not a model's"):
        theirs.bring(poisoned.fingerprint)
    assert theirs.bring(good.fingerprint) == good
    assert theirs.list() == [good]


@pytest.mark.parametrize("name", ["x" * 300, "é", "con:", "a\nb", "weights\u202e"])
def test_a_name_that_some_disk_cannot_hold_is_refused_and_a_good_copy_beside_it_is_taken(
    ours: Registry, theirs: Registry, place: Path, exported_static: Path, name: str
) -> None:
    manifest = added(ours, exported_static)
    push(ours, manifest.fingerprint)
    good = next((place / manifest.fingerprint).iterdir())
    more = {**manifest.files, f"{name}.safetensors": manifest.files["encoder.json"]}
    text = manifest.model_copy(update={"files": more}).model_dump_json().encode()
    bad = place / manifest.fingerprint / digest_of(text)
    shutil.copytree(good, bad)
    (bad / MANIFEST).write_bytes(text)
    shutil.move(good, place / "aside")
    with pytest.raises((UnsafeModelError, ModelChangedError)):
        theirs.bring(manifest.fingerprint)
    shutil.move(place / "aside", good)
    assert theirs.bring(manifest.fingerprint) == manifest


def test_whatever_is_damaged_there_is_mended_by_whoever_pushes_it_by_name(
    ours: Registry, theirs: Registry, place: Path, exported_static: Path
) -> None:
    manifest = added(ours, exported_static)
    push(ours, manifest.fingerprint)
    folder = next((place / manifest.fingerprint).iterdir())
    graph = folder / "encoder.onnx"
    for damage in (b"", graph.read_bytes() + b"x", graph.read_bytes()[:-1] + b"\x00"):
        graph.write_bytes(damage)
        assert not push(ours, manifest.fingerprint).sent  # nobody asked to look at every file
        with pytest.raises(ModelChangedError):
            theirs.bring(manifest.fingerprint)
        assert push(ours, manifest.fingerprint, vouch=True).sent
        assert theirs.bring(manifest.fingerprint) == manifest
    graph.unlink()
    assert push(ours, manifest.fingerprint, vouch=True).sent
    assert not push(ours, manifest.fingerprint, vouch=True).sent
    assert theirs.bring(manifest.fingerprint) == manifest


def test_nothing_is_written_through_a_link_that_leads_out_of_a_shared_disk(
    tmp_path: Path, ours: Registry, place: Path, exported_static: Path
) -> None:
    manifest = added(ours, exported_static)
    (tmp_path / "home").mkdir()
    place.mkdir()
    (place / manifest.fingerprint).symlink_to(tmp_path / "home")
    with pytest.raises(SharedFolderError, match="symbolic links"):
        push(ours, manifest.fingerprint)
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("where", ["there", "here"])
def test_a_signature_that_is_none_is_replaced_by_whoever_signs_again(
    tmp_path: Path, place: Path, exported_static: Path, where: str
) -> None:
    mine = SigningKey(generate(), place="a test")
    ours = machine(tmp_path / "ours", f"file://{place}", signing_key=lambda: mine)
    manifest = added(ours, exported_static)
    push(ours, manifest.fingerprint)
    name = f"signature-{mine.public.id}.json"
    there = next((place / manifest.fingerprint).iterdir())
    here = ours.folder(manifest.fingerprint)
    for folder in (there, here) if where == "here" else (there,):
        (folder / name).write_text('{"format": 1}')
    trust = Trust(keys=(mine.public,), required=True)
    reader = machine(tmp_path / "reader", f"file://{place}", trust=trust)
    with pytest.raises(SignatureError, match="is not of this model"):
        reader.bring(manifest.fingerprint)
    push(ours, manifest.fingerprint, vouch=True)
    assert reader.bring(manifest.fingerprint) == manifest


def test_a_graph_that_gives_no_numbers_is_not_opened(
    tmp_path: Path, ours: Registry, exported_static: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    shutil.copytree(exported_static, tmp_path / "poisoned")
    graph = onnx.load(str(tmp_path / "poisoned" / "encoder.onnx"))
    for weight in graph.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(weight) * float("nan")
            weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(graph, str(tmp_path / "poisoned" / "encoder.onnx"))
    manifest = added(ours, tmp_path / "poisoned")
    with pytest.raises(UnsafeModelError, match="no numbers"):
        ours.load(manifest.fingerprint, threads=1)


def test_an_operator_that_is_not_onnxs_own_is_not_opened(
    tmp_path: Path, ours: Registry, exported_static: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    shutil.copytree(exported_static, tmp_path / "strange")
    graph = onnx.load(str(tmp_path / "strange" / "encoder.onnx"))
    graph.graph.node[-1].domain = "com.example"
    graph.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    onnx.save(graph, str(tmp_path / "strange" / "encoder.onnx"))
    manifest = added(ours, tmp_path / "strange")
    with pytest.raises(UnsafeModelError, match=r"encoder\.onnx cannot be used"):
        ours.load(manifest.fingerprint, threads=1)


@pytest.mark.parametrize("url", ["file", "memory"])
def test_machines_that_push_one_model_at_once_share_it_whole(
    tmp_path: Path, exported_static: Path, url: str
) -> None:
    address = f"{url}://{tmp_path}/shared"
    machines = [machine(tmp_path / f"m{number}", address) for number in range(4)]
    manifests = [added(each, exported_static) for each in machines]
    begin, failed = threading.Barrier(len(machines)), []

    def share(registry: Registry) -> None:
        begin.wait()
        try:
            push(registry, manifests[0].fingerprint)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test fails by it
            failed.append(error)

    threads = [threading.Thread(target=share, args=(each,)) for each in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    reader = machine(tmp_path / "reader", address)
    assert reader.bring(manifests[0].fingerprint) == manifests[0]
    files = fsspec.filesystem(url).find(f"{tmp_path}/shared")
    assert not [name for name in files if name.endswith(".part")]


def limited(most: int) -> Any:
    """Let files of a process grow no further than so many bytes, as a full disk does."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


PROGRAM = """
import sys
from pathlib import Path
from desireline.connectors.shared_folder import SharedFolder
from desireline.trainer.registry import Registry
from desireline.trainer.models.shared import SharedModels
from desireline.trainer.models.signing import SigningKey
what, root, place, fingerprint, key = sys.argv[1:]
signing = SigningKey(Path(key).read_text(), place=key)
shared = SharedModels(SharedFolder("file://" + place), signing_key=lambda: signing)
registry = Registry(Path(root), shared=shared)
print("ready", flush=True)
sys.stdin.readline()
try:
    if what == "pull":
        registry.bring(fingerprint)
    else:
        shared.push(registry.folder(fingerprint), vouch=True)
except Exception as error:
    print(type(error).__name__, error)
"""


def begun(what: str, root: Path, place: Path, fingerprint: str, **how: Any) -> Any:
    """Start a process that does it as soon as it is told to."""
    pem = place.parent / "key.pem"
    if not pem.exists():
        pem.write_text(generate())
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, what, str(root), str(place), fingerprint, str(pem)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **how,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("what", ["push", "pull"])
def test_a_full_disk_on_this_side_is_named_as_such_and_nothing_is_kept(
    what: str, tmp_path: Path, ours: Registry, place: Path, exported_bert: Path
) -> None:
    manifest = added(ours, exported_bert)
    largest = max(record.bytes for record in manifest.files.values())
    if what == "pull":
        push(ours, manifest.fingerprint)
    root = ours.root if what == "push" else tmp_path / "theirs"
    process = begun(
        what,
        root,
        place,
        manifest.fingerprint,
        preexec_fn=limited(largest - 1),
    )
    said, _ = process.communicate("\n", timeout=60)
    reader = machine(tmp_path / "reader", f"file://{place}")
    if what == "pull":
        assert said.startswith(RegistryFullError.__name__), said
        assert "no room for a model in" in said
        assert list(root.iterdir()) == []
    else:
        assert said.startswith("SharedFolderError"), said
        assert "File too large" in said
        with pytest.raises(ModelMissingError):
            reader.bring(manifest.fingerprint)
        push(ours, manifest.fingerprint)
    assert reader.bring(manifest.fingerprint) == manifest


#: Dies at the first thing done to a file, then begins again and dies at the second, and so on,
#: until it ends; after each death somebody looks at what is here and there, and does it anew.
KILLED = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
from desireline.connectors.shared_folder import SharedFolder
from desireline.trainer.forms.quantise import quantise
from desireline.trainer.registry import Registry
from desireline.trainer.models.shared import SharedModels
from desireline.trainer.models.signing import SigningKey, Trust
what, root, place, fingerprint, pem, scratch = sys.argv[1:]

def opened(folder):
    signing = SigningKey(pem, place="a test")
    trust = Trust(keys=(signing.public,), required=True)
    shared = SharedModels(
        SharedFolder("file://" + place), trust=trust, signing_key=lambda: signing)
    return Registry(Path(folder), shared=shared)

def act(folder):
    registry = opened(folder)
    if what == "pull":
        registry.bring(fingerprint)
    elif what == "quantise":
        quantise(registry, fingerprint)
    else:
        registry.shared.push(registry.folder(fingerprint), vouch=True)

def dying(at):
    left = [at]
    def hook(event, told):
        touches = event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir")
        if touches and any(str(each).startswith((root, place, scratch)) for each in told[:2]):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

def look(at):
    here = opened(root if what != "pull" else f"{scratch}/{at}")
    for each in here.names():
        here.verify(each)
    act(here.root)
    if what == "push":
        here = opened(f"{scratch}/reader{at}")
        here.bring(fingerprint)
    for each in here.names():
        here.verify(each)

def forked(work):
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]

at, ended = 0, None
while ended != 0:
    at += 1
    def once():
        dying(at)
        act(root if what != "pull" else f"{scratch}/{at}")
    ended = forked(once)
    assert ended in (0, signal.SIGKILL), ended
    assert forked(lambda: look(at)) == 0, at
    if what != "pull":
        for path in (Path(place) if what == "push" else Path(root)).iterdir():
            if what == "push" or path.name != fingerprint:
                import shutil
                shutil.rmtree(path)
print(at)
"""


@pytest.mark.parametrize(
    ("what", "least"),
    [("push", 10), ("pull", 10), pytest.param("quantise", 15, marks=pytest.mark.slow)],
)
def test_kill_9_at_every_file_leaves_models_whole_here_and_there(
    what: str, least: int, tmp_path: Path, place: Path, exported_static: Path
) -> None:
    pem = generate()
    mine = SigningKey(pem, place="a test")
    ours = machine(tmp_path / "ours", f"file://{place}", signing_key=lambda: mine)
    manifest = added(ours, exported_static)
    push(ours, manifest.fingerprint)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    told = (what, str(ours.root), str(place), manifest.fingerprint, pem, str(scratch))
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *told], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout.split()[-1]) > least
