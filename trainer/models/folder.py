"""A folder of models: each appears whole by one rename, and is checked before each use."""

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from pydantic import ValidationError

from desireline.trainer.errors import (
    ModelChangedError,
    ModelMissingError,
    RegistryFullError,
    TrainerError,
)
from desireline.trainer.models.disk_sync import sync_path
from desireline.trainer.models.manifest import FINGERPRINT, MANIFEST, PENDING, Manifest
from desireline.trainer.models.signing import SIGNATURE_FILE
from desireline.trainer.models.stored_files import file_names, record

log = structlog.get_logger()

#: A folder that an interrupted `add` left is removed by a later one after this time.
_ABANDONED_AFTER = timedelta(days=1)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ModelsFolder:
    """Models of one folder, one sub-folder each, named by its fingerprint.

    A model appears by one rename after all its bytes are on the disk, so a reader sees it whole
    or not at all. Names come from users and from stored records: only hexadecimal fingerprints
    ever become a path.
    """

    def __init__(self, root: Path, *, now: Callable[[], datetime] = _utc_now) -> None:
        self.root = root
        self._now = now

    def folder(self, fingerprint: str) -> Path:
        """Where a registered model lies."""
        path = self.root / checked(fingerprint)
        if path.is_symlink() or not path.is_dir():
            raise ModelMissingError(
                f"the model {fingerprint[:12]} is not registered in {self.root}",
                next_step="import it again, or copy its folder from another replica's registry",
            )
        return path

    def get(self, fingerprint: str) -> Manifest:
        """Read the manifest of a registered model.

        Raises:
            ModelMissingError: not registered, or not a fingerprint.
            ModelChangedError: its manifest cannot be read or is another model's.

        """
        return self._read(self.folder(fingerprint) / MANIFEST, fingerprint)

    def verify(self, fingerprint: str) -> Manifest:
        """Read every file again and compare; the manifest when all is as registered.

        Raises:
            ModelMissingError: not registered, or not a fingerprint.
            ModelChangedError: a file was changed, added, removed or replaced by a link.

        """
        manifest = self.get(fingerprint)
        folder = self.folder(fingerprint)
        found = {
            name
            for name in file_names(folder)
            if name != MANIFEST and not SIGNATURE_FILE.fullmatch(name)
        }
        for name in sorted(found ^ set(manifest.files)):
            raise _changed(
                fingerprint, f"{name} was {'added' if name in found else 'removed'} since"
            )
        for name, stored in manifest.files.items():
            path = folder / name
            if path.is_symlink() or record(path) != stored:
                raise _changed(fingerprint, f"{name} has other bytes than were registered")
        return manifest

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """Lend a folder on the registry's disk that no reader sees; gone afterwards.

        Raises:
            RegistryFullError: the disk filled up inside.
            TrainerError: the registry cannot be written.

        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._sweep()
            with tempfile.TemporaryDirectory(
                prefix=PENDING, dir=self.root, ignore_cleanup_errors=True
            ) as name:
                yield Path(name)
        except OSError as error:
            raise self._translated(error) from error

    def _publish(self, pending: Path, manifest: Manifest) -> Manifest:
        target = self.root / manifest.fingerprint
        if target.exists():
            try:
                return self.verify(manifest.fingerprint)
            except ModelChangedError:
                log.warning("damaged model replaced", model=manifest.fingerprint)
                self._discard(manifest.fingerprint)
        whole = pending.with_name(pending.name + "-whole")
        pending.rename(whole)
        pending.mkdir()  # the workspace expects its folder
        try:
            whole.rename(target)
        except OSError:
            shutil.rmtree(whole, ignore_errors=True)
            if not target.is_dir():
                raise
            return self.verify(manifest.fingerprint)  # another process was first
        sync_path(self.root)
        log.info("model registered", model=manifest.fingerprint, dimension=manifest.dimension)
        return manifest

    def _discard(self, fingerprint: str) -> None:
        folder = self.folder(fingerprint)
        with self.workspace() as pending:
            folder.rename(pending / fingerprint)

    def _read(self, path: Path, fingerprint: str) -> Manifest:
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise _changed(fingerprint, f"its {MANIFEST} cannot be read") from error
        if not manifest.fingerprint == manifest.recomputed == fingerprint:
            raise _changed(fingerprint, f"its {MANIFEST} describes another model")
        return manifest

    def _sweep(self) -> None:
        oldest = (self._now() - _ABANDONED_AFTER).timestamp()
        for path in self.root.glob(f"{PENDING}*"):
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < oldest:
                    shutil.rmtree(path, ignore_errors=True)

    def _translated(self, error: OSError) -> TrainerError:
        if error.errno in _FULL:
            return RegistryFullError(
                f"no room for a model in {self.root}: {error.strerror}; nothing was added and "
                "the registered models are unchanged",
                next_step="free some space or remove models that no generation uses",
            )
        return TrainerError(
            f"the registry {self.root} cannot be written: {error.strerror or error}; "
            "nothing was added",
            next_step="check the owner and the permissions of the folder",
        )


def checked(fingerprint: str) -> str:
    """Return a fingerprint that may be a folder's name. Raises ModelMissingError."""
    if not FINGERPRINT.fullmatch(fingerprint):
        raise ModelMissingError(
            f"{fingerprint[:80]!r} is not a model's fingerprint (64 hexadecimal digits)"
        )
    return fingerprint


def _changed(fingerprint: str, what: str) -> ModelChangedError:
    return ModelChangedError(
        f"the model {fingerprint[:12]} is not as it was registered: {what}; it was not loaded",
        next_step="add or import it again: a damaged copy is replaced",
    )
