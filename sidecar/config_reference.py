"""The configuration told from its own models: a commented file, and a table for the docs.

Nothing about a field is written twice: names, defaults and sentences come from the models.
``python -m desireline.sidecar.config_reference PAGE`` writes the tables of a page again.
"""

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from desireline.sidecar.config import Config
from desireline.sidecar.configuration.durations import parse_duration
from desireline.sidecar.configuration.hooks import HookConfig
from desireline.sidecar.configuration.target import TargetConfig
from desireline.sidecar.configuration.tune import SAID_ABOVE_FIT
from desireline.trainer.jobs import FitConfig

#: Told elsewhere in the file.
_LEFT_OUT: dict[type[BaseModel], Collection[str]] = {Config: {"targets"}, FitConfig: SAID_ABOVE_FIT}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigField:
    """One field: its place, such as ``targets.<name>.tune.budget``, and what it means."""

    table: str
    name: str
    #: As TOML; None where it must be given or may be left out.
    default: str | None
    required: bool
    description: str
    example: str | None

    @property
    def path(self) -> str:
        """Dotted place of the field."""
        return f"{self.table}.{self.name}" if self.table else self.name


def config_fields() -> list[ConfigField]:
    """Every field of the configuration, table by table."""
    return [*_fields("", Config), *_fields("targets.<name>", TargetConfig)]


def _fields(table: str, model: type[BaseModel]) -> Iterator[ConfigField]:
    nested: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            nested.append((f"{table}.{name}".lstrip("."), type(field.default)))
        elif name not in _LEFT_OUT.get(model, ()):
            yield _field(table, name, field)
    for place, inner in nested:
        yield from _fields(place, inner)


def _field(table: str, name: str, field: FieldInfo) -> ConfigField:
    given = field.default is not None and field.default is not PydanticUndefined
    return ConfigField(
        table=table,
        name=name,
        default=_toml(field.default, field) if given else None,
        required=field.is_required(),
        description=field.description or "",
        example=_toml(field.examples[0], field) if field.examples else None,
    )


def _toml(value: object, field: FieldInfo) -> str:
    if isinstance(value, float) and _is_duration(field):
        return json.dumps(_compact(value))
    return to_toml(value)


def to_toml(value: object) -> str:
    """Write a value as inline TOML; JSON's strings, numbers and lists are TOML's."""
    if isinstance(value, Mapping):
        pairs = (f"{key} = {to_toml(part)}" for key, part in value.items())
        return "{ " + ", ".join(pairs) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    if isinstance(value, Path):
        value = value.as_posix()
    return json.dumps(value, ensure_ascii=False)


def _is_duration(field: FieldInfo) -> bool:
    """Say whether the field, or what it holds where it may be off, is read as a duration."""
    inner = (getattr(part, "__metadata__", ()) for part in get_args(field.annotation))
    return any(
        isinstance(part, BeforeValidator) and part.func is parse_duration
        for part in chain(field.metadata, *inner)
    )


def _compact(seconds: float) -> str:
    """Write seconds in the largest unit that divides them."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return f"{seconds // size:.0f}{unit}"


def commented_file(values: Mapping[str, Any], *, target: str) -> str:
    """Return a desireline.toml: the given values set, every other field there as a comment.

    `values` maps dotted places such as ``targets.<name>.index`` to values.
    """
    lines = [
        "# desireline.toml: what desireline tunes, and how.",
        "# Lines that start with #: are other settings with their defaults.",
    ]
    table = ""
    for field in config_fields():
        if field.table != table:
            table = field.table
            lines += ["", f"[{table.replace('<name>', target)}]"]
        lines += _file_lines(field, values)
    return "\n".join(lines) + "\n"


def _file_lines(field: ConfigField, values: Mapping[str, Any]) -> list[str]:
    if field.path in values:
        return [f"# {field.description}", f"{field.name} = {to_toml(values[field.path])}"]
    shown = field.default if field.default is not None else field.example
    return [f"#: {field.name} = {shown or '…'}  # {field.description}"]


def markdown() -> str:
    """Return one table of fields for each table of the file."""
    lines: list[str] = []
    table: str | None = None
    hooks = _fields("[targets.<name>.hooks]", HookConfig)
    for field in (*config_fields(), *hooks):
        if field.table != table:
            table = field.table
            title = f"`[{table}]`" if table else "At the top of the file"
            lines += ["", f"### {title}", "", "| field | default | meaning |", "|---|---|---|"]
        default = "required" if field.required else f"`{field.default}`" if field.default else "-"
        lines.append(f"| `{field.name}` | {default} | {field.description.replace('|', '/')} |")
    return "\n".join(lines).strip() + "\n"


def rewrite(page: Path) -> None:
    """Put the present tables in place of those at the end of a page."""
    tables = markdown()
    before, _, _ = page.read_text(encoding="utf-8").partition(tables.partition("\n")[0])
    page.write_text(before + tables, encoding="utf-8")


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]))
