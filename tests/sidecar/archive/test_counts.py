"""Counts of an archive, a shelf at a time, are those of the whole log joined at once."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from desireline.connectors.log_source import Cursor
from desireline.sidecar.archive.counts import count_archive
from desireline.sidecar.archive.event_archive import EventArchive
from desireline.trainer.clickmodels.position_based import PositionBased
from desireline.trainer.judgments import EvidenceConfig, click_log, judge, judge_counts
from desireline.trainer.logs.bots import BotConfig
from desireline.trainer.logs.frames import SCHEMAS
from desireline.trainer.sessions import SessionConfig, join_sessions

START = datetime(2026, 3, 1, tzinfo=UTC)
TODAY = date(2026, 4, 1)
BOTS = BotConfig(floor_in_all=100, times_median=4)
NO_DWELL = EvidenceConfig(long_dwell_weight=1.0)


def searches(random, count):
    """Searches of people, of one bot, and of nobody; one in twenty is logged twice."""
    rows = []
    for number in range(count):
        client = f"client-{random.integers(0, 60)}" if random.random() < 0.9 else ""
        if random.random() < 0.2:
            client = "a machine"
        shown = [f"d{each}" for each in random.permutation(12)[: random.integers(0, 6)]]
        row = {
            "query_id": f"q{number}",
            "query": f"query {random.zipf(1.5) % 40}",
            "client": client,
            "at": START + timedelta(hours=float(random.uniform(0, 240))),
            "shown": shown,
            "first_position": 1 if random.random() < 0.9 else 11,
            "subnet": "",
        }
        rows += [row] * (2 if random.random() < 0.05 else 1)
    return rows


def events_of(random, rows, *, first):
    """Clicks and impressions, some without a position, an id or a search."""
    actions, impressions = [], []
    for row in rows:
        about = {"query_id": row["query_id"], "client": row["client"], "at": row["at"]}
        for document in [*row["shown"], "d99"]:
            position = int(random.integers(first, 12)) if random.random() < 0.8 else None
            found = {**about, "document_id": document, "position": position}
            if random.random() < 0.3:
                kind = "click" if random.random() < 0.8 else "purchase"
                text = row["query"] if random.random() < 0.5 else ""
                lost = {"query_id": ""} if text and random.random() < 0.2 else {}
                actions.append({**found, **lost, "kind": kind, "query": text})
            elif document != "d99" and random.random() < 0.2:
                impressions.append(found)
    return actions, impressions


def filled(folder, seed, *, first=1, count=1_500):
    random = np.random.default_rng(seed)
    rows = searches(random, count)
    actions, impressions = events_of(random, rows, first=first)
    tables = {"queries": rows, "actions": actions, "impressions": impressions}
    archive = EventArchive(folder)
    with archive.pulling("made") as pull:
        for part in range(3):
            some = {
                name: pl.DataFrame(held[part::3], schema=SCHEMAS[name])
                for name, held in tables.items()
            }
            pull.keep(some, Cursor(str(part)), {}, today=TODAY)
    return archive


@pytest.mark.parametrize(
    ("seed", "first", "config"),
    [
        (0, 1, SessionConfig(bots=BOTS)),
        (1, 0, SessionConfig(bots=BOTS, min_clients=1, min_pair_clients=1)),
        (2, 1, SessionConfig(bots=BOTS, once_a_day=False, unnamed="each")),
    ],
)
def test_counts_and_judgments_are_those_of_the_log_joined_at_once(tmp_path, seed, first, config):
    with filled(tmp_path / "events", seed, first=first).reading() as events:
        counts = count_archive(events, None, config, tmp_path, rows_at_once=700)
        sessions = join_sessions(events.frames(), config)
    assert sessions.health.left_out, "a bot must be among the clients"
    assert_frame_equal(counts.places, click_log(sessions).counts)
    at_once = judge(sessions, PositionBased(), None, NO_DWELL)
    by_counts = judge_counts(counts, PositionBased())
    assert_frame_equal(by_counts.frame, at_once.frame, check_dtypes=False)
    assert by_counts.examination == pytest.approx(at_once.examination)


def test_only_events_of_the_window_count(tmp_path):
    since = START + timedelta(days=5)
    with filled(tmp_path / "events", 3).reading() as events:
        counts = count_archive(events, since, SessionConfig(), tmp_path, rows_at_once=700)
        sessions = join_sessions(events.frames(since), SessionConfig())
    assert_frame_equal(counts.places, click_log(sessions).counts)


def test_an_empty_archive_has_no_counts_and_leaves_nothing_behind(tmp_path):
    with EventArchive(tmp_path / "events").reading() as events:
        counts = count_archive(events, None, SessionConfig(), tmp_path)
    assert counts.places.is_empty()
    assert counts.pairs.is_empty()
    assert [path.name for path in tmp_path.iterdir()] == ["events"]
