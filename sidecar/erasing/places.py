"""Where on this machine and in our state a person, or a query, may be found."""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from desireline.connectors.search_relevance import SearchRelevance
from desireline.connectors.state_store import Record, StateStore
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.sidecar.erasing.exports import Export, exports_of, forget_export, keep_export
from desireline.sidecar.generations import GENERATION, POINTER
from desireline.sidecar.models.intent_records import dismiss, heads_of
from desireline.sidecar.reports.answer_changes import forget_changes, kept_changes
from desireline.sidecar.reports.cycle_report import CYCLE
from desireline.sidecar.reports.log_reports import forget_report, kept_report
from desireline.sidecar.steering.run_status import RUN
from desireline.sidecar.target import Target
from desireline.trainer.query_text import normalise

ERASED = "[erased]"
#: Fields of our records that hold sentences; the others hold words of our own.
_SENTENCES = {"sentence", "reason", "message", "next_step"}
_TOLD_IN = (CYCLE, RUN, GENERATION, POINTER)
#: Shorter texts without a space are words like any other: finding one in a sentence says nothing.
_DISTINCT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be erased: a client by all names, or a query."""

    #: Hashed names, and the name as the application gave it.
    names: frozenset[str] = frozenset()
    #: Normalised; empty for a client.
    text: str = ""

    @property
    def needles(self) -> tuple[str, ...]:
        """What can be looked for in sentences."""
        wanted = {*self.names, self.text} - {""}
        return tuple(sorted(w for w in wanted if " " in w or len(w) >= _DISTINCT))


class Place(Protocol):
    """Somewhere the subject may be. Removing twice is the same as once."""

    name: str

    def count(self) -> int:
        """Look through all of it; return how often the subject is there."""
        ...

    def remove(self) -> None:
        """Remove the subject; all of it is gone, or after a crash some may be left."""
        ...


class ArchivePlace:
    """The event archive: events of a client, or everything done in searches for a query."""

    name = "event archive"

    def __init__(self, archive: EventArchive, subject: Subject) -> None:
        self._archive = archive
        self._subject = subject

    def count(self) -> int:
        """Count events."""
        searches = self._searches()
        with self._archive.reading() as events:
            return sum(
                events.scan(table)
                .filter(self._belongs(table, searches))
                .select(pl.len())
                .collect(engine="streaming")
                .item()
                for table in events.rows
            )

    def remove(self) -> None:
        """Write the parts again without them; the former files are gone."""
        searches = self._searches()
        self._archive.rewrite(
            lambda table, rows: rows.filter(~self._belongs(table, searches).fill_null(value=False))
        )

    def _searches(self) -> pl.Series:
        """Return the ids of the subject's searches."""
        with self._archive.reading() as events:
            found = [
                events.scan(table).filter(self._directly(table)).select("query_id")
                for table in ("queries", "actions")
            ]
            ids = pl.concat(found).unique().collect(engine="streaming").get_column("query_id")
        return ids.filter(ids != "")

    def _belongs(self, table: str, searches: pl.Series) -> pl.Expr:
        return self._directly(table) | pl.col("query_id").is_in(searches.implode())

    def _directly(self, table: str) -> pl.Expr:
        if not self._subject.text:
            return pl.col("client").is_in(list(self._subject.names))
        return (
            pl.lit(value=False) if table == "impressions" else pl.col("query") == self._subject.text
        )


class PairsPlace:
    """Pairs that a training under way, or a killed one, has on disk."""

    name = "pairs on disk"

    def __init__(self, folder: Path, subject: Subject) -> None:
        self._folder = folder
        self._subject = subject

    def count(self) -> int:
        """Count rows."""
        return sum(self._held(path) for path in self._files())

    def remove(self) -> None:
        """Write the files again without the query."""
        for path in self._files():
            if self._held(path):
                beside = path.with_suffix(".new")
                rows = pl.read_parquet(path).filter(pl.col("anchor") != self._subject.text)
                rows.write_parquet(beside)
                beside.replace(path)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(".*/**/*.parquet")) if self._subject.text else []

    def _held(self, path: Path) -> int:
        try:
            rows = pl.scan_parquet(path)
            if "anchor" not in rows.collect_schema():
                return 0
            ours = rows.filter(pl.col("anchor") == self._subject.text)
            return int(ours.select(pl.len()).collect().item())
        except FileNotFoundError:
            return 0


class IntentHeadsPlace:
    """Intent heads that learned from the subject. Each night makes another, so they just go."""

    name = "intent heads"

    def __init__(self, target: Target, digests: AbstractSet[bytes]) -> None:
        self._target = target
        self._digests = digests

    def count(self) -> int:
        """Count heads."""
        return len(self._learned())

    def remove(self) -> None:
        """Let none of them serve, and delete them."""
        for head in self._learned():
            dismiss(self._target, head)

    def _learned(self) -> list[str]:
        if self._target.privacy is None:
            return []
        noted = self._target.privacy.trained_on
        heads = heads_of(self._target).list()
        return [head for head in heads if noted.learned(head, self._digests)]


class _KeptRecordPlace:
    """A record that may name queries; it is forgotten whole, and its next maker makes another."""

    _kept: Callable[[StateStore, str], Mapping[str, Any] | None]
    _forget: Callable[[StateStore, str], bool]

    def __init__(self, store: StateStore, target: str, subject: Subject) -> None:
        self._store = store
        self._target = target
        self._subject = subject

    def count(self) -> int:
        """Count strings."""
        wanted = {*self._subject.names, self._subject.text} - {""}
        return sum(text in wanted for text in _strings(self._kept(self._store, self._target)))

    def remove(self) -> None:
        """Forget the whole record."""
        if self.count():
            self._forget(self._store, self._target)


class LogReportPlace(_KeptRecordPlace):
    """The health report kept last; it may name queries that many typed."""

    name = "report of the click log"
    _kept = staticmethod(kept_report)
    _forget = staticmethod(forget_report)


class ChangesPlace(_KeptRecordPlace):
    """The examples of changed answers of the last cycle; they name queries that many typed."""

    name = "examples of changed answers"
    _kept = staticmethod(kept_changes)
    _forget = staticmethod(forget_changes)


class JudgmentsPlace:
    """Lists that `desireline judgments export` handed to the cluster; they name queries only."""

    name = "judgments in the cluster"

    def __init__(
        self,
        lists: Callable[[str], SearchRelevance],
        store: StateStore,
        target: str,
        subject: Subject,
    ) -> None:
        self._open = lists
        self._store = store
        self._target = target
        self._text = subject.text

    def count(self) -> int:
        """Count queries in lists."""
        return sum(len(held) for _, held in self._holding())

    def remove(self) -> None:
        """Write the lists again without the query."""
        for export, held in self._holding():
            with closing(self._open(export.prefix)) as lists:
                written = lists.copy_without(export.kind, export.where, held)
                if written == export.where:
                    continue
                if written:
                    keep_export(self._store, self._target, replace(export, where=written))
                lists.remove(export.kind, export.where)
            forget_export(self._store, self._target, export)

    def _holding(self) -> list[tuple[Export, tuple[str, ...]]]:
        """Return the lists that hold the query, with how they spell it."""
        if not self._text:
            return []
        handed = [e for e in exports_of(self._store, self._target) if e.place == "cluster"]
        found = [(export, self._spelled(export)) for export in handed]
        return [(export, held) for export, held in found if held]

    def _spelled(self, export: Export) -> tuple[str, ...]:
        with closing(self._open(export.prefix)) as lists:
            queries = lists.queries_of(export.kind, export.where)
        return tuple(query for query in queries if normalise(query) == self._text)


class SentencesPlace:
    """Sentences in reports of cycles and runs. None should name a query or a client."""

    name = "reports of cycles and runs"

    def __init__(self, store: StateStore, target: str, subject: Subject) -> None:
        self._store = store
        self._target = target
        self._wanted = _pattern(subject.needles)

    def count(self) -> int:
        """Count records."""
        return len(self._holding())

    def remove(self) -> None:
        """Put `[erased]` in its place."""
        for record in self._holding():
            body = _redacted(record.body, self._wanted)
            self._store.put(record.kind, record.key, body, expected=record)

    def _holding(self) -> list[Record]:
        return [
            record
            for kind in _TOLD_IN
            for record in self._store.list(kind)
            if record.key == self._target or record.key.startswith(f"{self._target}:")
            if _redacted(record.body, self._wanted) != dict(record.body)
        ]


def _pattern(needles: tuple[str, ...]) -> re.Pattern[str]:
    if not needles:
        return re.compile(r"(?!)")
    anyone = "|".join(map(re.escape, needles))
    return re.compile(rf"(?<!\w)(?:{anyone})(?!\w)", re.IGNORECASE)


def _redacted(value: Any, wanted: re.Pattern[str], field: str = "") -> Any:
    match value:
        case Mapping():
            return {key: _redacted(inner, wanted, key) for key, inner in value.items()}
        case list() | tuple():
            return [_redacted(inner, wanted, field) for inner in value]
        case str() if field in _SENTENCES:
            return wanted.sub(ERASED, value)
    return value


def _strings(value: Any) -> list[str]:
    match value:
        case Mapping():
            return [text for inner in value.values() for text in _strings(inner)]
        case list() | tuple():
            return [text for inner in value for text in _strings(inner)]
        case str():
            return [value]
    return []
