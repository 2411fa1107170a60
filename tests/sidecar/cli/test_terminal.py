"""What a command prints of others' words."""

import io

import pytest
from rich.console import Console

from desireline.sidecar.cli.progress import LineReporter, RichReporter
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.reports.reporting import format_rate

#: A title is set, the screen is cleared, a colour is set by the one-byte form.
ORDERS = "a\x1b]0;owned\x07b\x1b[2Jc\x9b31m\x7fd"
SEEN = "a\ufffd]0;owned\ufffdb\ufffd[2Jc\ufffd31m\ufffdd"


def test_what_others_wrote_gives_the_terminal_no_orders(capsys):
    Terminal().say(ORDERS)
    Terminal().note(ORDERS)
    Terminal().table(["encoder"], [[ORDERS]])
    printed = capsys.readouterr()
    assert printed.out.count(SEEN) == 2
    assert printed.err == f"{SEEN}\n"


def test_nor_do_the_steps_of_a_run():
    for reporter in (LineReporter, RichReporter):
        written = io.StringIO()
        reporter(Console(file=written, width=200)).step("gate", ORDERS)
        assert SEEN in written.getvalue()


def test_lines_and_letters_of_every_script_stay(capsys):
    Terminal().say("naïve 東京 مرحبا\nनर्स 🙂")
    assert capsys.readouterr().out == "naïve 東京 مرحبا\nनर्स 🙂\n"


@pytest.mark.parametrize(
    ("a_second", "told"),
    [(1234.4, "1,234/s"), (0.6, "36/min"), (0.42, "25/min"), (0.02, "1/min"), (0.002, "7.2/h")],
)
def test_a_slow_rate_is_told_in_a_unit_that_shows_it(a_second, told) -> None:
    assert format_rate(a_second) == told
