"""Which fields of an index are likely its text, judged by type and name."""

from collections.abc import Mapping

_FIRST = ("title", "name", "headline", "subject", "label")
_LATER = ("description", "summary", "abstract", "body", "text", "content")
_MOST = 4


def propose_text_fields(types: Mapping[str, str]) -> list[str]:
    """Return up to four text fields, titles first and boosted, as ``targets.….text`` takes them."""
    texts = [name for name, kind in types.items() if kind in {"text", "match_only_text"}]
    ranked = sorted(texts, key=lambda name: (_place(name), texts.index(name)))[:_MOST]
    return [f"{name}^2" if _place(name) < len(_FIRST) else name for name in ranked]


def _place(name: str) -> int:
    """Rank a field by the last part of its name; unknown names come last."""
    words = (*_FIRST, *_LATER)
    last = name.rpartition(".")[2].lower()
    return next((at for at, word in enumerate(words) if word in last), len(words))
