"""A model from elsewhere, proved while it arrives: nothing of it is believed before.

Its manifest comes first and bounds what is read: which names, how many bytes, which digests.
Then who signed it, then the files, hashed as they come, then what they hold.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from desireline.connectors.shared_folder import SharedFolder
from desireline.trainer import model_files
from desireline.trainer.errors import (
    ModelChangedError,
    ModelMissingError,
    RegistryFullError,
    UnsafeModelError,
)
from desireline.trainer.models.disk_sync import sync
from desireline.trainer.models.manifest import MANIFEST, FileRecord, Manifest
from desireline.trainer.models.signing import MOST_SIGNATURE_BYTES, Trust

_MOST_MANIFEST_BYTES = 4 * 1024**2
_MOST_FILES = 200
#: Kept free beside the model.
_SPARE = 64 * 1024**2

Free = Callable[[Path], int]


def free_bytes(folder: Path) -> int:
    """Room on the disk of a folder."""
    return shutil.disk_usage(folder).free


def take(
    source: SharedFolder,
    place: str,
    into: Path,
    *,
    trust: Trust,
    most_bytes: int,
    free: Free = free_bytes,
) -> Manifest:
    """Bring a model's files, manifest and trusted signatures into a new folder.

    Args:
        source: where it is.
        place: the model's folder there, relative; empty where it is the source itself.
        into: made; holds a whole, proven model afterwards, or is to be thrown away.
        trust: whose signatures count, and whether one is needed.
        most_bytes: a model may have.
        free: room on a folder's disk.

    Raises:
        ModelMissingError: there is no manifest.
        ModelChangedError: manifest or a file is not what it says it is.
        UnsafeModelError: it names or holds what a model may not hold, or is too large.
        SignatureError: it is not signed as it must be.
        RegistryFullError: no room for it.
        SharedFolderError: it could not be read.

    """
    text = manifest_text(source, place)
    if text is None:
        raise ModelMissingError(f"there is no model in {_at(source, place)}: it has no {MANIFEST}")
    manifest = parsed(text, _at(source, place))
    _check_names(manifest, _at(source, place))
    _check_size(manifest, into.parent, most_bytes=most_bytes, free=free)
    signatures = _signatures(source, place, trust)
    trust.check(text, signatures, model=manifest.fingerprint[:12])
    into.mkdir()
    for name, record in manifest.files.items():
        _fetch(source, _below(place, name), into / name, record, manifest)
    if set(model_files.check(into)) != set(manifest.files):
        raise _changed(manifest, "its files are not those that its manifest names")
    for name, content in {MANIFEST: text, **signatures}.items():
        (into / name).write_bytes(content)
    sync(into)
    return manifest


def manifest_text(source: SharedFolder, place: str) -> bytes | None:
    """Read a model's manifest as it lies there; None where there is none."""
    return source.read(_below(place, MANIFEST), _MOST_MANIFEST_BYTES)


def parsed(text: bytes, place: str) -> Manifest:
    """Read a manifest that describes itself. Raises ModelChangedError where it does not."""
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ModelChangedError(
            f"the {MANIFEST} in {place} is not a model's; nothing was taken",
            next_step="have the model shared again, or ask for a desireline as new as its maker",
        ) from error
    if manifest.recomputed != manifest.fingerprint:
        raise _changed(manifest, f"its {MANIFEST} describes another model")
    return manifest


def digest_of(text: bytes) -> str:
    """Sixteen digits by which manifests of one fingerprint are told apart."""
    return hashlib.sha256(text).hexdigest()[:16]


def _check_names(manifest: Manifest, place: str) -> None:
    wrong = [name for name in manifest.files if not model_files.is_model_file(name)]
    if len(manifest.files) > _MOST_FILES or wrong:
        what = f"{wrong[0][:80]!r}" if wrong else f"{len(manifest.files)} files"
        raise UnsafeModelError(
            f"the model in {place} names {what}, which no model needs; nothing was taken",
            next_step="find out who put it there, and remove it",
        )


def _check_size(manifest: Manifest, folder: Path, *, most_bytes: int, free: Free) -> None:
    sizes = [record.bytes for record in manifest.files.values()]
    if min(sizes, default=0) < 0 or sum(sizes) > most_bytes:
        raise UnsafeModelError(
            f"the model {manifest.fingerprint[:12]} says it has {sum(sizes):,} bytes, more than"
            f" registry.largest_model allows ({most_bytes:,}); nothing was taken",
            next_step="raise registry.largest_model if it really is that large",
        )
    if sum(sizes) + _SPARE > free(folder):
        raise RegistryFullError(
            f"no room in {folder} for the model {manifest.fingerprint[:12]}"
            f" ({sum(sizes):,} bytes); nothing was taken",
            next_step="free some space or remove models that no generation uses",
        )


def _signatures(source: SharedFolder, place: str, trust: Trust) -> dict[str, bytes]:
    names = [f"signature-{key.id}.json" for key in trust.keys]
    read = {name: source.read(_below(place, name), MOST_SIGNATURE_BYTES) for name in names}
    return {name: text for name, text in read.items() if text is not None}


def _fetch(
    source: SharedFolder, path: str, target: Path, record: FileRecord, manifest: Manifest
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    arrived = source.fetch(path, target, most=record.bytes)
    name = path.rpartition("/")[2]
    if arrived is None:
        raise _changed(manifest, f"{name} is missing")
    if (arrived.sha256, arrived.bytes) != (record.sha256, record.bytes):
        raise _changed(manifest, f"{name} has other bytes than its {MANIFEST} says")


def _below(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


def _at(source: SharedFolder, place: str) -> str:
    return _below(source.name, place) if place else source.name


def _changed(manifest: Manifest, what: str) -> ModelChangedError:
    return ModelChangedError(
        f"the model {manifest.fingerprint[:12]} is not what it says it is: {what};"
        " nothing of it was kept",
        next_step="have it shared again by the machine that made it",
    )
