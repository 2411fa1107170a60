"""HTML that cannot be injected into: every text is escaped unless this module made it."""

import html
from collections.abc import Iterable  # noqa: TC003 - the alias below reads better with it
from typing import TypeAlias

_VOID = frozenset({"br", "hr", "input", "link", "meta"})


class Markup(str):
    """HTML made by `element`; a plain string never is."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"


def element(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """Return one element.

    An attribute that is None or False is left out, one that is True stands without a value;
    ``class_`` and ``aria_label`` lose or change their underscores. Names come from our code.
    """
    opening = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{opening}>")
    return Markup(f"<{name}{opening}>{render(children)}</{name}>")


def render(child: Child) -> Markup:
    """Return children one after the other; plain text is escaped."""
    if child is None:
        return Markup()
    if isinstance(child, Markup):
        return child
    if isinstance(child, str | int):
        return Markup(html.escape(str(child)))
    return Markup("".join(map(render, child)))


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
