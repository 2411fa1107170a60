"""What one part of the benchmark found."""

from dataclasses import dataclass, field
from typing import Any

from goals.held import goal


@dataclass(kw_only=True)
class Part:
    name: str
    #: Numbers round by round, as the part likes them.
    timings: list[dict[str, Any]] = field(default_factory=list)
    #: name, goal, value, holds.
    goals: list[dict[str, Any]] = field(default_factory=list)
    #: What could not run, and why.
    not_run: dict[str, str] = field(default_factory=dict)
    #: Whether it met something it should not have; what was found before that still counts.
    failed: bool = False
    #: The report for people.
    lines: list[str] = field(default_factory=list)

    def expect(self, name: str, asked: str, value: float, *, holds: bool) -> None:
        self.goals.append(goal(name, asked, value, holds=holds))
