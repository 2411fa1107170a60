"""Plugins by kind, found through entry points; the built-ins enter the same way."""

from importlib.metadata import entry_points
from typing import Any

from desireline.connectors.errors import PluginMissingError


def names(kind: str) -> list[str]:
    """Names of the installed plugins of a kind, such as ``logs`` or ``miners``."""
    return sorted({entry.name for entry in entry_points(group=f"desireline.{kind}")})


def load(kind: str, name: str) -> Any:
    """Import and return the plugin.

    Raises:
        PluginMissingError: no such plugin, or a package it needs is not installed.

    """
    for entry in entry_points(group=f"desireline.{kind}"):
        if entry.name == name:
            try:
                return entry.load()
            except ImportError as error:
                raise PluginMissingError(
                    f"the {kind} plugin {name!r} needs a package that is not installed: {error}",
                    next_step=f"pip install 'desireline[{name}]' or the package named above",
                ) from error
    raise PluginMissingError(
        f"no {kind} plugin is called {name!r}; installed: {', '.join(names(kind)) or 'none'}"
    )
