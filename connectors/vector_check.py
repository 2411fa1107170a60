"""A short check of a vector, kept in its stamp: what was written can be told from all else.

It holds the vector's length and its direction seen from eight fixed sides, 27 letters in all. A
digest of the bytes would be stricter than engines are: some keep half precision, some give back
a vector of another length. The sides are numbers drawn from SHAKE-256, so they are the same on
every machine for ever. Two unrelated vectors look alike from all eight with a chance below
1e-16; a change of direction that moves no top-10 is not seen.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from desireline.connectors.documents import Vectors

_SIDES = 8
_LAYOUT = struct.Struct(f"<f{_SIDES}h")
#: Of one direction's projections, whose standard deviation is 1.
_STEPS_PER_UNIT = 1024
#: Half precision changes a projection by about 0.001.
_STEPS_APART = 6
_MOST = np.iinfo(np.int16).max
_LENGTH_APART = 2e-3


def checks(vectors: Vectors) -> list[str]:
    """Return the check of each vector; `vectors` has shape (count, dimension)."""
    lengths, sides = _seen(vectors)
    return [
        base64.urlsafe_b64encode(_LAYOUT.pack(length, *row)).decode().rstrip("=")
        for length, row in zip(lengths.tolist(), sides.tolist(), strict=True)
    ]


def same_direction(vectors: Vectors, written: Sequence[str]) -> NDArray[np.bool_]:
    """Say of each vector whether it points where the one with this check did."""
    _, sides = _seen(vectors)
    _, before = _read(written)
    return np.asarray((np.abs(sides - before) <= _STEPS_APART).all(axis=1))


def same_length(vectors: Vectors, written: Sequence[str]) -> NDArray[np.bool_]:
    """Say of each vector whether it is as long as the one with this check."""
    lengths, _ = _seen(vectors)
    before, _ = _read(written)
    return np.asarray(np.abs(lengths - before) <= _LENGTH_APART * np.maximum(before, 1e-30))


def _seen(vectors: Vectors) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rows = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1)
    directions = rows / np.where(lengths == 0, 1, lengths)[:, None]
    steps = np.rint(directions @ _directions(rows.shape[1]) * _STEPS_PER_UNIT)
    return lengths, np.clip(steps, -_MOST, _MOST).astype(np.int64)


def _read(written: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    numbers = np.array([_unpack(text) for text in written]).reshape(-1, 1 + _SIDES)
    return numbers[:, 0], numbers[:, 1:].astype(np.int64)


def _unpack(text: str) -> tuple[float, ...]:
    """Return the numbers of a check; of what is none, numbers that no vector has."""
    try:
        return _LAYOUT.unpack(base64.urlsafe_b64decode(f"{text}="))
    except (binascii.Error, struct.error, ValueError):
        return (-1.0, *[2.0**40] * _SIDES)


@lru_cache(maxsize=16)
def _directions(dimension: int) -> NDArray[np.float64]:
    """Return the sides, shape (dimension, 8), each number with mean 0 and deviation 1."""
    drawn = hashlib.shake_256(f"desireline vector check {dimension}".encode())
    numbers = np.frombuffer(drawn.digest(dimension * _SIDES), dtype=np.uint8).astype(np.float64)
    deviation = np.sqrt((256**2 - 1) / 12)
    return np.asarray((numbers - 127.5) / deviation).reshape(dimension, _SIDES)
