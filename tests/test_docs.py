"""What is written is true: every command, field, plugin, verb, link and file."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import typer.main

from desireline.connectors import plugins
from desireline.sidecar.cli.app import app
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.config import parse_config
from desireline.sidecar.config_reference import markdown

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WRITTEN = "\n".join(page.read_text() for page in PAGES)
COMMANDS = typer.main.get_command(app).commands
MAKEFILE = (ROOT / "Makefile").read_text()
PACKAGES = sorted(
    path.parent
    for part in ("connectors", "trainer", "sidecar")
    for path in (ROOT / part).rglob("__init__.py")
)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented_and_has_help(name: str) -> None:
    assert f"desireline {name}" in WRITTEN
    assert COMMANDS[name].help


def documented_commands() -> list[str]:
    """Every line of a shell block that calls desireline."""
    blocks = re.findall(r"```\n(.*?)```", WRITTEN.replace("\\\n", " "), flags=re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return sorted({line for line in lines if line.startswith("desireline ")})


@pytest.mark.parametrize("line", documented_commands())
def test_every_documented_command_exists_with_its_options(line: str) -> None:
    _, name, *rest = line.split()
    command = COMMANDS[name]
    if hasattr(command, "commands"):
        command = command.commands[rest[0]]
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {"--config", "--json", "--verbose"}
    assert {word for word in rest if word.startswith("-")} <= known


def test_every_verb_of_make_that_is_written_exists() -> None:
    verbs = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b(?= |`|\n|$)", WRITTEN)) <= verbs | {"sure"}


@pytest.mark.parametrize(
    "verb",
    ["setup", "demo", "test", "check", "opensearch", "bench", "results", "evidence", "build"],
)
def test_every_verb_of_make_says_what_it_does(verb: str) -> None:
    assert re.search(rf"^{verb}:.*## \S", MAKEFILE, flags=re.MULTILINE)


def test_every_field_of_the_configuration_is_in_its_page() -> None:
    assert page("configuration.md").endswith(markdown()), "the tables are old: make docs"


def examples() -> list[str]:
    blocks = re.findall(r"```toml\n(.*?)```", WRITTEN, flags=re.DOTALL)
    return [block for block in blocks if "[targets." in block]


@pytest.mark.parametrize("example", examples())
def test_every_example_of_a_configuration_loads(example: str) -> None:
    parse_config(tomllib.loads(example), source="the example", folder=ROOT)


@pytest.mark.parametrize(
    "kind", ["logs", "engines", "stores", "clickmodels", "miners", "losses", "measures"]
)
def test_every_kind_of_plugin_and_every_built_in_is_documented(kind: str) -> None:
    rows = page("extending.md").splitlines()
    (row,) = [line for line in rows if line.startswith("|") and f"`desireline.{kind}`" in line]
    assert [name for name in plugins.names(kind) if f"`{name}`" not in row] == []


def test_every_exit_code_is_in_the_table() -> None:
    table = re.findall(r"^\| (\d+) \|", page("operations.md"), flags=re.MULTILINE)
    assert [int(code) for code in table] == [code.value for code in ExitCode]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def files_named(text: str) -> set[str]:
    return set(re.findall(r"`((?:connectors|trainer|sidecar|tests|docker)/[\w/.-]+)`", text))


def test_every_file_that_is_named_exists() -> None:
    assert [name for name in sorted(files_named(WRITTEN)) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_every_folder_lists_its_files(folder: Path) -> None:
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    named = set(re.findall(r"``([\w.]+)``", told))
    there = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    there |= {path.parent.name for path in folder.glob("*/__init__.py")}
    assert there - named == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_names_a_path_of_one_machine(path: Path) -> None:
    assert not re.search(r"/(home|root|work|Users)/", path.read_text())
