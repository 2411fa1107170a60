"""Corruptions planted in a small world, and whether the proof finds each.

Each kind takes the world, a document chosen by the seed and a source of chance, and spoils the
document past every guard of the pipeline: by a write of its own, as a broken tool would.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from desireline.connectors.documents import Document, EmbeddingWrite, Stamp, Vector, digest
from desireline.connectors.search_engine import Read
from desireline.connectors.vector_check import checks
from desireline.sidecar.proof.verification import Kind

Plant = Callable[["Planted"], None]


@dataclass(frozen=True)
class Planted:
    """One document to be spoilt and all that is needed for it."""

    engine: Any
    index: str
    slot: str
    document: Document
    #: Another document of the index.
    other: Document
    #: Another encoder of the same dimension.
    stranger: Any
    text: str
    chance: np.random.Generator
    #: Changes what is stored, past the engine's own checks: the vector, or no stamp.
    force: Callable[[str, Vector | None], None]

    @property
    def vector(self) -> Vector:
        return self.document.embeddings[self.slot]

    @property
    def stamp(self) -> Stamp:
        return self.document.stamps[self.slot]

    def write(self, vector: Vector | None, stamp: Stamp | None = None) -> None:
        """Put a vector and a stamp into the slot, whatever they are."""
        assert self.document.version is not None
        write = EmbeddingWrite(
            document_id=self.document.document_id,
            version=self.document.version,
            vector=None if vector is None else np.asarray(vector, np.float32),
            stamp=stamp or self.stamp,
        )
        (result,) = self.engine.write_embeddings(self.index, self.slot, [write])
        assert result.outcome == "written", result


def of_another_document(planted: Planted) -> None:
    planted.write(planted.other.embeddings[planted.slot])


def of_another_encoder(planted: Planted) -> None:
    planted.write(planted.stranger.encode_documents([planted.text])[0])


def of_an_older_text(planted: Planted) -> None:
    old = f"{planted.text} as it was before"
    vector = planted.stranger.encode_documents([old])
    stamp = replace(planted.stamp, digest=digest(old), check=checks(vector)[0])
    planted.write(vector[0], stamp)


def zeros(planted: Planted) -> None:
    planted.force(planted.document.document_id, np.zeros_like(planted.vector))


def another_dimension(planted: Planted) -> None:
    planted.force(planted.document.document_id, planted.vector[:-1])


def a_number_that_is_none(planted: Planted) -> None:
    vector = planted.vector.copy()
    vector[planted.chance.integers(vector.size)] = planted.chance.choice([np.nan, np.inf])
    planted.force(planted.document.document_id, vector)


def noise_of_the_right_length(planted: Planted) -> None:
    drawn = planted.chance.standard_normal(planted.vector.size)
    planted.write(drawn / np.linalg.norm(drawn) * np.linalg.norm(planted.vector))


def numbers_in_another_order(planted: Planted) -> None:
    order = np.roll(np.arange(planted.vector.size), int(planted.chance.integers(1, 9)))
    planted.write(planted.vector[order])


def two_numbers_swapped(planted: Planted) -> None:
    """The two that are furthest apart, as a reader of the wrong byte order would not do."""
    vector = planted.vector.copy()
    low, high = int(vector.argmin()), int(vector.argmax())
    vector[[low, high]] = vector[[high, low]]
    planted.write(vector)


def another_length(planted: Planted) -> None:
    planted.write(planted.vector * planted.chance.choice([0.5, 0.9, 1.1, 2.0, 100.0]))


def the_other_sign(planted: Planted) -> None:
    planted.write(-planted.vector)


def stamp_of_another_generation(planted: Planted) -> None:
    planted.write(planted.vector, replace(planted.stamp, generation=planted.stamp.generation + 1))


def stamp_of_another_text(planted: Planted) -> None:
    planted.write(planted.vector, replace(planted.stamp, digest=digest("another text")))


def stamp_of_an_owner_there_never_was(planted: Planted) -> None:
    planted.write(planted.vector, replace(planted.stamp, fencing=10_000))


def stamp_without_a_vector(planted: Planted) -> None:
    planted.write(None)


def vector_without_a_stamp(planted: Planted) -> None:
    planted.force(planted.document.document_id, None)


def vector_and_check_of_another_document(planted: Planted) -> None:
    """The one that nothing stored betrays: only encoding the document again does."""
    vector = planted.other.embeddings[planted.slot]
    planted.write(vector, replace(planted.stamp, check=planted.other.stamps[planted.slot].check))


def vector_and_check_of_another_encoder(planted: Planted) -> None:
    vector = planted.stranger.encode_documents([planted.text])
    planted.write(vector[0], replace(planted.stamp, check=checks(vector)[0]))


def neither_stamp_nor_vector(planted: Planted) -> None:
    planted.engine.index_documents(planted.index, [_whole(planted)])


def _whole(planted: Planted) -> Document:
    return Document(document_id=planted.document.document_id, fields=planted.document.fields)


#: By name: how it is planted, and as what it is found.
CORRUPTIONS: Mapping[str, tuple[Plant, frozenset[Kind]]] = {
    "vector of another document": (of_another_document, frozenset({Kind.OTHER_VECTOR})),
    "vector of another encoder": (of_another_encoder, frozenset({Kind.OTHER_VECTOR})),
    "vector and stamp of an older text": (of_an_older_text, frozenset({Kind.OTHER_TEXT})),
    "vector of zeros": (zeros, frozenset({Kind.OTHER_VECTOR, Kind.LENGTH})),
    "vector of another dimension": (another_dimension, frozenset({Kind.DIMENSION})),
    "vector with a number that is none": (a_number_that_is_none, frozenset({Kind.NOT_FINITE})),
    "noise of the right length": (noise_of_the_right_length, frozenset({Kind.OTHER_VECTOR})),
    "numbers in another order": (numbers_in_another_order, frozenset({Kind.OTHER_VECTOR})),
    "two numbers swapped": (two_numbers_swapped, frozenset({Kind.OTHER_VECTOR})),
    "vector of another length": (another_length, frozenset({Kind.LENGTH})),
    "vector of the other sign": (the_other_sign, frozenset({Kind.OTHER_VECTOR})),
    "stamp of another generation": (
        stamp_of_another_generation,
        frozenset({Kind.OTHER_GENERATION}),
    ),
    "stamp of another text": (stamp_of_another_text, frozenset({Kind.OTHER_TEXT})),
    "stamp of an owner there never was": (
        stamp_of_an_owner_there_never_was,
        frozenset({Kind.FENCING}),
    ),
    "stamp without a vector": (stamp_without_a_vector, frozenset({Kind.NO_VECTOR})),
    "vector without a stamp": (vector_without_a_stamp, frozenset({Kind.UNSTAMPED_VECTOR})),
    "vector and check of another document": (
        vector_and_check_of_another_document,
        frozenset({Kind.OTHER_ENCODER}),
    ),
    "vector and check of another encoder": (
        vector_and_check_of_another_encoder,
        frozenset({Kind.OTHER_ENCODER}),
    ),
    "neither stamp nor vector": (neither_stamp_nor_vector, frozenset({Kind.NO_STAMP})),
}


#: What no guarded write of an engine lets in.
FORCED = ("vector of zeros", "vector of another dimension", "vector with a number that is none")


def choose(documents: Mapping[str, Document], seed: int) -> tuple[Document, Document]:
    """Return the document to be spoilt and another one."""
    chosen, other = random.Random(seed).sample(sorted(documents), 2)
    return documents[chosen], documents[other]


def read_of(slot: str, fields: tuple[str, ...]) -> Read:
    return Read(fields=fields, slots=(slot,), embeddings=True)
