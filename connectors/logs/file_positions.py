"""Where reading stopped in each file; it recognises a file that was renamed or replaced."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import orjson

from desireline.connectors.errors import LogFormatError
from desireline.connectors.log_source import Cursor
from desireline.connectors.logs.file_formats import translated
from desireline.connectors.logs.file_places import LogFile

_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far one file was read, and how it began: a file is what its first bytes are."""

    #: As `Line.end` counts.
    end: int
    #: Bytes on disk when it was read; 0 where it was packed.
    size: int
    #: SHA-256 of the first bytes after unpacking, and how many those are.
    head: str
    head_bytes: int


class FilePositions:
    """A cursor over files.

    An appended file is read on. A file that begins otherwise than it did, or is shorter,
    was rotated or truncated and is read from its start. A file that begins like one whose
    name is gone, or now names another, was renamed or packed and is read on.

    `zero_based` goes with it: whether any position 0 was met so far.
    """

    def __init__(self, cursor: Cursor | None, paths: Iterable[LogFile]) -> None:
        before, self.zero_based = _read(cursor)
        self._files = {str(path): _Beginning.of(path) for path in paths}
        self._positions = {
            path: before[path]
            for path, file in self._files.items()
            if path in before and file.continues(before[path])
        }
        lost = [position for path, position in before.items() if path not in self._positions]
        for path in self._files.keys() - self._positions.keys():
            self._adopt(path, lost)

    def _adopt(self, path: str, lost: list[Position]) -> None:
        for position in lost:
            if self._files[path].continues(position):
                self._positions[path] = position
                lost.remove(position)
                return

    def start(self, path: LogFile) -> int:
        """Return where to read on."""
        position = self._positions.get(str(path))
        return position.end if position else 0

    def advance(self, path: LogFile, end: int) -> None:
        """Note that the file was read up to `end`."""
        file = self._files[str(path)]
        self._positions[str(path)] = Position(
            end=end, size=file.size, head=file.digest, head_bytes=len(file.head)
        )

    def cursor(self) -> Cursor:
        """Return the token to go on from."""
        files = {path: asdict(position) for path, position in sorted(self._positions.items())}
        body = {"files": files, "zero_based": self.zero_based}
        return Cursor(orjson.dumps(body).decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beginning:
    head: bytes
    digest: str
    size: int

    @classmethod
    def of(cls, path: LogFile) -> "_Beginning":
        with translated(path), path.open_unpacked() as file:
            head = file.read(_HEAD_BYTES)
            size = 0 if path.is_packed else path.size()
        return cls(head=head, digest=_sha256(head), size=size)

    def continues(self, position: Position) -> bool:
        known = self.head[: position.head_bytes]
        shorter = 0 < self.size < position.size
        return not shorter and bool(known) and _sha256(known) == position.head


def _read(cursor: Cursor | None) -> tuple[dict[str, Position], bool]:
    if cursor is None:
        return {}, False
    try:
        body = orjson.loads(cursor.token)
        positions = {path: Position(**position) for path, position in body["files"].items()}
        return positions, bool(body["zero_based"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise LogFormatError(
            "the cursor of the last pull is not one of a log of files; nothing was read",
            next_step="the log source was changed: start over without a cursor",
        ) from error


def _sha256(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
