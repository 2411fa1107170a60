"""Models go to a shared registry whole, come from it proved, and a dead one stops nobody."""

import base64
import hashlib
import io
import json
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from desireline.connectors.documents import TextTemplate
from desireline.connectors.errors import PluginMissingError, SharedFolderError
from desireline.connectors.shared_folder import SharedFolder, shown
from desireline.trainer.errors import (
    ModelChangedError,
    ModelMissingError,
    RegistryFullError,
    SignatureError,
    UnsafeModelError,
)
from desireline.trainer.models.manifest import MANIFEST, Manifest, Provenance
from desireline.trainer.models.shared import SharedModels
from desireline.trainer.models.signing import PublicKey, SigningKey, Trust, generate
from desireline.trainer.models.taking import digest_of, take
from desireline.trainer.registry import Registry

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
TEXTS = ["red shoe", "nurse"]


@pytest.fixture(params=["memory", "file", "folder"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An address of each sort; every test has a place of its own."""
    if request.param == "memory":
        yield f"memory://{tmp_path.name}/models"
        fsspec.filesystem("memory").store.clear()
    else:
        prefix = "file://" if request.param == "file" else ""
        yield f"{prefix}{tmp_path}/shared/models"


def machine(root: Path, url: str = "", **shared: Any) -> Registry:
    """The registry of one machine."""
    place = SharedModels(SharedFolder(url), **shared) if url else None
    return Registry(root, now=lambda: NOW, shared=place)


def added(registry: Registry, folder: Path, field: str = "title", **made: Any) -> Manifest:
    return registry.add(
        folder,
        template=TextTemplate(fields=(field,)),
        similarity="cosine",
        provenance=Provenance(base_model="tiny", **made),
    )


def push(registry: Registry, manifest: Manifest, **how: Any) -> Any:
    assert registry.shared is not None
    return registry.shared.push(registry.folder(manifest.fingerprint), **how)


def files_of(system: Any, root: str) -> dict[str, bytes]:
    return {path: system.cat_file(path) for path in sorted(system.find(root))}


def test_what_one_machine_shares_another_loads_with_the_same_vectors(
    url: str, tmp_path: Path, exported_bert: Path
) -> None:
    ours, theirs = machine(tmp_path / "a", url), machine(tmp_path / "b", url)
    manifest = added(ours, exported_bert, pairs=7)
    assert push(ours, manifest).sent
    np.testing.assert_array_equal(
        theirs.load(manifest.fingerprint, threads=1).encode_queries(TEXTS),
        ours.load(manifest.fingerprint, threads=1).encode_queries(TEXTS),
    )
    assert theirs.verify(manifest.fingerprint) == manifest
    assert [path.name for path in theirs.root.iterdir()] == [manifest.fingerprint]
    assert theirs.shared is not None
    assert theirs.shared.manifests() == [manifest]


def test_a_model_is_found_by_its_first_digits_wherever_it_is(
    url: str, tmp_path: Path, exported_static: Path
) -> None:
    ours, theirs = machine(tmp_path / "a", url), machine(tmp_path / "b", url)
    manifest = added(ours, exported_static)
    with pytest.raises(ModelMissingError, match="begins 0"):
        theirs.resolve(manifest.fingerprint[:8])
    push(ours, manifest)
    assert theirs.resolve(manifest.fingerprint[:8]) == manifest.fingerprint


def test_sharing_again_sends_nothing(url: str, tmp_path: Path, exported_static: Path) -> None:
    ours = machine(tmp_path / "a", url)
    manifest = added(ours, exported_static)
    assert push(ours, manifest).sent
    assert not push(ours, manifest).sent


def test_another_description_of_the_same_vectors_is_not_written_over(
    tmp_path: Path, exported_static: Path
) -> None:
    url = f"file://{tmp_path}/shared"
    ours, theirs = machine(tmp_path / "a", url), machine(tmp_path / "b", url)
    first, second = added(ours, exported_static), added(theirs, exported_static, pairs=9)
    assert first.fingerprint == second.fingerprint
    assert first != second
    push(ours, first)
    before = files_of(fsspec.filesystem("file"), f"{tmp_path}/shared")
    assert not push(theirs, second).sent
    signer = machine(
        tmp_path / "b", url, signing_key=lambda: SigningKey(generate(), place="a test")
    )
    assert push(signer, second).sent  # it vouches for its own description, beside the other
    after = files_of(fsspec.filesystem("file"), f"{tmp_path}/shared")
    assert {path: after[path] for path in before} == before
    assert machine(tmp_path / "c", url).get(first.fingerprint) in (first, second)


class DyingFileSystem(MemoryFileSystem):
    """As memory, but everything fails from the n-th call on."""

    protocol = "dying"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cachable = False
    left = 10**9

    def _spend(self) -> None:
        type(self).left -= 1
        if type(self).left < 0:
            raise ConnectionError("https://user:hunter2@storage.example.org said no")

    def _open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        self._spend()
        file = super()._open(path, mode, **more)
        return _Dying(file, self) if "w" in mode else file

    def ls(self, path: str, detail: bool = True, **more: Any) -> Any:
        self._spend()
        return super().ls(path, detail, **more)


class _Dying(io.BytesIO):
    """Written in two halves; the store has what arrived before the end."""

    def __init__(self, file: Any, system: DyingFileSystem) -> None:
        super().__init__()
        self._file, self._system = file, system

    def close(self) -> None:
        if not self.closed:
            content = self.getvalue()
            self._file.write(content[: len(content) // 2])
            self._file.commit() if hasattr(self._file, "commit") else None
            super().close()
            self._system._spend()
            self._file.write(content[len(content) // 2 :])
            self._file.close()


@pytest.fixture
def dying() -> Any:
    fsspec.register_implementation("dying", DyingFileSystem, clobber=True)
    DyingFileSystem.store.clear()
    DyingFileSystem.left = 10**9
    yield DyingFileSystem
    DyingFileSystem.left = 10**9


def test_an_upload_that_died_at_any_call_is_invisible_and_the_next_one_completes_it(
    dying: Any, tmp_path: Path, exported_static: Path
) -> None:
    ours = machine(tmp_path / "a", "dying://models")
    manifest = added(ours, exported_static)
    calls = 10**6
    dying.left = calls
    push(ours, manifest)
    calls -= dying.left
    assert calls > 5
    for survived in range(calls):
        dying.store.clear()
        dying.left = survived
        with pytest.raises(SharedFolderError) as caught:
            push(ours, manifest)
        assert "hunter2" not in str(caught.value)
        dying.left = 10**6
        reader = machine(tmp_path / f"r{survived}", "dying://models")
        with pytest.raises(ModelMissingError):
            reader.get(manifest.fingerprint)
        assert reader.shared is not None
        assert reader.shared.manifests() == []
        assert push(ours, manifest).sent
        assert reader.bring(manifest.fingerprint) == manifest


def test_a_download_that_died_at_any_call_leaves_no_half_model(
    dying: Any, tmp_path: Path, exported_static: Path
) -> None:
    ours = machine(tmp_path / "a", "dying://models")
    manifest = added(ours, exported_static)
    push(ours, manifest)
    dying.left = 10**6
    machine(tmp_path / "b", "dying://models").get(manifest.fingerprint)
    calls = 10**6 - dying.left
    assert calls > 5
    for survived in range(calls):
        dying.left = survived
        reader = machine(tmp_path / f"r{survived}", "dying://models")
        with pytest.raises(ModelMissingError, match="shared registry") as caught:
            reader.load(manifest.fingerprint)
        assert "hunter2" not in str(caught.value)
        assert list(reader.root.iterdir()) == []


def test_what_is_here_serves_while_the_shared_registry_is_dead(
    dying: Any, tmp_path: Path, exported_static: Path
) -> None:
    dying.left = 0
    ours = machine(tmp_path / "a", "dying://models")
    manifest = added(ours, exported_static)
    assert ours.load(manifest.fingerprint, threads=1).encode_queries(TEXTS).shape[0] == 2
    assert ours.resolve(manifest.fingerprint[:8]) == manifest.fingerprint
    assert ours.list() == [manifest]


def test_a_model_that_could_not_be_brought_is_asked_for_again_only_after_a_while(
    dying: Any, tmp_path: Path, exported_static: Path
) -> None:
    ours = machine(tmp_path / "a", "dying://models")
    manifest = added(ours, exported_static)
    push(ours, manifest)
    at = [0.0]
    reader = Registry(
        tmp_path / "b",
        shared=SharedModels(SharedFolder("dying://models")),
        monotonic=lambda: at[0],
    )
    dying.left = 0
    for at[0] in (0.0, 29.0):
        with pytest.raises(ModelMissingError):
            reader.get(manifest.fingerprint)
    assert dying.left == -1  # asked once
    dying.left = 10**6
    at[0] = 31.0
    assert reader.get(manifest.fingerprint) == manifest


class SilentFileSystem(MemoryFileSystem):
    """Never answers, until it is told to."""

    protocol = "silent"
    cachable = False
    answer = threading.Event()

    def ls(self, path: str, detail: bool = True, **more: Any) -> Any:
        self.answer.wait(60)
        return super().ls(path, detail, **more)


def test_a_registry_that_does_not_answer_is_given_up_and_not_waited_for_twice() -> None:
    fsspec.register_implementation("silent", SilentFileSystem, clobber=True)
    folder = SharedFolder("silent://models", limit_s=0.05)
    try:
        with pytest.raises(SharedFolderError, match="nothing moved"):
            folder.names()
        with pytest.raises(SharedFolderError, match="does not answer"):
            folder.names()
    finally:
        SilentFileSystem.answer.set()


def hostile(tmp_path: Path, folder: Path, **changes: Any) -> tuple[Registry, str]:
    """Share a model, and then change what lies there; return a machine that would take it."""
    url = f"file://{tmp_path}/shared"
    ours = machine(tmp_path / "a", url)
    manifest = added(ours, folder)
    push(ours, manifest)
    old = next((tmp_path / "shared" / manifest.fingerprint).iterdir())
    body = json.loads((old / MANIFEST).read_text()) | changes
    text = json.dumps(body).encode()
    place = old.with_name(digest_of(text))
    shutil.copytree(old, place)
    (place / MANIFEST).write_bytes(text)
    shutil.rmtree(old)
    return machine(tmp_path / "b", url), manifest.fingerprint


@pytest.mark.parametrize(
    "name",
    [
        "../outside.json",
        "/tmp/outside.json",
        "1_Pooling/../../outside.safetensors",
        "weights.bin",
        "model.pkl",
        "setup.py",
        "config.json/config.json",
        "..\\outside.json",
        "a\x00.safetensors",
        MANIFEST,
        "signature-0123456789abcdef.json",
    ],
)
def test_a_name_that_no_model_needs_is_refused_before_anything_is_read(
    name: str, tmp_path: Path, exported_static: Path
) -> None:
    files = {name: {"sha256": "0" * 64, "bytes": 1}}
    for place in (".", "with the honest ones"):
        root = tmp_path / place.replace(" ", "")
        root.mkdir(exist_ok=True)
        honest = {} if place == "." else _files(exported_static, root / "x")
        reader, fingerprint = hostile(root, exported_static, files=honest | files)
        with pytest.raises((UnsafeModelError, ModelChangedError)):
            reader.bring(fingerprint)
        assert list(reader.root.iterdir()) == []
        assert not (root / "outside.json").exists()


def _files(folder: Path, scratch: Path) -> dict[str, Any]:
    manifest = added(Registry(scratch), folder)
    return {name: record.model_dump() for name, record in manifest.files.items()}


def test_bytes_that_are_not_those_of_the_manifest_are_refused(
    tmp_path: Path, exported_static: Path
) -> None:
    reader, fingerprint = hostile(tmp_path, exported_static)
    graph = next((tmp_path / "shared" / fingerprint).glob("*/encoder.onnx"))
    whole = graph.read_bytes()
    for wrong in (whole[:-1], whole + b"x", whole[:-1] + b"\x00", b""):
        graph.write_bytes(wrong)
        with pytest.raises(ModelChangedError, match="other bytes"):
            reader.bring(fingerprint)
        assert list(reader.root.iterdir()) == []
    graph.unlink()
    with pytest.raises(ModelChangedError, match="missing"):
        reader.bring(fingerprint)


def test_a_file_that_is_larger_than_it_says_is_not_read_to_its_end(
    tmp_path: Path, exported_static: Path
) -> None:
    (tmp_path / "huge").write_bytes(b"x" * 5_000_000)
    content = SharedFolder(str(tmp_path)).fetch("huge", tmp_path / "here", most=1000)
    assert content is not None
    assert content.bytes == 1001
    assert (tmp_path / "here").stat().st_size == 1001


def test_a_model_that_says_it_is_too_large_or_has_no_room_is_not_begun(
    tmp_path: Path, exported_static: Path
) -> None:
    ours = machine(tmp_path / "a", f"file://{tmp_path}/shared")
    manifest = added(ours, exported_static)
    push(ours, manifest)
    small = machine(tmp_path / "b", f"file://{tmp_path}/shared", most_bytes=1000)
    with pytest.raises(UnsafeModelError, match="largest_model"):
        small.bring(manifest.fingerprint)
    source = SharedFolder(str(ours.folder(manifest.fingerprint)))
    with pytest.raises(RegistryFullError, match="no room"):
        take(
            source,
            "",
            tmp_path / "new",
            trust=Trust(),
            most_bytes=10**9,
            free=lambda _: 1000,
        )
    assert not (tmp_path / "new").exists()


def test_a_manifest_of_another_model_is_refused(tmp_path: Path, exported_static: Path) -> None:
    reader, fingerprint = hostile(tmp_path, exported_static)
    shared = tmp_path / "shared"
    (shared / fingerprint).rename(shared / ("0" * 64))
    with pytest.raises(ModelChangedError, match="another one"):
        reader.bring("0" * 64)
    assert reader.shared is not None
    assert reader.shared.manifests() == []


def test_a_bad_copy_beside_a_good_one_harms_nobody(tmp_path: Path, exported_static: Path) -> None:
    url = f"file://{tmp_path}/shared"
    ours = machine(tmp_path / "a", url)
    manifest = added(ours, exported_static)
    push(ours, manifest)
    for name in ("0" * 16, "f" * 16):
        bad = tmp_path / "shared" / manifest.fingerprint / name
        bad.mkdir()
        (bad / MANIFEST).write_text("{}")
    assert machine(tmp_path / "b", url).get(manifest.fingerprint) == manifest


def test_files_that_name_code_are_refused_even_with_right_digests(
    tmp_path: Path, exported_static: Path
) -> None:
    reader, fingerprint = hostile(tmp_path, exported_static)
    folder = next((tmp_path / "shared" / fingerprint).iterdir())
    body = json.loads((folder / MANIFEST).read_text())
    content = json.dumps({"auto_map": {"AutoModel": "evil.Model"}}).encode()
    (folder / "config.json").write_bytes(content)
    body["files"]["config.json"] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    text = json.dumps(body).encode()
    (folder / MANIFEST).write_bytes(text)
    folder.rename(folder.with_name(digest_of(text)))
    with pytest.raises(UnsafeModelError, match="auto_map"):
        reader.bring(fingerprint)
    assert list(reader.root.iterdir()) == []


def key() -> SigningKey:
    return SigningKey(generate(), place="a test")


def test_where_a_signature_is_needed_only_a_trusted_one_counts(
    url: str, tmp_path: Path, exported_static: Path
) -> None:
    mine, other = key(), key()
    ours = machine(tmp_path / "a", url, signing_key=lambda: mine)
    manifest = added(ours, exported_static)
    push(ours, manifest)
    strict = Trust(keys=(mine.public,), required=True)
    reader = machine(tmp_path / "b", url, trust=strict)
    assert reader.get(manifest.fingerprint) == manifest
    assert (reader.folder(manifest.fingerprint) / f"signature-{mine.public.id}.json").exists()
    wrong = machine(tmp_path / "c", url, trust=Trust(keys=(other.public,), required=True))
    with pytest.raises(SignatureError, match="signed by none of the 1 keys"):
        wrong.bring(manifest.fingerprint)
    assert list(wrong.root.iterdir()) == []


def test_an_unsigned_model_is_taken_only_where_no_signature_is_needed(
    url: str, tmp_path: Path, exported_static: Path
) -> None:
    ours = machine(tmp_path / "a", url)
    manifest = added(ours, exported_static)
    push(ours, manifest)
    keys = (key().public,)
    assert machine(tmp_path / "b", url, trust=Trust(keys=keys)).get(manifest.fingerprint)
    with pytest.raises(SignatureError):
        machine(tmp_path / "c", url, trust=Trust(keys=keys, required=True)).bring(
            manifest.fingerprint
        )


@pytest.mark.parametrize("what", ["label", "signature", "swapped", "garbage"])
def test_a_signature_of_something_else_is_refused_even_where_none_is_needed(
    what: str, tmp_path: Path, exported_static: Path
) -> None:
    url, mine = f"file://{tmp_path}/shared", key()
    ours = machine(tmp_path / "a", url, signing_key=lambda: mine)
    manifest = added(ours, exported_static)
    push(ours, manifest)
    folder = next((tmp_path / "shared" / manifest.fingerprint).iterdir())
    signature = folder / f"signature-{mine.public.id}.json"
    if what == "label":
        text = (folder / MANIFEST).read_bytes().replace(b'"tiny"', b'"huge"')
        (folder / MANIFEST).write_bytes(text)
        folder.rename(folder.with_name(digest_of(text)))
    elif what == "signature":
        body = json.loads(signature.read_text())
        raw = bytearray(base64.b64decode(body["signature"]))
        raw[5] ^= 1
        signature.write_text(
            json.dumps(body | {"signature": base64.b64encode(bytes(raw)).decode()})
        )
    elif what == "swapped":
        stranger = key().sign((folder / MANIFEST).read_bytes())
        signature.write_text(stranger.model_copy(update={"key": mine.public.id}).model_dump_json())
    else:
        signature.write_bytes(b"\x00" * 10_000)
    reader = machine(tmp_path / "b", url, trust=Trust(keys=(mine.public,)))
    if what == "garbage":  # too large to be one: as if it were not there
        assert reader.get(manifest.fingerprint)
        strict = machine(tmp_path / "c", url, trust=Trust(keys=(mine.public,), required=True))
        with pytest.raises(SignatureError):
            strict.bring(manifest.fingerprint)
        return
    with pytest.raises(SignatureError, match="is not of this model"):
        reader.bring(manifest.fingerprint)


def test_a_key_is_changed_without_a_moment_in_which_nothing_is_trusted(
    tmp_path: Path, exported_static: Path
) -> None:
    url, old, new = f"file://{tmp_path}/shared", key(), key()
    ours = machine(tmp_path / "a", url, signing_key=lambda: old)
    manifest = added(ours, exported_static)
    push(ours, manifest)
    after = machine(tmp_path / "a", url, signing_key=lambda: new)
    assert not push(after, manifest).sent  # shared already: nobody asked to vouch for it
    assert push(after, manifest, vouch=True).sent
    for trusted in ((old,), (old, new), (new,)):
        trust = Trust(keys=tuple(each.public for each in trusted), required=True)
        reader = machine(tmp_path / f"r{len(list(tmp_path.iterdir()))}", url, trust=trust)
        assert reader.get(manifest.fingerprint) == manifest
    assert after.verify(manifest.fingerprint) == manifest


def test_a_model_from_elsewhere_is_not_vouched_for_unasked(
    tmp_path: Path, exported_static: Path
) -> None:
    url, mine = f"file://{tmp_path}/shared", key()
    manifest = added(machine(tmp_path / "a", url), exported_static)
    push(machine(tmp_path / "a", url), manifest)
    puller = machine(tmp_path / "b", url, signing_key=lambda: mine)
    puller.bring(manifest.fingerprint)
    push(puller, manifest)
    assert not list(tmp_path.rglob("signature-*"))
    push(puller, manifest, vouch=True)
    assert len(list(tmp_path.rglob("signature-*"))) == 2  # here and there


def test_an_exported_folder_is_taken_with_its_name_its_label_and_its_signature(
    tmp_path: Path, exported_static: Path
) -> None:
    mine = key()
    ours = machine(tmp_path / "a", f"file://{tmp_path}/s", signing_key=lambda: mine)
    manifest = added(ours, exported_static, pairs=11)
    push(ours, manifest)
    trust = Trust(keys=(mine.public,), required=True)
    theirs = Registry(tmp_path / "b", trust=trust)
    assert theirs.take(ours.folder(manifest.fingerprint)) == manifest
    strangers = Trust(keys=(key().public,), required=True)
    with pytest.raises(SignatureError):
        Registry(tmp_path / "c", trust=strangers).take(ours.folder(manifest.fingerprint))
    with pytest.raises(ModelMissingError, match="no manifest"):
        theirs.take(exported_static)


def test_a_damaged_copy_is_not_shared_and_can_be_fetched_anew(
    tmp_path: Path, exported_static: Path
) -> None:
    url = f"file://{tmp_path}/shared"
    ours = machine(tmp_path / "a", url)
    manifest = added(ours, exported_static)
    graph = ours.folder(manifest.fingerprint) / "encoder.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole + b"x")
    with pytest.raises(ModelChangedError, match="not shared"):
        push(ours, manifest)
    graph.write_bytes(whole)
    push(ours, manifest)
    graph.write_bytes(whole + b"x")
    ours.bring(manifest.fingerprint)
    assert ours.verify(manifest.fingerprint) == manifest


def test_a_key_of_openssl_is_understood_and_another_kind_is_refused() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    made = key()
    assert PublicKey.parse(made.public.text) == made.public
    assert made.public.text.startswith("MCowBQYDK2VwAyEA")
    assert made.public.verifies(b"text", made.sign(b"text"))
    assert not made.public.verifies(b"texts", made.sign(b"text"))
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for wrong in (other.decode(), "", "hunter2"):
        with pytest.raises(SignatureError, match="the vault holds no Ed25519") as caught:
            SigningKey(wrong, place="the vault")
        assert "hunter2" not in str(caught.value)
    for line in (
        "",
        "MCowBQYDK2VwAyEA",
        made.public.text[:-4],
        "x" * 60,
        made.public.text + "AAAA",
    ):
        with pytest.raises(ValueError, match="expected an Ed25519 public key"):
            PublicKey.parse(line)


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert shown("s3://key:secret@bucket/models?token=x") == "s3://bucket/models"
    assert shown("/mnt/models") == "/mnt/models"
    with pytest.raises(PluginMissingError, match="nonsense") as caught:
        SharedFolder("nonsense://key:secret@bucket/models")
    assert "secret" not in str(caught.value)


def test_a_registry_of_today_loads_unchanged(tmp_path: Path, exported_static: Path) -> None:
    """A manifest as it was written on 2026-11-21, before anything could be shared or signed."""
    registry = Registry(tmp_path / "models", now=lambda: NOW)
    manifest = added(registry, exported_static)
    path = registry.folder(manifest.fingerprint) / MANIFEST
    body = json.loads(path.read_text())
    assert set(body) == {
        *("format", "fingerprint", "files", "settings", "template", "documents"),
        *("provenance", "created_at"),
    }
    assert body["format"] == 1
    del body["documents"]  # older ones have none
    path.write_text(json.dumps(body))
    assert registry.verify(manifest.fingerprint) == manifest


def test_a_label_of_a_newer_desireline_stops_nobody_and_a_setting_does(
    tmp_path: Path, exported_static: Path
) -> None:
    manifest = added(Registry(tmp_path / "x"), exported_static)
    body = json.loads(manifest.model_dump_json())
    newer = body["provenance"] | {"a_field_of_tomorrow": 1}
    reader, fingerprint = hostile(tmp_path, exported_static, provenance=newer)
    assert reader.bring(fingerprint).provenance.base_model == "tiny"
    assert b"a_field_of_tomorrow" in (reader.folder(fingerprint) / MANIFEST).read_bytes()
    (tmp_path / "2").mkdir()
    reader, fingerprint = hostile(tmp_path / "2", exported_static, decides_vectors="tomorrow")
    with pytest.raises(ModelChangedError) as caught:
        reader.bring(fingerprint)
    assert "as new as its maker" in caught.value.next_step
