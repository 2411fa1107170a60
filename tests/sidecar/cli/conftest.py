"""A folder with a configuration on the embedded engine, and the command line in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from desireline.sidecar.cli.app import app

CONFIG = """
[cluster]
engine = "lancedb"

[targets.jobs]
index = "occupations"
text = ["title^2", "description"]
"""


@dataclass
class CommandLine:
    """Runs commands in one folder, each in this process."""

    folder: Path

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin)

    def write(self, text: str = CONFIG) -> None:
        """Write the configuration."""
        (self.folder / "desireline.toml").write_text(text)

    def json(self, *arguments: str) -> dict[str, Any]:
        """Run with --json; stdout must be one object and nothing else."""
        return json.loads(self(*arguments, "--json").stdout)


@pytest.fixture
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return CommandLine(tmp_path)
