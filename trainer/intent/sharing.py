"""Heads that several machines share: beside their models, signed and proved as those are.

Laid out as ``intent/TARGET/HEAD/files``; no model has such a name. What lies in one folder is one
head, named by its own digest. Its description is sent last, so an upload that died is no head.
Nothing is ever deleted here.
"""

import tempfile
from pathlib import Path

import structlog
from pydantic import ValidationError

from desireline.trainer.errors import IntentHeadChangedError, IntentHeadMissingError
from desireline.trainer.intent.storing import (
    DESCRIPTION,
    DIGEST,
    WEIGHTS,
    IntentManifest,
    IntentStore,
    opened,
)
from desireline.trainer.models.shared import SharedModels
from desireline.trainer.models.signing import MOST_SIGNATURE_BYTES

log = structlog.get_logger(__name__)

FOLDER = "intent"
_MOST_BYTES = {DESCRIPTION: 4 * 1024**2, WEIGHTS: 64 * 1024**2}


class SharedHeads:
    """The heads of one target in the registry that several machines share."""

    def __init__(self, shared: SharedModels, target: str) -> None:
        """Know the place; nothing is asked yet."""
        self.name = f"{shared.name}/{FOLDER}/{target}"
        self._target = target
        self._folder, self._trust, self._signing_key = shared.beside

    def push(self, kept: IntentStore, head: str) -> bool:
        """Share a head that is kept here, signed where there is a key; say whether it was sent.

        Raises:
            IntentHeadMissingError, IntentHeadChangedError: it is not here, or not as it was stored.
            SharedFolderError: it could not be written; nobody sees it.
            SignatureError: the signing key cannot be read.

        """
        files = kept.files(head)
        opened(head, files)
        if self._holds(head):
            return False
        description = files.pop(DESCRIPTION)
        key = self._signing_key()
        if key is not None:
            signature = key.sign(description)
            files[signature.file] = (signature.model_dump_json() + "\n").encode()
        with tempfile.TemporaryDirectory(prefix="desireline-head-") as scratch:
            for name, content in {**files, DESCRIPTION: description}.items():
                beside = Path(scratch, name)
                beside.write_bytes(content)
                self._folder.send(beside, self._at(head, name))
        log.info("intent head shared", target=self._target, head=head, registry=self.name)
        return True

    def bring(self, kept: IntentStore, head: str) -> None:
        """Keep a head here that another machine made, proved.

        Raises:
            IntentHeadMissingError: it is not there.
            IntentHeadChangedError, SignatureError: it is there, and not to be taken.
            SharedFolderError: it could not be read.

        """
        read = {
            name: self._folder.read(self._at(head, name), most)
            for name, most in _MOST_BYTES.items()
        }
        files = {name: content for name, content in read.items() if content is not None}
        if len(files) < len(read):
            raise IntentHeadMissingError(f"{self.name} holds no whole intent head {head[:12]}")
        self._trust.check(
            files[DESCRIPTION], self._signatures(head), model=f"(intent head) {head[:12]}"
        )
        found, manifest = opened(head, files)
        if manifest.target != self._target:
            raise IntentHeadChangedError(
                f"the intent head {head[:12]} in {self.name} is of the target"
                f" {manifest.target[:80]!r}; it was not taken",
                next_step="find out who put it there, and remove it",
            )
        kept.add(found, manifest)
        log.info("intent head taken", target=self._target, head=head, registry=self.name)

    def list(self) -> list[str]:
        """Digests of all heads that are shared, whole or not, sorted. Raises SharedFolderError."""
        names = self._folder.names(f"{FOLDER}/{self._target}")
        return [name for name in names if DIGEST.fullmatch(name)]

    def _holds(self, head: str) -> bool:
        text = self._folder.read(self._at(head, DESCRIPTION), _MOST_BYTES[DESCRIPTION])
        try:
            return text is not None and IntentManifest.model_validate_json(text).head == head
        except ValidationError:
            return False

    def _signatures(self, head: str) -> dict[str, bytes]:
        names = [f"signature-{key.id}.json" for key in self._trust.keys]
        read = {
            name: self._folder.read(self._at(head, name), MOST_SIGNATURE_BYTES) for name in names
        }
        return {name: text for name, text in read.items() if text is not None}

    def _at(self, head: str, name: str) -> str:
        return f"{FOLDER}/{self._target}/{head}/{name}"
