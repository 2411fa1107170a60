"""What the rows were made of, beside them: for programs and for people. No date, no path."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAIRS, CARD, README = "pairs.ndjson", "card.json", "README.md"


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write the card twice, as JSON and as a page."""
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    (folder / CARD).write_text(text, encoding="utf-8")
    (folder / README).write_text(_page(card), encoding="utf-8")


def read_card(folder: Path) -> dict[str, Any] | None:
    """Return the card of a folder; None where there is none that can be read."""
    try:
        found = json.loads((folder / CARD).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _page(card: Mapping[str, Any]) -> str:
    models = [*card["relation_miners"], card["cross_encoder"]]
    if card["query_writer"]:
        models.append(card["query_writer"])
    lines = [
        "# Rows with a teacher's margins",
        "",
        f"{card['sentence']}",
        "",
        "These rows are synthetic: no person judged them. The margins are a cross-encoder's.",
        "",
        f"- file: `{PAIRS}`, SHA-256 `{card['sha256']}`",
        f"- documents: {_source(card['documents'])}",
        f"- queries: {_source(card['queries'])}",
        *(f"- {one['role']}: {one['name']}, `{one['fingerprint']}`" for one in models),
        f"- settings: `{json.dumps(card['settings'], sort_keys=True)}`",
        f"- margins: mean {card['margins']['mean']:.4f}, standard deviation"
        f" {card['margins']['deviation']:.4f}",
        "",
        f"    desireline fit --train {PAIRS} --loss MarginMSELoss --out tuned",
        "",
    ]
    return "\n".join(lines)


def _source(source: Mapping[str, Any]) -> str:
    named = f"{source['name']}, {source['rows']:,} rows"
    return f"{named}, SHA-256 `{source['sha256']}`" if source["sha256"] else named
