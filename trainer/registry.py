"""The models on this machine: copied whole or not at all, checked before each use."""

import contextlib
import errno
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from pydantic import ValidationError

from desireline.connectors.documents import TextTemplate
from desireline.connectors.search_engine import Similarity
from desireline.trainer import model_files
from desireline.trainer.disk_sync import sync, sync_path
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.encoders.settings import EncoderSettings
from desireline.trainer.encoders.two_tower import TwoTowerEncoder
from desireline.trainer.errors import (
    ModelChangedError,
    ModelInUseError,
    ModelMissingError,
    RegistryFullError,
    TrainerError,
)
from desireline.trainer.manifest import Manifest, Provenance, fingerprint
from desireline.trainer.query_side import refuse_unlike
from desireline.trainer.stored_files import file_names, record

log = structlog.get_logger()

MANIFEST = "manifest.json"
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
PREFIX = re.compile(r"[0-9a-f]{8,64}")
_PENDING = ".adding-"
#: A folder that an interrupted `add` left is removed by a later one after this time.
_ABANDONED_AFTER = timedelta(days=1)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """A folder of models, one sub-folder each, named by its fingerprint.

    A model appears by one rename after all its bytes are on the disk, so a reader sees it whole
    or not at all. Names come from users and from stored records: only hexadecimal fingerprints
    ever become a path.
    """

    def __init__(self, root: Path, *, now: Callable[[], datetime] = _utc_now) -> None:
        self.root = root
        self._now = now

    def add(
        self,
        folder: Path,
        *,
        template: TextTemplate,
        similarity: Similarity,
        provenance: Provenance,
        documents: str | None = None,
    ) -> Manifest:
        """Copy an exported model in; adding the same again changes nothing.

        Args:
            folder: as exported; it is left as it is.
            template: how documents are rendered.
            similarity: how vectors are compared.
            provenance: where the model came from.
            documents: fingerprint of the registered encoder of the documents, for a model that
                encodes queries alone.

        Raises:
            UnsafeModelError: the folder holds what a model may not hold, or is not exported.
            ModelMissingError: the encoder of the documents is not registered.
            NotQuerySideError: it is a query-side model itself, or of another dimension,
                similarity or template.
            RegistryFullError: no room; nothing was added.

        """
        settings = EncoderSettings.read(folder).model_copy(update={"similarity": similarity})
        if documents is not None:
            refuse_unlike(self.get(documents), settings, template)
        with self.workspace() as pending:
            model_files.copy(folder, pending)
            settings.write(pending)
            manifest = Manifest.of(
                files={name: record(pending / name) for name in model_files.check(pending)},
                settings=settings,
                template=template,
                provenance=provenance,
                created_at=self._now(),
                documents=documents,
            )
            text = manifest.model_dump_json(indent=1)
            (pending / MANIFEST).write_text(text + "\n", encoding="utf-8")
            sync(pending)
            return self._publish(pending, manifest)

    def get(self, fingerprint: str) -> Manifest:
        """Read the manifest of a registered model.

        Raises:
            ModelMissingError: not registered, or not a fingerprint.
            ModelChangedError: its manifest cannot be read or is another model's.

        """
        path = self.folder(fingerprint) / MANIFEST
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise _changed(fingerprint, f"its {MANIFEST} cannot be read") from error
        if manifest.fingerprint != fingerprint or _recomputed(manifest) != fingerprint:
            raise _changed(fingerprint, f"its {MANIFEST} describes another model")
        return manifest

    def verify(self, fingerprint: str) -> Manifest:
        """Read every file again and compare; the manifest when all is as registered.

        Raises:
            ModelMissingError: not registered, or not a fingerprint.
            ModelChangedError: a file was changed, added, removed or replaced by a link.

        """
        manifest = self.get(fingerprint)
        folder = self.folder(fingerprint)
        found = set(file_names(folder)) - {MANIFEST}
        for name in sorted(found ^ set(manifest.files)):
            raise _changed(
                fingerprint, f"{name} was {'added' if name in found else 'removed'} since"
            )
        for name, stored in manifest.files.items():
            path = folder / name
            if path.is_symlink() or record(path) != stored:
                raise _changed(fingerprint, f"{name} has other bytes than were registered")
        return manifest

    def folder(self, fingerprint: str) -> Path:
        """Where a registered model lies."""
        if not FINGERPRINT.fullmatch(fingerprint):
            raise ModelMissingError(
                f"{fingerprint[:80]!r} is not a model's fingerprint (64 hexadecimal digits)"
            )
        path = self.root / fingerprint
        if path.is_symlink() or not path.is_dir():
            raise ModelMissingError(
                f"the model {fingerprint[:12]} is not registered in {self.root}",
                next_step="import it again, or copy its folder from another replica's registry",
            )
        return path

    def list(self) -> list[Manifest]:
        """All registered models whose manifest is whole, oldest first."""
        if not self.root.is_dir():
            return []
        manifests = []
        for path in self.root.iterdir():
            if FINGERPRINT.fullmatch(path.name):
                with contextlib.suppress(ModelChangedError, ModelMissingError):
                    manifests.append(self.get(path.name))
        return sorted(manifests, key=lambda manifest: (manifest.created_at, manifest.fingerprint))

    def resolve(self, name: str) -> str:
        """Find the fingerprint that a user means by itself or by its first 8 or more digits.

        Raises:
            ModelMissingError: none or several begin so, or it is not hexadecimal.

        """
        if not PREFIX.fullmatch(name):
            raise ModelMissingError(
                f"{name[:80]!r} names no registered model: give 8 to 64 hexadecimal digits "
                "of its fingerprint"
            )
        known = [manifest.fingerprint for manifest in self.list()]
        matches = [full for full in known if full.startswith(name)]
        if len(matches) != 1:
            found = ", ".join(full[:12] for full in matches or known) or "none"
            raise ModelMissingError(
                f"{name!r} begins {len(matches)} registered models, not one; "
                f"{'these' if matches else 'registered'}: {found}"
            )
        return matches[0]

    def int8_of(self, fingerprint: str) -> str | None:
        """Return the fingerprint of an encoder's int8 form, if it is registered."""
        for manifest in self.list():
            made = manifest.provenance
            if made.parent == fingerprint and made.precision == "int8":
                return manifest.fingerprint
        return None

    def remove(self, fingerprint: str) -> None:
        """Delete a model; it is out of sight before its bytes go.

        Raises:
            ModelMissingError: not registered.
            ModelInUseError: a query-side model leaves its documents to this one.

        """
        self.folder(fingerprint)
        for manifest in self.list():
            if manifest.documents == fingerprint:
                raise ModelInUseError(
                    f"the model {fingerprint[:12]} embeds the documents of the query-side model"
                    f" {manifest.fingerprint[:12]}; nothing was removed",
                    next_step=f"remove {manifest.fingerprint[:12]} first",
                )
        self._discard(fingerprint)

    def load(
        self,
        fingerprint: str,
        threads: int | None = None,
        *,
        documents: Callable[[str], Encoder] | None = None,
    ) -> Encoder:
        """Verify a model and open it for serving; of a query-side model, both towers.

        Args:
            fingerprint: of the model.
            threads: that encode at a time; None for one a core.
            documents: gives the encoder of a query-side model's documents, verified, where it may
                be open already; left out, it is opened here.

        Raises:
            ModelMissingError: it, or the encoder of its documents, is not registered.
            ModelChangedError: a file is not as registered; nothing was opened.

        """
        manifest = self.verify(fingerprint)
        if manifest.documents is None:
            return self._open(fingerprint, threads)
        theirs = documents or partial(self.load, threads=threads)
        return TwoTowerEncoder(
            queries=self._open(fingerprint, threads), documents=theirs(manifest.documents)
        )

    def _open(self, fingerprint: str, threads: int | None) -> OnnxEncoder:
        return OnnxEncoder(self.folder(fingerprint), fingerprint=fingerprint, threads=threads)

    def _discard(self, fingerprint: str) -> None:
        folder = self.folder(fingerprint)
        with self.workspace() as pending:
            folder.rename(pending / fingerprint)

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
                prefix=_PENDING, dir=self.root, ignore_cleanup_errors=True
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

    def _sweep(self) -> None:
        oldest = (self._now() - _ABANDONED_AFTER).timestamp()
        for path in self.root.glob(f"{_PENDING}*"):
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


def _recomputed(manifest: Manifest) -> str:
    return fingerprint(manifest.files, manifest.settings, manifest.template, manifest.documents)


def _changed(fingerprint: str, what: str) -> ModelChangedError:
    return ModelChangedError(
        f"the model {fingerprint[:12]} is not as it was registered: {what}; it was not loaded",
        next_step="add or import it again: a damaged copy is replaced",
    )
