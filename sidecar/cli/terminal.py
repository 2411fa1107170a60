"""Where a command writes: sentences for people, or one JSON object for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from desireline.sidecar.cli.printable import printable
from desireline.sidecar.cli.progress import LineReporter, RichReporter
from desireline.sidecar.reports.reporting import JsonReporter, LogReporter, Reporter, TeeReporter

#: Columns where there is no window: files and pipes wrap nothing.
_WIDE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """stdout takes the result and nothing else; everything on the way goes to stderr."""

    as_json: bool = False
    verbose: bool = False

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def columns(self) -> int:
        """How wide what `say` writes may be."""
        return self._out().width

    @property
    def draws_blocks(self) -> bool:
        """Whether it can write characters that are blocks of a bar."""
        return self._out().encoding.lower().startswith("utf")

    def say(self, sentence: str, *, style: str = "") -> None:
        """Tell people a sentence; programs get it in their object."""
        if not self.as_json:
            self._out().print(Text(printable(sentence), style=style), soft_wrap=True)

    def note(self, sentence: str, *, style: str = "") -> None:
        """Tell something on the side."""
        self.err().print(Text(printable(sentence), style=style), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Show rows to people."""
        if self.as_json:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
        self._out().print(table)

    def result(self, body: Mapping[str, Any]) -> None:
        """Give programs their one object."""
        if self.as_json:
            sys.stdout.write(json.dumps(body, default=str, ensure_ascii=False) + "\n")

    def reporter(self) -> Reporter:
        """Return who tells of steps: JSON lines, a live terminal, or plain lines."""
        return TeeReporter((self._shown(), LogReporter()))

    def _shown(self) -> Reporter:
        if self.as_json:
            return JsonReporter(sys.stderr)
        console = self.err()
        return RichReporter(console) if console.is_terminal else LineReporter(console)

    def _out(self) -> Console:
        width = None if sys.stdout.isatty() else _WIDE
        return Console(file=sys.stdout, highlight=False, width=width)

    def err(self) -> Console:
        """Return the console of stderr, as it is now."""
        return Console(file=sys.stderr, highlight=False)
