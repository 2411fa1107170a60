"""A model's card as Markdown: what it is, how it was judged, how to load it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from desireline.sidecar.models.description import ModelDescription
from desireline.sidecar.models.records import ModelRecord
from desireline.sidecar.reports.cycle_report import Interval
from desireline.trainer.model_settings import MODULES

#: A name that needs no quotes in the head of a card.
_NAME = re.compile(r"[A-Za-z0-9][\w.+ -]{0,60}", re.ASCII)
CLICKS = (
    "Measured on held-out clicks, corrected for position; clicks are weak evidence. Brackets hold"
    " 95 % bootstrap intervals over queries."
)


def model_card(record: ModelRecord) -> str:
    """Return the card as Markdown; it holds no query, no document and no client."""
    model = ModelDescription(record=record)
    files = record.manifest.files
    sections = [
        _front_matter(model),
        f"# {_plain(model.title)}",
        _table(("", ""), ((fact.name, fact.text) for fact in model.facts)),
        "## How it was judged",
        *_judged(model),
        "## Where it served",
        _list(model.served, nothing="Nowhere yet."),
        "## How to load it",
        *_loading(model),
        "## Files",
        _table(
            ("file", "bytes", "SHA-256"),
            ((name, f"{file.bytes:,}", file.sha256) for name, file in files.items()),
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(model: ModelDescription) -> str:
    trained = MODULES in model.record.manifest.files
    library = "library_name: sentence-transformers\n" if trained else "library_name: onnx\n"
    found = model.licence
    licence = f"license: {found}\n" if found and _NAME.fullmatch(found) else ""
    return f"---\n{library}{licence}pipeline_tag: sentence-similarity\ntags: [desireline]\n---"


def _judged(model: ModelDescription) -> Iterator[str]:
    yield f"{_plain(model.judgement)}."
    if not model.measures:
        return
    names = list(next(iter(model.measures.values())))
    rows = [(ranker, *map(_cell, _in_order(row, names))) for ranker, row in model.measures.items()]
    gains = _in_order(model.gain, names)
    rows.append(("candidate minus incumbent", *(_cell(each, "+.3f") for each in gains)))
    yield _table(("", *names), rows)
    yield CLICKS


def _loading(model: ModelDescription) -> Iterator[str]:
    for step in model.loading("this folder"):
        if step.sentence:
            yield _plain(step.sentence)
        if step.code:
            yield f"```{step.language}\n{step.code}\n```"


def _in_order(row: Mapping[str, Interval], names: Sequence[str]) -> list[Interval | None]:
    return [row.get(name) for name in names]


def _cell(interval: Interval | None, form: str = ".3f") -> str:
    if interval is None:
        return ""
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(_plain, line))} |" for line in lines)


def _plain(text: str) -> str:
    """Keep a text in its place, whatever a stranger calls a field, a model or a licence.

    It ends no cell, begins no element of HTML, and becomes no link.
    """
    told = text.replace("|", "\\|").replace("<", "&lt;").replace("](", "]\\(")
    return " ".join(told.split())


def _list(lines: Iterable[str], *, nothing: str) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines) or nothing
