"""What the demo found, for people and for `demo-report.json`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from desireline.sidecar.reports.answer_changes import AnswerChanges
from desireline.sidecar.reports.cycle_report import CycleReport, Interval

_GAIN_GOAL = 0.10
_SECONDS_GOAL = 360.0


class Goal(BaseModel):
    """One figure that was promised, as measured in this run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    goal: str
    value: float
    holds: bool


class DemoReport(BaseModel):
    """The whole demo in numbers. Clicks are simulated; documents, queries and truth are real."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str
    documents: int
    #: Simulated clicks of people, and the share of them on wrong documents.
    clicks: int
    wrong_share: float
    seconds: float
    #: On the untouched test queries: bm25, base, tuned, by measure.
    measures: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Interval]]
    #: Of the paired difference tuned minus base.
    gain: dict[str, Interval]
    swap: dict[str, Any]
    cycle: CycleReport
    #: Of the test queries, between base and tuned.
    changes: AnswerChanges

    @property
    def goals(self) -> list[Goal]:
        """What the demo promises, measured."""
        base, tuned = (self.measures[name]["mrr@20"] for name in ("base", "tuned"))
        gain = tuned / base - 1
        found = [
            Goal(
                name="relative gain of mRR@20 over the base encoder on test queries",
                goal=f">= {_GAIN_GOAL:.2f}",
                value=round(gain, 4),
                holds=gain >= _GAIN_GOAL,
            ),
            Goal(
                name="seconds",
                goal=f"<= {_SECONDS_GOAL:.0f}",
                value=round(self.seconds, 1),
                holds=self.seconds <= _SECONDS_GOAL,
            ),
        ]
        for name in ("failed", "empty", "mixed", "lost"):
            count = int(self.swap[name])
            found.append(Goal(name=f"swap: {name}", goal="0", value=count, holds=count == 0))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain values, goals among them."""
        goals = [goal.model_dump() for goal in self.goals]
        return {**self.model_dump(mode="json"), "goals": goals}

    def write(self, path: Path) -> None:
        """Write `demo-report.json`."""
        path.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n")


def plain(table: Mapping[str, Mapping[str, Interval]]) -> dict[str, dict[str, float]]:
    """Keep the means of a table."""
    return {
        ranker: {measure: interval.value for measure, interval in row.items()}
        for ranker, row in table.items()
    }
