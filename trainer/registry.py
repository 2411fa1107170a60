"""The models on this machine: copied whole or not at all, checked before each use."""

import builtins
import contextlib
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from desireline.connectors.documents import TextTemplate
from desireline.connectors.errors import DesirelineError
from desireline.connectors.search_engine import Similarity
from desireline.connectors.shared_folder import SharedFolder
from desireline.trainer import model_files
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.encoders.settings import EncoderSettings
from desireline.trainer.encoders.two_tower import TwoTowerEncoder
from desireline.trainer.errors import ModelChangedError, ModelInUseError, ModelMissingError
from desireline.trainer.models.disk_sync import sync
from desireline.trainer.models.folder import ModelsFolder, checked
from desireline.trainer.models.manifest import FINGERPRINT, MANIFEST, Manifest, Provenance
from desireline.trainer.models.query_side import refuse_unlike
from desireline.trainer.models.shared import LARGEST_MODEL, SharedModels
from desireline.trainer.models.signing import Trust
from desireline.trainer.models.stored_files import record
from desireline.trainer.models.taking import take

PREFIX = re.compile(r"[0-9a-f]{8,64}")
#: A model that could not be brought from the shared registry is asked for again after this time.
_AGAIN_S = 30.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Registry(ModelsFolder):
    """The models of this machine.

    Where there is a shared registry, a model that is asked for and missing here is brought from
    it; one that is here never asks it anything.
    """

    def __init__(
        self,
        root: Path,
        *,
        now: Callable[[], datetime] = _utc_now,
        shared: SharedModels | None = None,
        trust: Trust | None = None,
        largest: int = LARGEST_MODEL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(root, now=now)
        #: That of several machines; None for a registry of this one alone.
        self.shared = shared
        #: Whose models are taken from elsewhere.
        self.trust = trust or Trust()
        #: Bytes that a model from elsewhere may have.
        self._largest = largest
        self._monotonic = monotonic
        #: Models that could not be brought: when, and why.
        self._missed: dict[str, tuple[float, DesirelineError]] = {}

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

    def folder(self, fingerprint: str) -> Path:
        """Where a registered model lies, brought from the shared registry where it must be."""
        if self.shared is not None and not (self.root / checked(fingerprint)).exists():
            self._bring_sometimes(fingerprint)
        return super().folder(fingerprint)

    def bring(self, fingerprint: str) -> Manifest:
        """Fetch a model from the shared registry; one that is damaged here is replaced.

        Raises:
            ModelMissingError: it is not there, or there is no shared registry.
            ModelChangedError, UnsafeModelError, SignatureError: it is not to be taken.
            RegistryFullError: no room; nothing was added.
            SharedFolderError: the shared registry could not be read.

        """
        if self.shared is None:
            raise ModelMissingError(
                f"the model {fingerprint[:12]} cannot be fetched: no registry.url is configured"
            )
        with self.workspace() as scratch:
            folder = self.shared.pull(fingerprint, scratch)
            return self._publish(folder, self._read(folder / MANIFEST, fingerprint))

    def take(self, folder: Path) -> Manifest:
        """Register a folder that an export wrote, as what it is: manifest, name and signatures.

        Raises:
            ModelMissingError: it has no manifest.
            ModelChangedError, UnsafeModelError, SignatureError: it is not to be taken.
            RegistryFullError: no room; nothing was added.

        """
        source = SharedFolder(str(folder.absolute()))
        with self.workspace() as scratch:
            new = scratch / "model"
            manifest = take(source, "", new, trust=self.trust, most_bytes=self._largest)
            return self._publish(new, manifest)

    def list(self) -> list[Manifest]:
        """All registered models whose manifest is whole, oldest first."""
        manifests = []
        for name in self.names():
            with contextlib.suppress(ModelChangedError, ModelMissingError):
                manifests.append(self.get(name))
        return sorted(manifests, key=lambda manifest: (manifest.created_at, manifest.fingerprint))

    def names(self) -> builtins.list[str]:
        """Fingerprints of all folders here, whole or not, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if FINGERPRINT.fullmatch(path.name))

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
        if not matches and self.shared is not None:
            with contextlib.suppress(DesirelineError):  # what is here is all that can be named
                matches = [full for full in self.shared.fingerprints() if full.startswith(name)]
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
        super().folder(fingerprint)
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

    def _bring_sometimes(self, fingerprint: str) -> None:
        """Bring a model that was asked for; what failed a moment ago is not tried again yet."""
        missed = self._missed.get(fingerprint)
        if missed is None or self._monotonic() - missed[0] >= _AGAIN_S:
            try:
                self.bring(fingerprint)
            except DesirelineError as error:
                missed = self._missed[fingerprint] = (self._monotonic(), error)
            else:
                self._missed.pop(fingerprint, None)
                return
        raise ModelMissingError(
            f"the model {fingerprint[:12]} is not on this machine and was not taken from the"
            f" shared registry: {missed[1]}",
            next_step=missed[1].next_step or "have it shared: desireline models push",
        )
