"""What a model is and what it was made from, line by line, and how its files are loaded."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from desireline.sidecar.models.records import ModelRecord
from desireline.trainer.model_files import GRAPH
from desireline.trainer.model_settings import MODULES
from desireline.trainer.models.manifest import Manifest

#: Digits by which people tell models apart.
SHORT = 12
#: What of an encoder a mode trains.
_TRAINED = {
    "adapter": "a map on the query vectors (adapter)",
    "bridge": "a map from new queries to old vectors (bridge)",
    "query": "the query tower (query)",
    "lora": "low-rank changes of all layers (lora)",
    "full": "all weights (full)",
    "small": "a compact encoder from the start (small)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line about a model; it may name another one."""

    name: str
    text: str
    #: Fingerprint of the model that the text names, in full or by its first digits.
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingStep:
    """One step of loading a model: what to know, then what to type."""

    #: Words between backticks are code.
    sentence: str = ""
    code: str = ""
    language: str = ""


def facts(record: ModelRecord) -> Iterator[Fact]:
    """Yield what a model is and what it was made from."""
    licence = licence_of(record)
    manifest, made = record.manifest, record.manifest.provenance
    base = base_name(manifest)
    yield Fact(name="fingerprint", text=manifest.fingerprint)
    code = made.code_version or "unknown"
    yield Fact(name="made", text=f"{day(manifest.created_at)}, desireline {code}")
    line = " from ".join(map(_named, (manifest, *record.lineage)))
    yield Fact(name="line", text=line)
    if manifest.documents is not None:
        text = f"queries alone; documents by the model {manifest.documents}"
        yield Fact(name="encodes", text=text, model=manifest.documents)
    told = f"{licence}, that of {base}" if licence else f"not known; see {base}"
    yield Fact(name="licence", text=told)
    first = record.lineage[-1].fingerprint if record.lineage else ""
    yield Fact(name="base", text=f"{base}, the model {first}" if first else base, model=first)
    if made.parent is not None and made.mode in _TRAINED:
        yield Fact(name="trained", text=_TRAINED[made.mode])
    yield Fact(name="weights", text=made.precision)
    settings = manifest.settings
    yield Fact(name="dimension", text=f"{manifest.dimension}, {settings.similarity}")
    limit = settings.max_seq_length
    yield Fact(name="reads", text=f"at most {limit} tokens" if limit else "texts of any length")
    yield Fact(name="document", text=manifest.template.separator.join(manifest.template.fields))
    yield from _taught(manifest)


def _taught(manifest: Manifest) -> Iterator[Fact]:
    made = manifest.provenance
    if made.mode == "small":
        yield Fact(name="made for", text="this catalogue, compact, of its own words")
        teacher = f"the model {made.teacher[:SHORT]}" if made.teacher else "no model"
        yield Fact(name="taught by", text=teacher, model=made.teacher or "")
    if made.data_window is not None:
        first, last = map(day, made.data_window)
        yield Fact(name="learned from", text=f"clicks of {first} to {last}, {_pairs(made.pairs)}")
    elif made.parent is not None and made.precision != "int8":
        yield Fact(name="learned from", text=f"documents alone, {_pairs(made.pairs)}")
    if made.seed is not None:
        yield Fact(name="seed", text=str(made.seed))


def loading_steps(manifest: Manifest, folder: str) -> Iterator[LoadingStep]:
    """Yield how a model's files are loaded once they lie in this folder."""
    if MODULES in manifest.files:
        yield LoadingStep(
            code="from sentence_transformers import SentenceTransformer\n\n"
            f'model = SentenceTransformer("{folder}")',
            language="python",
        )
    if manifest.documents is not None:
        yield LoadingStep(
            sentence="It encodes queries. Documents are encoded by another model, to be exported,"
            f" too: `desireline models export {manifest.documents[:SHORT]} FOLDER`."
        )
    yield LoadingStep(
        sentence=f"`{GRAPH}` takes `input_ids` and `attention_mask` of `tokenizer.json` and gives"
        " one vector a text; ONNX Runtime runs it without torch."
    )
    prompts = manifest.settings.prompts
    if prompts.query or prompts.document:
        yield LoadingStep(
            sentence=f"Put {prompts.query!r} before a query and {prompts.document!r} before a"
            " document."
        )


def licence_of(record: ModelRecord) -> str | None:
    """Return the licence of the nearest model in the line that has one: what is tuned keeps it."""
    line = (record.manifest, *record.lineage)
    return next((each.provenance.licence for each in line if each.provenance.licence), None)


def base_name(manifest: Manifest) -> str:
    """Name the encoder it all started from; of a folder, without the folders above it."""
    path = PurePath(manifest.provenance.base_model)
    return path.name if path.is_absolute() else manifest.provenance.base_model


def day(at: datetime) -> str:
    """Return the day of a moment."""
    return f"{at:%Y-%m-%d}"


def _named(manifest: Manifest) -> str:
    return f"{manifest.fingerprint[:SHORT]} ({day(manifest.created_at)})"


def _pairs(count: int) -> str:
    return f"{count:,} pair{'' if count == 1 else 's'}"
