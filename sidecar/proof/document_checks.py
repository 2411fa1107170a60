"""What one document of a generation must look like; pure, a page of documents at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from desireline.connectors.documents import Document, Stamp, TextTemplate, Vector, digest
from desireline.connectors.search_engine import Read, Slot
from desireline.connectors.vector_check import same_direction, same_length
from desireline.sidecar.proof.verification import Difference, Kind

#: Bytes of JSON that a page of vectors may be; one number is some twelve letters.
_PAGE_BYTES = 4_000_000
_NUMBER_BYTES = 12
_LARGEST_PAGE = 500
#: Of a vector that is compared by cosine; the engine may keep half precision.
_LENGTH_APART = 1e-2
#: Lengths of vectors compared by dot product differ; this far from the middle none of ours is.
_TIMES_APART = 4.0
_FEWEST_LENGTHS = 20
_NO_TEXT = digest("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a slot should hold."""

    slot: Slot
    generation: int
    template: TextTemplate
    #: The highest number any owner of the target was given.
    last_fencing: int

    @property
    def read(self) -> Read:
        """What must be read of a document to judge it, in pages that fit."""
        fitting = _PAGE_BYTES // (_NUMBER_BYTES * max(1, self.slot.dimension))
        return Read(
            fields=self.template.fields,
            slots=(self.slot.name,),
            embeddings=True,
            batch_size=max(1, min(_LARGEST_PAGE, fitting)),
        )


class PageChecks:
    """Judges documents by what lies in the index alone, without the encoder."""

    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        #: Documents seen with a vector whose stamp has no check.
        self.without_check = 0
        self._lengths: tuple[float, float] | None = None

    def differences(self, documents: Sequence[Document]) -> Iterator[Difference]:
        """Yield the documents that are not as they should be, one difference each."""
        sound: list[tuple[Document, Stamp, Vector]] = []
        for document in documents:
            stamp = document.stamps.get(self.expected.slot.name)
            vector = document.embeddings.get(self.expected.slot.name)
            found = self._stamp(document, stamp, vector)
            if found is None and stamp is not None:
                found = self._shape(stamp, vector)
            if found is not None:
                yield _difference(document, *found)
            elif stamp is not None and vector is not None:
                sound.append((document, stamp, vector))
        yield from self._vectors(sound)

    def _stamp(
        self, document: Document, stamp: Stamp | None, vector: Vector | None
    ) -> tuple[Kind, str] | None:
        if stamp is None:
            return (Kind.NO_STAMP if vector is None else Kind.UNSTAMPED_VECTOR), ""
        if stamp.generation != self.expected.generation:
            return Kind.OTHER_GENERATION, f"generation {stamp.generation}"
        if stamp.digest != digest(self.expected.template.render(document.fields)):
            return Kind.OTHER_TEXT, ""
        if not 1 <= stamp.fencing <= self.expected.last_fencing:
            return Kind.FENCING, f"{stamp.fencing}, the last was {self.expected.last_fencing}"
        return None

    def _shape(self, stamp: Stamp, vector: Vector | None) -> tuple[Kind, str] | None:
        if stamp.digest == _NO_TEXT:
            return None if vector is None else (Kind.UNWANTED_VECTOR, "")
        if vector is None:
            return Kind.NO_VECTOR, ""
        if vector.shape != (self.expected.slot.dimension,):
            return Kind.DIMENSION, f"{vector.size}, not {self.expected.slot.dimension}"
        if not np.isfinite(vector).all():
            return Kind.NOT_FINITE, ""
        return None

    def _vectors(self, sound: Sequence[tuple[Document, Stamp, Vector]]) -> Iterator[Difference]:
        if not sound:
            return
        vectors = np.stack([vector for _, _, vector in sound])
        written = [stamp.check for _, stamp, _ in sound]
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        checked = np.array([bool(check) for check in written])
        direction = same_direction(vectors, written) | ~checked
        length = same_length(vectors, written) & checked
        low, high = self._range(lengths)
        in_range = (lengths >= low) & (lengths <= high)
        if self.expected.slot.similarity == "cosine":
            # Whatever was written, these have length one; but a text of no known word has none.
            length = in_range | (length & (lengths == 0))
        else:
            length |= in_range & ~checked
        self.without_check += int((~checked).sum())
        for row, (document, _, _) in enumerate(sound):
            if not direction[row]:
                yield _difference(document, Kind.OTHER_VECTOR, "")
            elif not length[row]:
                yield _difference(document, Kind.LENGTH, f"{lengths[row]:.4g}")

    def _range(self, lengths: np.ndarray) -> tuple[float, float]:
        """Return the lengths a vector may have; by dot product, as the first page shows."""
        if self.expected.slot.similarity == "cosine":
            return 1 - _LENGTH_APART, 1 + _LENGTH_APART
        if self._lengths is None and len(lengths) >= _FEWEST_LENGTHS:
            middle = float(np.median(lengths))
            self._lengths = middle / _TIMES_APART, middle * _TIMES_APART
        return self._lengths or (float(np.finfo(np.float32).tiny), float("inf"))


def _difference(document: Document, kind: Kind, detail: str) -> Difference:
    return Difference(
        document_id=document.document_id, routing=document.routing, kind=kind, detail=detail
    )
