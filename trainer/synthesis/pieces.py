"""Long work in pieces that survive kill -9: each is there whole or not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import structlog
from numpy.typing import NDArray
from safetensors.numpy import load, save

from desireline.trainer.errors import SynthesisError
from desireline.trainer.models.disk_sync import sync_path

log = structlog.get_logger(__name__)

Arrays = Mapping[str, NDArray[Any]]
_DIGEST = 64


@dataclass(frozen=True, slots=True)
class Pieces:
    """Numbered pieces of one kind, each named by what it was made of and guarded by its SHA-256.

    A piece of other inputs, or with other bytes than were written, counts as missing. Nothing
    is ever changed: it appears by one rename after its bytes are on the disk.
    """

    folder: Path

    def values(self, number: int, of: str, make: Callable[[], Any]) -> Any:
        """Return a piece of plain values, made and kept if it is missing."""
        return orjson.loads(self._get(number, of, lambda: orjson.dumps(make())))

    def arrays(self, number: int, of: str, make: Callable[[], Arrays]) -> dict[str, NDArray[Any]]:
        """Return a piece of arrays, made and kept if it is missing."""
        return dict(load(self._get(number, of, lambda: save(_whole(make())))))

    def has(self, number: int, of: str) -> bool:
        """Say whether a piece is there, whole."""
        return self._find(number, of) is not None

    def _get(self, number: int, of: str, make: Callable[[], bytes]) -> bytes:
        found = self._find(number, of)
        if found is None:
            found = make()
            write_whole(self._path(number, of), sha256(found).hexdigest().encode() + found)
        return found

    def _find(self, number: int, of: str) -> bytes | None:
        path = self._path(number, of)
        if not path.is_file():
            return None
        written = path.read_bytes()
        digest, body = written[:_DIGEST], written[_DIGEST:]
        if sha256(body).hexdigest().encode() == digest:
            return body
        log.warning("a damaged piece is made again", piece=path.name)
        return None

    def _path(self, number: int, of: str) -> Path:
        return self.folder / f"{number:07d}-{sha256(of.encode()).hexdigest()[:32]}"


def write_whole(path: Path, body: bytes) -> None:
    """Write a file that appears whole or not at all.

    Raises:
        SynthesisError: the disk does not take it.

    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(body)
        sync_path(partial)
        partial.rename(path)
        sync_path(path.parent)
    except OSError as error:
        raise not_writable(path, error) from error


def not_writable(path: Path, error: OSError) -> SynthesisError:
    """Name what the disk did not take."""
    return SynthesisError(
        f"{path} cannot be written: {error.strerror or error}; what was made before is kept",
        next_step="make room or mend the folder; the same call then goes on where it was",
    )


def _whole(arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
