"""The wheel holds what the folders hold, and nothing is imported twice under two names."""

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("connectors", "trainer", "sidecar")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def folders() -> list[Path]:
    """Every folder that is a package: it holds Python, or data that ships."""
    return [
        folder
        for part in PARTS
        for folder in [ROOT / part, *(ROOT / part).rglob("*")]
        if folder.is_dir()
        and "__pycache__" not in folder.parts
        and any(path.suffix == ".py" for path in folder.iterdir())
    ]


def test_the_package_list_equals_the_folders() -> None:
    found = {"desireline." + ".".join(folder.relative_to(ROOT).parts) for folder in folders()}
    assert found == set(PROJECT["tool"]["setuptools"]["packages"])


def test_every_file_that_is_not_python_ships() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for folder in [f for part in PARTS for f in [ROOT / part, *(ROOT / part).rglob("*")]]:
        if not folder.is_dir() or "__pycache__" in folder.parts:
            continue
        for path in folder.iterdir():
            if path.is_file() and path.suffix not in {".py", ".pyc"}:
                assert ships(path, data), f"{path.relative_to(ROOT)} is not in package-data"


def ships(path: Path, data: dict[str, list[str]]) -> bool:
    for package, patterns in data.items():
        folder = None if package == "*" else ROOT.joinpath(*package.split(".")[1:])
        if folder is None and path.name in patterns:
            return True
        if folder is not None and any(path in folder.glob(pattern) for pattern in patterns):
            return True
    return False


@pytest.mark.parametrize("part", PARTS)
def test_the_bare_name_of_a_folder_cannot_be_imported(part: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {part}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"import desireline.{part}, not the bare folder" in done.stderr


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_typed_for_its_users(part: str) -> None:
    assert (ROOT / part / "py.typed").is_file()


def declared() -> list[tuple[str, str, str]]:
    groups = PROJECT["project"]["entry-points"]
    return [
        (group, name, value) for group, plugins in groups.items() for name, value in plugins.items()
    ]


@pytest.mark.parametrize(("group", "name", "value"), declared())
def test_every_declared_plugin_loads(group: str, name: str, value: str) -> None:
    (entry,) = entry_points(group=group, name=name)
    assert entry.value == value, (
        "the installed metadata is old: uv sync --reinstall-package desireline"
    )
    assert callable(entry.load())


def test_no_plugin_knows_a_sibling() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (siblings,) = [contract for contract in contracts if contract["id"] == "siblings"]
    kinds = ("desireline.logs", "desireline.engines", "desireline.stores")
    modules = {value.partition(":")[0] for group, _, value in declared() if group in kinds}
    assert modules == set(siblings["modules"])
