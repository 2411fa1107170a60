"""Steps and progress: live on a terminal, plain lines elsewhere. Always on stderr."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from desireline.sidecar.cli.printable import printable
from desireline.sidecar.reports.reporting import format_rate, twentieths

_NAME_WIDTH = 11
#: Before this a rate would be that of the clock, not of the work.
_SOONEST_RATE_S = 0.1


class RichReporter:
    """One line a step; a bar with rate and time left while something is counted."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def step(self, name: str, sentence: str, **_keys: object) -> None:
        """Print the step."""
        told = Text.assemble((_label(name), "bold cyan"), printable(sentence))
        self._console.print(told, soft_wrap=True)

    def progress(self, name: str, done: int, total: int, **_keys: object) -> None:
        """Move the bar; it goes when everything that was counted is done."""
        if self._progress is None:
            self._progress = _bars(self._console)
            self._progress.start()
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=max(total, 1))
        self._progress.update(self._tasks[name], completed=done, total=max(total, 1))
        if done >= total:
            self._end(name)

    def _end(self, name: str) -> None:
        if self._progress is not None:
            self._progress.remove_task(self._tasks.pop(name))
            if not self._tasks:
                self._progress.stop()
                self._progress = None


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(format_rate(task.speed) if task.speed else "", style="dim")


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn(f"[bold cyan]{{task.description:<{_NAME_WIDTH}}}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


@dataclass(slots=True)
class _Told:
    started: float
    part: int


@dataclass(frozen=True, slots=True)
class LineReporter:
    """One line a step and one for each twentieth of progress, for files and pipes."""

    console: Console
    monotonic: Callable[[], float] = time.monotonic
    _told: dict[str, _Told] = field(default_factory=dict)

    def step(self, name: str, sentence: str, **_keys: object) -> None:
        """Print the step."""
        self._print(name, sentence)

    def progress(self, name: str, done: int, total: int, **_keys: object) -> None:
        """Print the count, its rate and the time left at each twentieth."""
        if name not in self._told:
            self._told[name] = _Told(self.monotonic(), -1)
        told = self._told[name]
        part = twentieths(done, total)
        if part != told.part:
            told.part = part
            self._print(name, self._count(told, done, total))
        if done >= total:
            del self._told[name]

    def _count(self, told: _Told, done: int, total: int) -> str:
        seconds = self.monotonic() - told.started
        if not done or seconds < _SOONEST_RATE_S:
            return f"{done:,} of {total:,}"
        rate = done / seconds
        left = (total - done) / rate
        return f"{done:,} of {total:,}  {format_rate(rate)}  {left:.0f} s left"

    def _print(self, name: str, sentence: str) -> None:
        self.console.print(Text(_label(name) + printable(sentence)), soft_wrap=True)


def _label(name: str) -> str:
    return f"{name:<{_NAME_WIDTH}} "
