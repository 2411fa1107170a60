"""Which queries and clients a cycle learned from, as digests, to name its models by later.

Kept before the training begins, by the cycle's id, which the model's manifest holds; so no model
is ever registered of which this cannot be told.
"""

import os
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from desireline.sidecar.errors import SidecarError
from desireline.sidecar.privacy.erased_list import CLIENT, QUERY
from desireline.sidecar.privacy.keyed_digests import DIGEST_BYTES, KeyedDigests
from desireline.trainer.models.manifest import Manifest


class TrainedOn:
    """A folder of sorted digests, one file a cycle."""

    def __init__(self, folder: Path, digests: KeyedDigests) -> None:
        self._folder = folder
        self._digests = digests

    @property
    def keeper(self) -> str:
        """What tells this data folder's digests from another's."""
        return self._digests.of("keeper", "").hex()[:12]

    def keep(self, cycle: str, *, queries: Iterable[str], clients: Iterable[str]) -> None:
        """Note what a cycle is about to learn from; durable on return.

        Args:
            cycle: its id.
            queries: normalised texts.
            clients: hashed names.

        Raises:
            SidecarError: the folder cannot be written; nothing was noted.

        """
        noted = self.digests(queries=queries, clients=clients)
        beside = self._folder / f"{cycle}.new"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(b"".join(sorted(noted)))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._folder / cycle)
        except OSError as error:
            raise SidecarError(
                f"what the cycle learns from cannot be noted in {self._folder}:"
                f" {error.strerror or error}; nothing was trained",
                next_step="free some disk or mend the folder, then run the command again",
            ) from error

    def made(self, cycle: str, fingerprint: str) -> None:
        """Put a cycle's note under the model it made.

        The same weights may have been made before, from what has been erased since; the newest
        making counts.
        """
        with suppress(FileNotFoundError):
            (self._folder / cycle).replace(self._folder / fingerprint)

    def digests(self, *, queries: Iterable[str] = (), clients: Iterable[str] = ()) -> set[bytes]:
        """Return what stands for normalised queries and hashed clients in the notes."""
        of_queries = {self._digests.of(QUERY, query) for query in queries}
        return of_queries | {self._digests.of(CLIENT, client) for client in clients if client}

    def models(self, manifests: Iterable[Manifest], wanted: AbstractSet[bytes]) -> list[str]:
        """Return the fingerprints of the models that learned from any of these digests."""
        found: list[str] = []
        for manifest in sorted(manifests, key=lambda each: each.created_at):
            made = manifest.provenance
            noted = self._noted(manifest.fingerprint) or self._noted(made.cycle_id or "")
            if wanted & noted or made.parent in found or manifest.documents in found:
                found.append(manifest.fingerprint)
        return found

    def learned(self, name: str, wanted: AbstractSet[bytes]) -> bool:
        """Whether what is noted under a name holds any of these digests."""
        return not wanted.isdisjoint(self._noted(name))

    def sweep(self, names: Collection[str]) -> None:
        """Remove the notes of all but these cycles and models."""
        for path in sorted(self._folder.glob("*")):
            if path.name not in names:
                path.unlink(missing_ok=True)

    def _noted(self, name: str) -> set[bytes]:
        try:
            held = (self._folder / name).read_bytes() if name else b""
        except FileNotFoundError:
            return set()
        return {held[at : at + DIGEST_BYTES] for at in range(0, len(held), DIGEST_BYTES)}
