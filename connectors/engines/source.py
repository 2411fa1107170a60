"""An application's document as a JSON object: read, change and describe its fields."""

from collections.abc import Iterator, Mapping, Sequence

from desireline.connectors.search_engine import Within


def pick(source: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """Return the named fields that are present; `a.b` reaches into the object `a`."""
    picked = {}
    for name in names:
        value = look_up(source, name)
        if value is not None:
            picked[name] = value
    return picked


def look_up(source: Mapping[str, object], name: str) -> object:
    """Return the value at a dotted path, or None."""
    if name in source:
        return source[name]
    head, dot, rest = name.partition(".")
    inner = source.get(head)
    return look_up(inner, rest) if dot and isinstance(inner, Mapping) else None


def holds(source: Mapping[str, object], within: Within) -> bool:
    """Whether a field holds one of the values, as it is or in a list."""
    value = look_up(source, within.field)
    held = value if isinstance(value, list | tuple) else [value]
    return any(str(each) in within.values for each in held if isinstance(each, str | int))


def merge(source: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Return the document after a partial update: objects are merged, all else replaced."""
    merged = dict(source)
    for name, value in changes.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def text_of(value: object) -> str:
    """Return the words of a field: lists are joined, nothing is the empty text."""
    if value is None or isinstance(value, Mapping):
        return ""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(filter(None, map(text_of, value)))
    return str(value)


def field_types(source: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted path and the type of every field that has a value."""
    for name, value in source.items():
        first = value[0] if isinstance(value, list | tuple) and value else value
        if isinstance(first, Mapping):
            yield f"{prefix}{name}", "object"
            yield from field_types(first, f"{prefix}{name}.")
        elif first is not None:
            yield f"{prefix}{name}", _type_of(first)


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "long"
    return "double" if isinstance(value, float) else "text"
