"""Proof that a copy holds every document of its source as it is, and no other.

Every document is read whole from both sides and compared: all fields but desireline's own, the
routing, the version where the application gives it, and the stamp against the digest of the
present text. What differs because the application wrote a moment ago is caught up and looked at
again; what differs still, unchanged, is a stable difference and blocks the swap.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from desireline.connectors.generation_indexes import DocumentKey, WholeDocument
from desireline.sidecar.ways.copying import Copier

_ROUNDS = 5
#: Differing documents looked at again; were there more, the copy is surely wrong.
_MOST_SUSPECTS = 10_000
_SHOWN = 10

Key = tuple[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyProof:
    """What the comparison of a copy with its source found."""

    documents: int
    #: At most ten documents that differ and were not written meanwhile, with the reason.
    differences: tuple[str, ...]
    #: Documents written so often that no two looks saw the same; looked at once more when no
    #: writes come in.
    unsettled: tuple[DocumentKey, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether the copy may be swapped in."""
        return not self.differences

    @property
    def sentence(self) -> str:
        """One line for people."""
        if self.passes:
            return f"{self.documents:,} documents are the same in the copy, and no other is there"
        return f"{self.documents:,} documents compared; stable difference: {self.differences[0]}"


class Prover:
    """Compares what a copier made with what it was made from."""

    def __init__(self, copier: Copier, failed: Iterable[str], batch_size: int) -> None:
        self._copier = copier
        #: Documents that may stand without a vector.
        self._failed = frozenset(failed)
        self._batch_size = batch_size

    def prove(self) -> CopyProof:
        """Catch up, delete what is gone, then compare everything."""
        self._copier.catch_up()
        self._copier.remove_deleted()
        documents, before = self._first_look()
        suspects = before
        for _ in range(_ROUNDS):
            if not suspects:
                break
            before = suspects
            self._copier.catch_up()
            suspects = self._look_again(list(suspects))
        stable = [reason for key, (seq_no, reason) in suspects.items() if before[key][0] == seq_no]
        moving = [key for key, (seq_no, _) in suspects.items() if before[key][0] != seq_no]
        stable += [f"document {key.document_id!r} is in the copy alone" for key in self._extra()]
        return CopyProof(
            documents=documents,
            differences=tuple(stable[:_SHOWN]),
            unsettled=tuple(_key(*key) for key in moving),
        )

    def differences_of(self, keys: Sequence[DocumentKey]) -> tuple[str, ...]:
        """Compare a few documents once, as they are now."""
        found = self._look_again([(key.document_id, key.routing) for key in keys])
        return tuple(reason for _, reason in found.values())[:_SHOWN]

    def _first_look(self) -> tuple[int, dict[Key, tuple[int, str]]]:
        """Return how many there are and, of those that differ, position and reason.

        Documents are found by an enumeration that the copying has no part in.
        """
        engine, source = self._copier.engine, self._copier.source
        documents = 0
        suspects: dict[Key, tuple[int, str]] = {}
        for keys in engine.document_keys(source, self._batch_size):
            page = engine.fetch_whole(source, keys)
            documents += len(page)
            suspects |= self._differing(page)
            if len(suspects) > _MOST_SUSPECTS:
                break
        return documents, suspects

    def _look_again(self, suspects: Sequence[Key]) -> dict[Key, tuple[int, str]]:
        """Return position and reason of those that differ still."""
        keys = [_key(*key) for key in suspects]
        found: dict[Key, tuple[int, str]] = {}
        for start in range(0, len(keys), self._batch_size):
            some = keys[start : start + self._batch_size]
            found |= self._differing(self._copier.engine.fetch_whole(self._copier.source, some))
        return found

    def _differing(self, page: Sequence[WholeDocument]) -> dict[Key, tuple[int, str]]:
        keys = [_key(document.document_id, document.routing) for document in page]
        copies = {
            (copy.document_id, copy.routing): copy
            for copy in self._copier.engine.fetch_whole(self._copier.generation.index, keys)
        }
        found = {}
        for document in page:
            key = (document.document_id, document.routing)
            reason = self._difference(document, copies.get(key))
            if reason:
                found[key] = (document.seq_no, f"document {document.document_id!r} {reason}")
        return found

    def _difference(self, document: WholeDocument, copy: WholeDocument | None) -> str:
        if copy is None:
            return "is missing in the copy"
        if copy.source != document.source:
            return "has other fields in the copy"
        if self._copier.versions == "external" and copy.number != document.number:
            return f"has version {copy.number} in the copy instead of {document.number}"
        return self._stamp_difference(document, copy)

    def _stamp_difference(self, document: WholeDocument, copy: WholeDocument) -> str:
        generation = self._copier.generation
        stamp = copy.stamps.get(generation.slot)
        if stamp is None:
            allowed = document.document_id in self._failed
            return "" if allowed else "carries no stamp in the copy"
        if stamp.generation != generation.stamp_number:
            return f"carries generation {stamp.generation} in the copy"
        if stamp.digest != self._copier.digest_of(document):
            return "carries the vector of another text in the copy"
        return ""

    def _extra(self) -> list[DocumentKey]:
        """Return copies without a document that cannot be deleted."""
        extra: list[DocumentKey] = []
        for _ in range(_ROUNDS):
            extra = [key for page in self._copier.orphans() for key in page]
            if not extra:
                break
            self._copier.remove(extra)
        return extra


def _key(document_id: str, routing: str | None) -> DocumentKey:
    return DocumentKey(document_id=document_id, routing=routing, number=0)
