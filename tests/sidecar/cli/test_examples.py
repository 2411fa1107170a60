"""What the help and the pages say to type is what the command line takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from desireline.sidecar.cli.app import app

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command, groups too, by the words that lead to it."""
    yield names, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *names, name)


ALL = dict(commands(typer.main.get_command(app)))


def parsed(line: str) -> tuple[str, ...]:
    """Read a line as the command line does, to the last option; run nothing."""
    words = shlex.split(re.split(r" (?:<|>|&&|\|) ", line)[0], comments=True)
    assert words.pop(0) == "desireline"
    names: tuple[str, ...] = ()
    command, context = ALL[names], ALL[names].make_context("desireline", words)
    while hasattr(command, "commands"):
        name, command, words = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        names = (*names, name)
        context = command.make_context(name, words, parent=context)
    return names


def in_help(command: Any) -> list[str]:
    """What stands in backticks and is to be typed."""
    told = " ".join(str(command.help).split())
    return [each for each in re.findall(r"`([^`]*)`", told) if each.startswith("desireline ")]


def on_pages() -> list[str]:
    """Every line of a shell block that calls desireline."""
    written = "\n".join(page.read_text(encoding="utf-8") for page in PAGES).replace("\\\n", " ")
    blocks = re.findall(r"```\w*\n(.*?)```", written, flags=re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return sorted({line for line in lines if line.startswith("desireline ")})


@pytest.mark.parametrize("names", [names for names, c in ALL.items() if not hasattr(c, "commands")])
def test_every_command_has_an_example_of_itself(names: tuple[str, ...]) -> None:
    _, _, examples = str(ALL[names].help).partition("Example")
    first, *_ = re.findall(r"`([^`]*)`", " ".join(examples.split()))
    assert parsed(first) == names


@pytest.mark.parametrize("names", ALL)
def test_whatever_a_help_says_to_type_is_taken(names: tuple[str, ...]) -> None:
    for line in in_help(ALL[names]):
        only_named = tuple(line.split()[1:]) in ALL
        assert only_named or parsed(line)


@pytest.mark.parametrize("line", on_pages())
def test_whatever_a_page_says_to_type_is_taken(line: str) -> None:
    parsed(line)


@pytest.mark.parametrize(
    "wrong",
    [
        "desireline tune products --mood full",
        "desireline tune products --mode fuller",
        "desireline models show",
        "desireline keys make my-app",
        "desireline serve --port many",
    ],
)
def test_what_is_not_taken_is_told_apart(wrong: str) -> None:
    with pytest.raises(Exception) as refused:
        parsed(wrong)
    assert hasattr(refused.value, "format_message")
