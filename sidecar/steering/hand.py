"""The operator's hand on a run: what is asked of it, and where it stands in words."""

from collections.abc import Mapping
from typing import Any

import structlog

from desireline.connectors.state_store import StateStore
from desireline.sidecar.configuration.durations import format_duration
from desireline.sidecar.errors import RevertRefusedError
from desireline.sidecar.generations import Pointer
from desireline.sidecar.lease import LEASE
from desireline.sidecar.reports.reporting import format_rate
from desireline.sidecar.steering.controls import Answer, Controls, Wish
from desireline.sidecar.steering.run_status import beat_of, last_run

log = structlog.get_logger(__name__)


def steer(
    controls: Controls,
    target: str,
    wish: Wish,
    *,
    by: str,
    documents_a_second: float | None = None,
    run: str | None = None,
) -> Answer:
    """Note a wish and log who had it; `run` limits a cancel to that one."""
    if wish is Wish.CANCEL:
        answer = controls.cancel(by=by, run=run)
    else:
        answer = controls.ask(wish, by=by, documents_a_second=documents_a_second)
    log.info("a run was steered", target=target, wish=wish.value, by=by, changed=answer.changed)
    return answer


def run_view(store: StateStore, target: str, controls: Controls) -> dict[str, Any]:
    """Return where the run under way, or last ended, stands, and what holds for it.

    Keys: target, state (a word of `state_of`), run (as `RunStatus`, or None before the first),
    beat (changes while its owner lives; None without one), control, why_paused, why_postponed,
    sentence.
    """
    status, control = last_run(store, target), controls.read()
    lease = store.get(LEASE, target)
    body = None if lease is None else lease.body
    beat = None if status is None else beat_of(body, status.fencing)
    view: dict[str, Any] = {
        "target": target,
        "run": None if status is None else status.model_dump(mode="json"),
        "beat": beat,
        "control": control.model_dump(mode="json", exclude={"run"}),
        "why_paused": controls.why_paused(),
        "why_postponed": controls.why_postponed(),
    }
    view["state"] = state_of(view)
    view["sentence"] = sentence_of(view)
    return view


def under_way(view: Mapping[str, Any]) -> bool:
    """Tell whether a run is under way and its owner still holds the target."""
    return view["run"] is not None and not view["run"]["ended_at"] and view["beat"] is not None


def state_of(view: Mapping[str, Any]) -> str:
    """Return one word: none, lost, an outcome, or what an unended run does."""
    run = view["run"]
    if run is None:
        return "none"
    if run["ended_at"]:
        return str(run["outcome"])
    if view["beat"] is None:
        return "lost"
    if view["control"]["cancelled"]:
        return "cancelling"
    if view["why_paused"]:
        return "paused"
    return "throttled" if run["throttled"] else "running"


def sentence_of(view: Mapping[str, Any]) -> str:
    """Say where the run stands in one line."""
    run, state = view["run"], view["state"]
    if run is None:
        return f"no run of {view['target']} has been made yet"
    if run["ended_at"]:
        return f"{state}: {run['sentence']}" if run["sentence"] else state
    if state == "lost":
        return "its process ended without saying so; the same command goes on where it stopped"
    held_up = view["why_paused"] or (run["throttled"] and f"throttled: {run['throttled']}")
    parts = [_what(run), _counted(run), held_up, view["why_postponed"]]
    return "; ".join(part for part in parts if part)


def reverted_already(pointer: Pointer, to: int | None) -> str:
    """Say that there is nothing to go back to because it was done; empty when there is.

    Generations are numbered upwards, so a retained one that is newer than the live one was
    reverted from; only its number brings it back.

    Raises:
        RevertRefusedError: `to` is neither live nor retained.

    """
    live, previous = pointer.generation, pointer.previous
    if to == live:
        return f"generation {live} is live already"
    if to is not None and to != previous:
        kept = "none" if previous is None else f"generation {previous}"
        raise RevertRefusedError(
            f"generation {to} is not kept ready, {kept} is; what serves is unchanged"
        )
    if to is None and previous is not None and previous > live:
        return (
            f"generation {live} was reverted to already and is live; generation {previous} stays"
            " ready, and naming it goes forward again"
        )
    return ""


def _what(run: Mapping[str, Any]) -> str:
    if run["generation"] is None:
        return "it begins"
    way = {"slot": "in its slot", "index": "in a new index"}.get(run["way"], "")
    step = f", {run['step']}" if run["step"] else ""
    return f"generation {run['generation']} {way}{step}"


def _counted(run: Mapping[str, Any]) -> str:
    if not run["total"]:
        return ""
    text = f"{run['counting']} {run['done']:,} of {run['total']:,}"
    if run["rate"] is not None:
        text += f", {format_rate(run['rate'])}"
    return f"{text}, {format_duration(run['eta_s'])} left" if run["eta_s"] else text
