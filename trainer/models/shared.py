"""The registry that several machines share: models come and go whole, and none is written over.

Laid out as ``FINGERPRINT/MANIFEST DIGEST/files``. What lies in one folder never changes but for
further signatures; two machines that describe one fingerprint differently have a folder each. The
manifest is written last, so an upload that died is no model. Nothing is ever deleted here: nobody
can know what another sidecar serves.
"""

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from desireline.connectors.shared_folder import Content, SharedFolder
from desireline.trainer.errors import (
    ModelChangedError,
    ModelMissingError,
    TrainerError,
)
from desireline.trainer.models.disk_sync import sync_path
from desireline.trainer.models.manifest import FINGERPRINT, MANIFEST, PENDING, FileRecord, Manifest
from desireline.trainer.models.signing import (
    MOST_SIGNATURE_BYTES,
    SigningKey,
    Trust,
    signatures_in,
)
from desireline.trainer.models.taking import digest_of, manifest_text, parsed, take

log = structlog.get_logger()

LARGEST_MODEL = 20 * 1024**3
_DIGEST = re.compile(r"[0-9a-f]{16}")
#: Folders of one fingerprint that are looked at; more are no accident.
_MOST_FOLDERS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """How a model came to be shared."""

    #: Whether files were sent; they may have been there already.
    sent: bool
    sentence: str


class SharedModels:
    """Models below one address of fsspec."""

    def __init__(
        self,
        folder: SharedFolder,
        *,
        trust: Trust | None = None,
        signing_key: Callable[[], SigningKey | None] = lambda: None,
        most_bytes: int = LARGEST_MODEL,
    ) -> None:
        """Know the place; nothing is asked yet.

        Args:
            folder: where they are.
            trust: whose models are taken.
            signing_key: read when something is to be signed.
            most_bytes: a model may have.

        """
        self.name = folder.name
        self._folder = folder
        self._trust = trust or Trust()
        self._signing_key = signing_key
        self._most_bytes = most_bytes

    @property
    def beside(self) -> tuple[SharedFolder, Trust, Callable[[], SigningKey | None]]:
        """The place, whose signatures count and who signs: for what else is shared there."""
        return self._folder, self._trust, self._signing_key

    def fingerprints(self) -> list[str]:
        """Fingerprints that have a folder; whether a whole model is in it shows when it is read."""
        return [name for name in self._folder.names() if FINGERPRINT.fullmatch(name)]

    def manifests(self) -> list[Manifest]:
        """Read the manifests of all models, oldest first; broken and half ones are left out."""
        found = [manifest for each in self.fingerprints() for manifest in self._described(each)[:1]]
        return sorted(found, key=lambda manifest: (manifest.created_at, manifest.fingerprint))

    def push(self, model: Path, *, vouch: bool = False) -> Pushed:
        """Share a registered model, signed where there is a key; it may be shared already.

        Args:
            model: its folder here, verified.
            vouch: look at every file, and sign it, even where it is shared already, perhaps by
                another machine: somebody asked for it. What is damaged there is sent anew.

        Raises:
            SharedFolderError: it could not be written; nobody sees it.
            ModelChangedError: a file here changed while it was read; nobody sees it.
            SignatureError: the signing key cannot be read.

        """
        text = (model / MANIFEST).read_bytes()
        manifest = parsed(text, str(model))
        place = f"{manifest.fingerprint}/{digest_of(text)}"
        is_there = manifest_text(self._folder, place) == text
        if is_there and not vouch:
            return self._held()
        key = self._signing_key()
        if not is_there and key is None and self._described(manifest.fingerprint):
            return self._held()  # with another label: the same vectors all the same
        if key is not None:
            _sign(model, text, key)
        sent = self._send_files(model, place, manifest, damaged_alone=is_there)
        sent += self._send_signatures(model, place)
        if not is_there:
            self._folder.send(model / MANIFEST, f"{place}/{MANIFEST}")
        elif not sent and key is None:
            return self._held()
        log.info("model shared", model=manifest.fingerprint, registry=self.name, files=sent)
        signed = f", signed by the key {key.public.id}" if key is not None else ""
        return Pushed(sent=True, sentence=f"{self.name} holds it now{signed}")

    def _held(self) -> Pushed:
        return Pushed(sent=False, sentence=f"{self.name} holds it already")

    def pull(self, fingerprint: str, scratch: Path) -> Path:
        """Bring a model into a new folder in `scratch`, proved; return that folder.

        Of several folders of the fingerprint the first good one is taken: a bad one that somebody
        put beside it harms nobody.

        Raises:
            ModelMissingError: it is not there.
            ModelChangedError, UnsafeModelError, SignatureError: it is there, and not to be taken.
            RegistryFullError: no room for it.
            SharedFolderError: it could not be read.

        """
        refused: TrainerError | None = None
        for digest in self._folders(fingerprint):
            try:
                return self._taken(fingerprint, digest, scratch)
            except ModelMissingError:
                continue  # an upload under way, or one that died
            except TrainerError as error:
                log.warning("a shared model was refused", model=fingerprint, reason=str(error))
                refused = error
                shutil.rmtree(scratch / digest, ignore_errors=True)  # room for the next
        if refused is not None:
            raise refused
        raise ModelMissingError(f"{self.name} holds no whole model {fingerprint[:12]}")

    def _taken(self, fingerprint: str, digest: str, scratch: Path) -> Path:
        target = scratch / digest
        manifest = take(
            self._folder,
            f"{fingerprint}/{digest}",
            target,
            trust=self._trust,
            most_bytes=self._most_bytes,
        )
        theirs = (manifest.fingerprint, digest_of((target / MANIFEST).read_bytes()))
        if theirs != (fingerprint, digest):
            raise ModelChangedError(
                f"the model {fingerprint[:12]} in {self.name} is another one,"
                f" {manifest.fingerprint[:12]}; it was not taken",
                next_step="find out who put it there, and remove it",
            )
        return target

    def _folders(self, fingerprint: str) -> list[str]:
        names = self._folder.names(fingerprint)
        return [name for name in names if _DIGEST.fullmatch(name)][:_MOST_FOLDERS]

    def _described(self, fingerprint: str) -> list[Manifest]:
        """Return the manifests of a fingerprint that describe it."""
        found = []
        for digest in self._folders(fingerprint):
            text = manifest_text(self._folder, f"{fingerprint}/{digest}")
            try:
                manifest = None if text is None else parsed(text, self.name)
            except ModelChangedError:
                continue
            if manifest is not None and manifest.fingerprint == fingerprint:
                found.append(manifest)
        return found

    def _send_files(
        self, model: Path, place: str, manifest: Manifest, *, damaged_alone: bool
    ) -> int:
        """Send the files, or those that are not there as they should be; return how many."""
        sent = 0
        for name, record in manifest.files.items():
            path = f"{place}/{name}"
            if damaged_alone and _is(record, self._folder.content(path, most=record.bytes)):
                continue
            if not _is(record, self._folder.send(model / name, path)):
                raise ModelChangedError(
                    f"{name} of the model {manifest.fingerprint[:12]} is not as it was"
                    " registered; it was not shared",
                    next_step="add or import it again: a damaged copy is replaced",
                )
            sent += 1
        return sent

    def _send_signatures(self, model: Path, place: str) -> int:
        """Send the signatures that are not there, or are not what they are here."""
        sent = 0
        for name, text in signatures_in(model).items():
            if self._folder.read(f"{place}/{name}", MOST_SIGNATURE_BYTES) != text:
                self._folder.send(model / name, f"{place}/{name}")
                sent += 1
        return sent


def _is(record: FileRecord, content: Content | None) -> bool:
    return content is not None and (content.sha256, content.bytes) == (record.sha256, record.bytes)


def _sign(model: Path, text: bytes, key: SigningKey) -> None:
    """Put a signature beside a registered manifest; one that is none is replaced."""
    signature = key.sign(text)
    target = model / signature.file
    written = signature.model_dump_json() + "\n"
    if signatures_in(model).get(signature.file) == written.encode():
        return
    with tempfile.TemporaryDirectory(prefix=PENDING, dir=model.parent) as scratch:
        beside = Path(scratch, signature.file)
        beside.write_text(written, encoding="utf-8")
        sync_path(beside)
        beside.replace(target)
    sync_path(model)
