"""A click log's settings, checked by the class that its plugin brings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ValidationError, ValidationInfo

from desireline.connectors import plugins
from desireline.sidecar.configuration.errors import PluginSettingsError
from desireline.sidecar.configuration.paths import beside_the_file


def _log_settings(values: object, info: ValidationInfo) -> BaseModel:
    if isinstance(values, BaseModel):
        return values
    known = plugins.names("logs")
    if not isinstance(values, Mapping) or values.get("kind") not in known:
        raise ValueError(f"expected a table with a kind, one of {', '.join(known)}")
    model: type[BaseModel] = plugins.load("logs", values["kind"]).config_class
    try:
        return model.model_validate(_with_whole_paths(values, info))
    except ValidationError as error:
        raise PluginSettingsError(error, model) from error


def _with_whole_paths(values: Mapping[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """Read the relative paths of log files from the folder of the configuration file too."""
    named = values.get("path")
    if isinstance(named, str):
        return {**values, "path": _whole(named, info)}
    if isinstance(named, list):
        return {**values, "path": [_whole(each, info) for each in named]}
    return dict(values)


def _whole(path: object, info: ValidationInfo) -> object:
    """Return the path from the file's folder; what is no path, or an address, stays."""
    if not isinstance(path, str) or "://" in path:
        return path
    return str(beside_the_file(Path(path), info))


LogSettings = Annotated[BaseModel, BeforeValidator(_log_settings)]
"""An instance of the ``config_class`` of the log source that ``kind`` names."""
