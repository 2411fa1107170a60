"""Paths in a configuration are read from its own folder, not from where one stands."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


def beside_the_file(path: Path, info: ValidationInfo) -> Path:
    """Return the path, from the folder of the configuration file where it is relative."""
    base = (info.context or {}).get("folder")
    path = path.expanduser()
    return path if base is None or path.is_absolute() else base / path


ConfigPath = Annotated[Path, AfterValidator(beside_the_file)]
"""A path, relative to the configuration file."""
