from datetime import UTC, datetime

import pytest
import structlog

from desireline.connectors.errors import EngineUnavailableError
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.reports.log_reports import (
    LOG_REPORT,
    forget_report,
    keep_report,
    kept_report,
    report_of,
)
from desireline.trainer.sessions import to_sessions

NOON = datetime(2026, 5, 7, 12, 0, tzinfo=UTC)


@pytest.fixture
def report():
    return report_of("products", to_sessions([]).health, at=NOON, tune_from_clicks=50)


def test_the_last_report_replaces_the_one_before(report):
    store = MemoryStore()
    assert kept_report(store, "products") is None
    keep_report(store, report)
    keep_report(store, report | {"searches": 7})
    assert kept_report(store, "products")["searches"] == 7
    assert kept_report(store, "shoes") is None


def test_a_report_of_another_version_is_none(report):
    store = MemoryStore()
    store.put(LOG_REPORT, "products", {"form": 99, "report": {"tier": "golden"}}, expected=None)
    assert kept_report(store, "products") is None
    keep_report(store, report)
    assert kept_report(store, "products")["tier"] == 0


def test_a_forgotten_report_is_gone(report):
    store = MemoryStore()
    keep_report(store, report)
    assert forget_report(store, "products")
    assert kept_report(store, "products") is None
    assert not forget_report(store, "products")


def test_a_store_that_is_down_costs_the_kept_report_and_nothing_else(report, monkeypatch):
    store = MemoryStore()

    def silent(*_args, **_more):
        raise EngineUnavailableError("no answer")

    monkeypatch.setattr(store, "put", silent)
    with structlog.testing.capture_logs() as said:
        keep_report(store, report)
    assert [entry["event"] for entry in said] == ["a report of the click log was not kept"]


def test_a_report_is_plain_json_and_tells_when_it_was_read(report):
    assert report["read_at"] == "2026-05-07T12:00:00+00:00"
    assert report["readiness"]["tiers"][0]["reached"] is True
