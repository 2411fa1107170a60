"""A model's card: what it is, what it learned from, how it was judged, how to load it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import PurePath

from desireline.sidecar.models.records import ModelRecord
from desireline.sidecar.reports.cycle_report import CycleReport, Interval
from desireline.trainer.model_files import GRAPH
from desireline.trainer.model_settings import MODULES
from desireline.trainer.models.manifest import Manifest

#: Digits by which people tell models apart.
SHORT = 12
#: A name that needs no quotes in the head of a card.
_NAME = re.compile(r"[A-Za-z0-9][\w.+ -]{0,60}", re.ASCII)
#: What of an encoder a mode trains.
_TRAINED = {
    "adapter": "a map on the query vectors (adapter)",
    "bridge": "a map from new queries to old vectors (bridge)",
    "query": "the query tower (query)",
    "lora": "low-rank changes of all layers (lora)",
    "full": "all weights (full)",
    "small": "a compact encoder from the start (small)",
}
_CLICKS = (
    "Measured on held-out clicks, corrected for position; clicks are weak evidence. Brackets hold"
    " 95 % bootstrap intervals over queries."
)


def model_card(record: ModelRecord) -> str:
    """Return the card as Markdown; it holds no query, no document and no client."""
    manifest = record.manifest
    sections = [
        _front_matter(record),
        f"# {_plain(_base(manifest))}"
        + (", tuned by desireline" if manifest.provenance.parent else ""),
        _table(("", ""), _facts(record)),
        "## How it was judged",
        *_judged(record),
        "## Where it served",
        _list(
            (
                f"{g.target}: generation {g.number}, {g.state}, since {_day(g.created_at)}"
                for g in record.generations
            ),
            nothing="Nowhere yet.",
        ),
        "## How to load it",
        *_loading(manifest),
        "## Files",
        _table(
            ("file", "bytes", "SHA-256"),
            ((name, f"{file.bytes:,}", file.sha256) for name, file in manifest.files.items()),
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(record: ModelRecord) -> str:
    trained = MODULES in record.manifest.files
    library = "library_name: sentence-transformers\n" if trained else "library_name: onnx\n"
    found = _licence_of(record)
    licence = f"license: {found}\n" if found and _NAME.fullmatch(found) else ""
    return f"---\n{library}{licence}pipeline_tag: sentence-similarity\ntags: [desireline]\n---"


def _facts(record: ModelRecord) -> Iterator[tuple[str, str]]:
    manifest, made = record.manifest, record.manifest.provenance
    yield "fingerprint", manifest.fingerprint
    yield "made", f"{_day(manifest.created_at)}, desireline {made.code_version or 'unknown'}"
    yield "line", " from ".join(map(_named, (manifest, *record.lineage)))
    if manifest.documents is not None:
        yield "encodes", f"queries alone; documents by the model {manifest.documents}"
    yield "licence", _licence(record)
    yield "base", f"{_base(manifest)}{_first_of(record)}"
    if made.parent is not None and made.mode in _TRAINED:
        yield "trained", _TRAINED[made.mode]
    yield "weights", made.precision
    yield "dimension", f"{manifest.dimension}, {manifest.settings.similarity}"
    yield "reads", f"at most {manifest.settings.max_seq_length or 'any number of'} tokens"
    yield "document", manifest.template.separator.join(manifest.template.fields)
    if made.mode == "small":
        yield "made for", "this catalogue, compact, of its own words"
        yield "taught by", f"the model {made.teacher[:SHORT]}" if made.teacher else "no model"
    if made.data_window is not None:
        first, last = map(_day, made.data_window)
        yield "learned from", f"clicks of {first} to {last}, {made.pairs:,} pairs"
    elif made.parent is not None and made.precision != "int8":
        yield "learned from", f"documents alone, {made.pairs:,} pairs"
    if made.seed is not None:
        yield "seed", str(made.seed)


def _base(manifest: Manifest) -> str:
    """Name the encoder it all started from; of a folder, without the folders above it."""
    path = PurePath(manifest.provenance.base_model)
    return path.name if path.is_absolute() else manifest.provenance.base_model


def _first_of(record: ModelRecord) -> str:
    """Name the registered model that the line begins with, unless it is this one."""
    return f", the model {record.lineage[-1].fingerprint}" if record.lineage else ""


def _licence(record: ModelRecord) -> str:
    found, base = _licence_of(record), _base(record.manifest)
    return f"{found}, that of {base}" if found else f"not known; see {base}"


def _licence_of(record: ModelRecord) -> str | None:
    """Return the licence of the nearest model in the line that has one: what is tuned keeps it."""
    line = (record.manifest, *record.lineage)
    return next((each.provenance.licence for each in line if each.provenance.licence), None)


def _judged(record: ModelRecord) -> Iterator[str]:
    report = record.judged
    if report is None:
        yield _tried(record)
        return
    yield f"{_of_cycle(report)}: {_verdict(record, report)}."
    if not report.measures:
        return
    names = list(next(iter(report.measures.values())))
    rows = [(ranker, *map(_cell, _in_order(row, names))) for ranker, row in report.measures.items()]
    gains = _in_order(report.gain, names)
    rows.append(("candidate minus incumbent", *(_cell(each, "+.3f") for each in gains)))
    yield _table(("", *names), rows)
    yield _CLICKS


def _tried(record: ModelRecord) -> str:
    """Say how a model did that was tried beside others, and whose numbers were not kept."""
    made_in = record.manifest.provenance.cycle_id
    if record.tried is None and made_in is None:
        return "No gate has judged it."
    if record.tried is None:
        return f"How the cycle {made_in} judged it is not known here."
    report, rung = record.tried
    return f"{_of_cycle(report)}, tried as {rung.mode} beside other modes: {_plain(rung.reason)}."


def _verdict(record: ModelRecord, report: CycleReport) -> str:
    """Return the gate's sentence on this model: a night that tries several modes has several."""
    if record.tried is not None and record.tried[0].cycle == report.cycle:
        rung = record.tried[1]
        decided = "promote" if rung.promote else "keep the incumbent"
        return f"{decided}: {_plain(rung.reason)}"
    gate = [step.sentence for step in report.steps if step.name == "gate"]
    return _plain((gate or [report.reason])[-1])


def _of_cycle(report: CycleReport) -> str:
    return f"{_day(report.started_at)}, target {report.target}, cycle {report.cycle}"


def _loading(manifest: Manifest) -> Iterator[str]:
    if MODULES in manifest.files:
        yield (
            "```python\nfrom sentence_transformers import SentenceTransformer\n\n"
            'model = SentenceTransformer("this folder")\n```'
        )
    if manifest.documents is not None:
        yield (
            "It encodes queries. Documents are encoded by another model, to be exported, too:"
            f" `desireline models export {manifest.documents[:SHORT]} FOLDER`."
        )
    prompts = manifest.settings.prompts
    yield (
        f"`{GRAPH}` takes `input_ids` and `attention_mask` of `tokenizer.json` and gives one vector"
        " a text; ONNX Runtime runs it without torch."
    )
    if prompts.query or prompts.document:
        yield f"Put {prompts.query!r} before a query and {prompts.document!r} before a document."


def _named(manifest: Manifest) -> str:
    return f"{manifest.fingerprint[:SHORT]} ({_day(manifest.created_at)})"


def _in_order(row: dict[str, Interval], names: Sequence[str]) -> list[Interval | None]:
    return [row.get(name) for name in names]


def _cell(interval: Interval | None, form: str = ".3f") -> str:
    if interval is None:
        return ""
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(_plain, line))} |" for line in lines)


def _plain(cell: str) -> str:
    """Keep a cell in its place, whatever a field of an index or a model is called."""
    return " ".join(cell.replace("|", "\\|").split())


def _list(lines: Iterable[str], *, nothing: str) -> str:
    return "\n".join(f"- {line}" for line in lines) or nothing


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
