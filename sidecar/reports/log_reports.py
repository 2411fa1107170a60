"""The last health report of each target's click log, kept for the page and for programs.

A report holds no query that fewer clients typed than may be shown (`trainer.log_figures`), and no
client at all.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from desireline.connectors.errors import DesirelineError
from desireline.connectors.state_store import StateStore

if TYPE_CHECKING:
    from desireline.trainer.logs.health import LogHealth

LOG_REPORT = "log report"
#: Raised whenever a reader of old reports would trip over them.
_FORM = 1

log = structlog.get_logger(__name__)


def report_of(
    target: str, health: "LogHealth", *, at: datetime, tune_from_clicks: int
) -> dict[str, Any]:
    """Return a health report as plain values.

    Keys: those of `LogHealth.to_json`, and target, read_at (ISO), tune_from_clicks.
    """
    return {
        "target": target,
        "read_at": at.isoformat(),
        "tune_from_clicks": tune_from_clicks,
        **health.to_json(),
    }


def keep_health(
    store: StateStore, target: str, health: "LogHealth", *, at: datetime, tune_from_clicks: int
) -> dict[str, Any]:
    """Make a health report, keep it, and return it."""
    report = report_of(target, health, at=at, tune_from_clicks=tune_from_clicks)
    keep_report(store, report)
    return report


def keep_report(store: StateStore, report: Mapping[str, Any]) -> None:
    """Keep a report in place of the one before; without it nothing else is worse off."""
    target = report["target"]
    try:
        store.put(
            LOG_REPORT,
            target,
            {"form": _FORM, "report": dict(report)},
            expected=store.get(LOG_REPORT, target),
        )
    except DesirelineError as error:
        log.warning("a report of the click log was not kept", target=target, reason=str(error))


def kept_report(store: StateStore, target: str) -> dict[str, Any] | None:
    """Return the report kept last; None before the first, or where another version kept it."""
    found = store.get(LOG_REPORT, target)
    if found is None or found.body.get("form") != _FORM:
        return None
    return dict(found.body["report"])


def forget_report(store: StateStore, target: str) -> bool:
    """Delete the kept report; return whether there was one."""
    found = store.get(LOG_REPORT, target)
    if found is not None:
        store.delete(found)
    return found is not None
