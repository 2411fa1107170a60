"""Heads on the disk: safetensors and JSON with digests, verified at load."""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from desireline.trainer.errors import IntentHeadChangedError, IntentHeadMissingError
from desireline.trainer.intent.head import IntentHead
from desireline.trainer.models.disk_sync import sync, sync_path

WEIGHTS, DESCRIPTION = "head.safetensors", "intent.json"
_FORMAT = 1
DIGEST = re.compile(r"[0-9a-f]{64}")


class IntentManifest(BaseModel):
    """What a stored head is, as in its `intent.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = _FORMAT
    #: SHA-256 over all that decides a confidence.
    head: str
    target: str
    #: Fingerprint of the encoder whose query vectors it reads.
    encoder: str
    #: Field of the index that names the categories, and the one that filters ask about.
    field: str
    filter_field: str
    categories: tuple[str, ...]
    temperature: float
    #: SHA-256 of the weights.
    weights: str
    cycle: str
    #: Queries and titles it learned from.
    queries: int
    titles: int
    seed: int
    created_at: datetime
    #: On held-out queries: by part, then by figure, `{"value", "low", "high"}`.
    figures: Mapping[str, Mapping[str, Mapping[str, float]]] = {}

    @classmethod
    def of(cls, head: IntentHead, **told: Any) -> "IntentManifest":
        """Describe a head by itself and by what is told of it."""
        return cls(
            head=digest_of(head),
            encoder=head.encoder,
            categories=head.categories,
            temperature=head.temperature,
            weights=weights_digest(head),
            **told,
        )


class IntentStore:
    """The heads of one target, a folder each. Processes may share them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, head: IntentHead, manifest: IntentManifest) -> None:
        """Keep a head under its digest; durable on return. The same again changes nothing.

        Raises:
            IntentHeadChangedError: the manifest is another head's.

        """
        written = weights_of(head)
        if manifest.head != digest_of(head):
            raise _changed(manifest.head, "its manifest is another head's")
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self._folder) as name:
            beside = Path(name, "head")
            beside.mkdir()
            (beside / WEIGHTS).write_bytes(written)
            text = manifest.model_dump_json(indent=1) + "\n"
            (beside / DESCRIPTION).write_text(text, encoding="utf-8")
            sync(beside)
            place = self._folder / manifest.head
            shutil.rmtree(place, ignore_errors=True)
            beside.rename(place)
            sync_path(self._folder)

    def load(self, head: str) -> tuple[IntentHead, IntentManifest]:
        """Read a head again, all of it compared with its digests.

        Raises:
            IntentHeadMissingError: it is not on this machine.
            IntentHeadChangedError: it is not as it was stored; it was not loaded.

        """
        return opened(head, self.files(head))

    def files(self, head: str) -> dict[str, bytes]:
        """Read the files of a head as they are, by name; its description is the last.

        Raises:
            IntentHeadMissingError: it is not on this machine.
            IntentHeadChangedError: they cannot be read.

        """
        place = self._place(head)
        try:
            return {name: (place / name).read_bytes() for name in (WEIGHTS, DESCRIPTION)}
        except FileNotFoundError as error:
            raise IntentHeadMissingError(
                f"the intent head {head[:12]} is not on this machine",
                next_step="share models between the machines (registry.url), or wait for a cycle",
            ) from error
        except OSError as error:
            raise _changed(head, "its files cannot be read") from error

    def list(self) -> list[str]:
        """Digests of all heads that are kept, sorted."""
        if not self._folder.is_dir():
            return []
        names = (path.name for path in self._folder.iterdir())
        return sorted(name for name in names if DIGEST.fullmatch(name))

    def remove(self, head: str) -> None:
        """Delete a head; no error if it is gone already."""
        shutil.rmtree(self._place(head), ignore_errors=True)

    def _place(self, head: str) -> Path:
        if not DIGEST.fullmatch(head):
            raise IntentHeadMissingError(f"{head[:80]!r} is not the digest of an intent head")
        return self._folder / head


def opened(head: str, files: Mapping[str, bytes]) -> tuple[IntentHead, IntentManifest]:
    """Read a head from its files, all of it compared with its digests.

    Raises:
        IntentHeadChangedError: it is another one, or not as it was stored.

    """
    try:
        manifest = IntentManifest.model_validate_json(files[DESCRIPTION])
    except ValidationError as error:
        raise _changed(head, f"its {DESCRIPTION} cannot be read") from error
    if hashlib.sha256(files[WEIGHTS]).hexdigest() != manifest.weights:
        raise _changed(head, f"{WEIGHTS} has other bytes than were stored")
    found = _read(files[WEIGHTS], manifest)
    if manifest.head != head or digest_of(found) != head:
        raise _changed(head, f"its {DESCRIPTION} describes another head")
    return found, manifest


def weights_of(head: IntentHead) -> bytes:
    """Return the weights as safetensors: the same bytes for the same numbers."""
    return save({"bias": head.bias, "weights": head.weights})


def weights_digest(head: IntentHead) -> str:
    """SHA-256 of the weights as they are stored."""
    return hashlib.sha256(weights_of(head)).hexdigest()


def digest_of(head: IntentHead) -> str:
    """SHA-256 over canonical JSON of all that decides a confidence, and of nothing else."""
    deciding = {
        "encoder": head.encoder,
        "categories": list(head.categories),
        "temperature": head.temperature,
        "weights": weights_digest(head),
    }
    canonical = json.dumps(deciding, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read(written: bytes, manifest: IntentManifest) -> IntentHead:
    try:
        tensors = load(written)
        weights, bias = tensors["weights"], tensors["bias"]
    except (SafetensorError, KeyError) as error:
        raise _changed(manifest.head, f"{WEIGHTS} holds no head") from error
    if weights.shape[1:] != (len(manifest.categories),) or bias.shape != weights.shape[1:]:
        raise _changed(manifest.head, f"{WEIGHTS} is of another size than its categories")
    return IntentHead(
        encoder=manifest.encoder,
        categories=manifest.categories,
        weights=np.asarray(weights, dtype=np.float32),
        bias=np.asarray(bias, dtype=np.float32),
        temperature=manifest.temperature,
    )


def _changed(head: str, what: str) -> IntentHeadChangedError:
    return IntentHeadChangedError(
        f"the intent head {head[:12]} is not as it was stored: {what}; it was not loaded",
        next_step="the next cycle makes another; until then searches are answered without it",
    )
