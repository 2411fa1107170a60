"""A run as it goes: a bar on a terminal, plain lines elsewhere, JSON lines for programs."""

import itertools
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from desireline.connectors.errors import ConnectorError
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.steering.hand import under_way
from desireline.sidecar.steering.run_status import Pulse

#: Coverage is a count over the index; it is not asked for at every look.
_LOOKS_A_COUNT = 10
_BAR_WIDTH = 40
_STYLES = {"done": "green", "failed": "red", "cancelled": "yellow", "lost": "red"}

View = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Watch:
    """Looks at a run until it ends."""

    terminal: Terminal
    look: Callable[[], View]
    #: Counts documents of the generation being built; None where there is none.
    coverage: Callable[[int], str | None]
    #: After so long without a sign of life the run is taken for dead.
    patience_s: float
    every_s: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    pulse: Pulse = field(default_factory=Pulse)
    _counted: str | None = None
    _beat: int | None = None

    def until_end(self) -> ExitCode:
        """Show the run until it ends; return what its end means."""
        show = self._shower()
        try:
            return self._follow(show)
        finally:
            show.close()

    def _follow(self, show: "_Shower") -> ExitCode:
        for looks in itertools.count():
            view = self._seen(looks)
            if view is not None:
                show.show(view)
                if not under_way(view):
                    return _code(view)
                self._beat = view["beat"]
            silent_s = self.pulse.silent_s(self._beat)
            if silent_s > self.patience_s:
                self.terminal.note(
                    f"the run has shown no life for {silent_s:.0f} s; if its process is dead, the"
                    " same command goes on where it stopped",
                    style="yellow",
                )
                return ExitCode.FAILED
            self.sleep(self.every_s)
        raise AssertionError

    def _seen(self, looks: int) -> View | None:
        """Look once; None while the store cannot be read, for the run may be waiting for it too."""
        try:
            view = self.look()
            generation = (view["run"] or {}).get("generation")
            if generation is not None and looks % _LOOKS_A_COUNT == 0:
                self._counted = self.coverage(generation)
        except ConnectorError as error:
            if not looks:
                raise
            self.terminal.note(f"cannot look at present: {error}", style="yellow")
            return None
        return {**view, "coverage": self._counted}

    def _shower(self) -> "_Shower":
        if self.terminal.as_json:
            return _JsonLines()
        console = Console(file=sys.stdout, highlight=False)
        return _LiveBar(console) if console.is_terminal else _PlainLines(self.terminal)


class _Shower:
    """Shows one look after the other."""

    def show(self, view: View) -> None:
        """Show where the run stands."""

    def close(self) -> None:
        """Leave the last look where it is."""


class _JsonLines(_Shower):
    def __init__(self) -> None:
        self._last = ""

    def show(self, view: View) -> None:
        line = json.dumps(view, default=str, ensure_ascii=False)
        if line != self._last:
            self._last = line
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


class _PlainLines(_Shower):
    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._last = ""

    def show(self, view: View) -> None:
        line = view["sentence"] + (f"; {view['coverage']}" if view["coverage"] else "")
        if line != self._last:
            self._last = line
            self._terminal.say(line)


class _LiveBar(_Shower):
    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._live.start()

    def show(self, view: View) -> None:
        self._live.update(_picture(view), refresh=True)

    def close(self) -> None:
        self._live.stop()


def _picture(view: View) -> RenderableType:
    run = view["run"]
    if run is None:
        return Text(view["sentence"])
    head = Text.assemble((view["target"], "bold"), "  ", _state(view))
    lines = Table.grid()
    lines.add_row(head)
    if run["total"]:
        lines.add_row(ProgressBar(total=run["total"], completed=run["done"], width=_BAR_WIDTH))
    lines.add_row(Text(view["sentence"], overflow="fold"))
    if view["coverage"]:
        lines.add_row(Text(view["coverage"], style="dim"))
    return lines


def _state(view: View) -> Text:
    return Text(view["state"], style=_STYLES.get(view["state"], "cyan"))


def _code(view: View) -> ExitCode:
    return ExitCode.DONE if view["state"] in {"done", "none"} else ExitCode.FAILED
