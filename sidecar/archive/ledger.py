"""Which files of an event archive count, and how far the log was read when they were written."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from desireline.connectors.log_source import Cursor
from desireline.sidecar.errors import ArchiveBrokenError
from desireline.trainer.models.disk_sync import sync_path

_FILE = "ledger.json"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One Parquet file of one table and one day."""

    table: str
    #: In UTC, of the events' own time.
    day: date
    number: int
    rows: int

    @property
    def name(self) -> str:
        """Path below the archive's folder."""
        return f"{self.day.isoformat()}/{self.table}-{self.number:08d}.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The one record that makes parts and cursor true together.

    It is replaced whole by one rename. A part that it does not name does not exist, whatever
    lies in the folder; so parts are written first, and removed last.
    """

    #: Digest of the settings of the log the events came from.
    source: str = ""
    #: How far back the first pull read; None: all there was.
    window_s: float | None = None
    cursor: Cursor | None = None
    parts: tuple[Part, ...] = ()
    #: Number of the next part; never reused.
    following: int = 1
    #: Defects by name, by the day they were met on.
    defects: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def holds(self, source: str, window_s: float | None) -> bool:
        """Say whether these are events of this log, reaching back this far."""
        reaches = self.window_s is None or (window_s is not None and window_s <= self.window_s)
        return self.cursor is not None and self.source == source and reaches

    def began_anew(self, source: str, window_s: float | None) -> "Ledger":
        """Return an empty ledger for another log, or more of this one; numbers go on."""
        return Ledger(source=source, window_s=window_s, following=self.following)

    def having(
        self,
        added: tuple[Part, ...],
        cursor: Cursor,
        defects: Mapping[str, int],
        today: date,
    ) -> "Ledger":
        """Return what is true once these parts lie in the folder."""
        met = dict(self.defects)
        counts = dict(met.get(today.isoformat(), {}))
        for name, count in defects.items():
            counts[name] = counts.get(name, 0) + count
        if counts:
            met[today.isoformat()] = counts
        return replace(
            self,
            cursor=cursor,
            parts=(*self.parts, *added),
            following=max((part.number + 1 for part in added), default=self.following),
            defects=met,
        )

    def exchanging(self, gone: tuple[Part, ...], added: tuple[Part, ...]) -> "Ledger":
        """Return what is true once `added` stand for `gone`."""
        leaving = {part.number for part in gone}
        kept = [part for part in self.parts if part.number not in leaving]
        return replace(
            self,
            parts=tuple(sorted((*kept, *added), key=lambda part: part.number)),
            following=max(self.following, *(part.number + 1 for part in added), 0),
        )

    def with_defects(self, defects: Mapping[str, Mapping[str, int]]) -> "Ledger":
        """Return the same with other counts of defects."""
        return replace(self, defects=defects)


def read_ledger(folder: Path) -> Ledger:
    """Return what counts in this folder. Raises ArchiveBrokenError."""
    try:
        return _of_version(orjson.loads((folder / _FILE).read_bytes()))
    except FileNotFoundError:
        return Ledger()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveBrokenError(
            f"{folder / _FILE} cannot be read as a ledger of pulled events: {error};"
            " the click log itself is unchanged",
            next_step=f"remove {folder}: the next pull reads the log again",
        ) from error


def _of_version(body: Mapping[str, Any]) -> Ledger:
    if body["version"] != _VERSION:
        raise ValueError(f"version {body['version']} is not of this desireline")
    return Ledger(
        source=body["source"],
        window_s=body["window_s"],
        cursor=None if body["cursor"] is None else Cursor(body["cursor"]),
        parts=tuple(
            Part(**{**part, "day": date.fromisoformat(part["day"])}) for part in body["parts"]
        ),
        following=body["following"],
        defects=body["defects"],
    )


def write_ledger(folder: Path, ledger: Ledger) -> None:
    """Put a ledger in the place of the former one, so that a crash leaves either of them whole."""
    body = {
        "version": _VERSION,
        "source": ledger.source,
        "window_s": ledger.window_s,
        "cursor": ledger.cursor and ledger.cursor.token,
        "parts": [asdict(part) for part in ledger.parts],
        "following": ledger.following,
        "defects": ledger.defects,
    }
    beside = folder / f"{_FILE}.new"
    with beside.open("wb") as file:
        file.write(orjson.dumps(body))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / _FILE)
    sync_path(folder)
