"""One candidate: trained in one mode in a child process, and registered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from desireline.sidecar.errors import IntentError
from desireline.sidecar.intent.catalogue import read_catalogue
from desireline.sidecar.judging.examination import document_texts
from desireline.sidecar.learning.documents_alone import Teaching
from desireline.sidecar.reports.cycle_report import Diary
from desireline.sidecar.target import Target
from desireline.trainer.documents.catalogue import Catalogue
from desireline.trainer.documents.vectors import DocumentVectors, choose_documents
from desireline.trainer.jobs import LEAVE_DOCUMENTS, FitConfig, FitJob, TrainedMode
from desireline.trainer.models.manifest import Manifest, Provenance
from desireline.trainer.pairs import PairSet
from desireline.trainer.query_vectors import QueryVectors
from desireline.trainer.self_supervised_config import write_texts
from desireline.trainer.sessions import Sessions

#: A query side learns against no more document vectors than these and those of its pairs.
_MOST_VECTORS = 20_000
_TEXTS = "texts.parquet"
_QUERIES = "queries.safetensors"
#: A compact encoder learns the words of no more documents than these and those of its pairs.
_MOST_DOCUMENTS = 100_000
#: Share of a compact encoder's budget that its teacher may take.
_TEACHER = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where training begins, by fingerprint; the same each night.

    What a user did leaves the encoder when it leaves the window of the log.
    """

    #: The encoder named by the configuration, for modes that change documents too.
    base: str
    #: The encoder of the documents that are live, for modes that leave them alone: its own query
    #: side, never that of a model trained over it.
    documents: str

    @classmethod
    def of(cls, target: Target, *, base: str, incumbent: str) -> "Start":
        """Look up whose documents the incumbent searches."""
        return cls(base=base, documents=target.registry.get(incumbent).documents or incumbent)

    def of_mode(self, mode: TrainedMode) -> str:
        """Return the encoder that a mode begins with."""
        return self.documents if mode in LEAVE_DOCUMENTS else self.base


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A registered encoder that was trained."""

    fingerprint: str
    mode: TrainedMode
    #: What training took.
    seconds: float
    #: Whether it searches the vectors that are there.
    leaves_documents: bool


def train(
    target: Target,
    teaching: Teaching,
    start: Start,
    diary: Diary,
    *,
    mode: TrainedMode,
    budget_s: float | None,
) -> Candidate:
    """Fit a candidate and register it.

    Raises:
        WorkerError: training failed; nothing was registered.

    """
    if target.privacy is not None:
        target.privacy.trained_on.keep(
            diary.cycle,
            queries=teaching.sessions.frame.get_column("query").unique(),
            clients=teaching.sessions.frame.get_column("client").unique(),
        )
    teacher = _teacher(target, teaching, start, diary, mode=mode, budget_s=budget_s)
    if teacher.seconds and budget_s is not None:
        budget_s = max(1.0, budget_s - teacher.seconds)
    config = target.config.tune.fit_config.model_copy(update={"mode": mode, "budget_s": budget_s})
    # Beside the models: what a killed process leaves is found there, and swept.
    with target.registry.workspace() as folder:
        teaching.pairs.write(Path(folder, "pairs"))
        if config.leaves_documents:
            vectors = _vectors(target, start.documents, teaching.pairs)
            vectors.write(Path(folder, "vectors"))
        queries = _known_queries(target, teaching, start) if mode == "adapter" else None
        if queries is not None:
            queries.write(Path(folder, _QUERIES))
        if mode == "small":
            catalogue = _catalogue(target, config, start.base, teaching.pairs)
            catalogue.write(Path(folder, "catalogue"))
        learned_from = _provenance(
            target, teaching, start, diary, mode=mode, teacher=teacher.fingerprint
        )
        if config.reads_texts:
            write_texts(_texts(target, teaching, start), Path(folder, _TEXTS))
        result = target.worker.run(_job(target, config, folder, start, learned_from), diary)
    fingerprint = str(result["fingerprint"])
    if target.privacy is not None:
        target.privacy.trained_on.made(diary.cycle, fingerprint)
    diary.step(
        "fit",
        f"{mode}: candidate {fingerprint[:12]} from {len(teaching.pairs.pairs):,} pairs:"
        f" {result['sentence']}",
        candidate=fingerprint,
    )
    return Candidate(
        fingerprint=fingerprint,
        mode=mode,
        seconds=teacher.seconds + float(result["seconds"]),
        leaves_documents=config.leaves_documents,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Teacher:
    """Who teaches a compact encoder; nobody teaches any other."""

    fingerprint: str | None = None
    #: What its own training took tonight.
    seconds: float = 0.0


def _teacher(
    target: Target,
    teaching: Teaching,
    start: Start,
    diary: Diary,
    *,
    mode: TrainedMode,
    budget_s: float | None,
) -> _Teacher:
    """Choose the teacher, and tune it first where the configuration says so.

    It begins with the configured encoder, never with the one that serves: a compact encoder of
    last night as tonight's teacher would hand on what users did beyond the window of the log.
    """
    small = target.config.tune.fit.small
    if mode != "small" or small.teacher == "none":
        return _Teacher()
    if small.teacher == "base":
        return _Teacher(fingerprint=start.base)
    share = None if budget_s is None else _TEACHER * budget_s
    tuned = train(target, teaching, start, diary, mode="full", budget_s=share)
    return _Teacher(fingerprint=tuned.fingerprint, seconds=tuned.seconds)


def _provenance(
    target: Target,
    teaching: Teaching,
    start: Start,
    diary: Diary,
    *,
    mode: TrainedMode,
    teacher: str | None,
) -> Provenance:
    parent = start.of_mode(mode)
    return Provenance(
        base_model=target.registry.get(parent).provenance.base_model,
        parent=parent,
        mode=mode,
        teacher=teacher,
        cycle_id=diary.cycle,
        data_window=_window(teaching.sessions),
        seed=target.config.tune.seed,
        code_version=version("desireline"),
        pairs=len(teaching.pairs.pairs),
    )


def _job(
    target: Target, config: FitConfig, folder: Path, start: Start, provenance: Provenance
) -> FitJob:
    manifest = target.registry.get(start.of_mode(config.mode))
    base = _with_weights(manifest)
    stay = config.leaves_documents
    return FitJob(
        base=target.registry.folder(base),
        pairs=Path(folder, "pairs"),
        out=Path(folder, "candidate"),
        registry=target.registry.root,
        template=manifest.text_template.fields,
        separator=manifest.text_template.separator,
        similarity=manifest.settings.similarity,
        config=config,
        documents=start.documents if stay else None,
        vectors=Path(folder, "vectors") if stay else None,
        encoder=base,
        queries=Path(folder, _QUERIES) if Path(folder, _QUERIES).exists() else None,
        catalogue=Path(folder, "catalogue") if config.mode == "small" else None,
        teacher=target.registry.folder(provenance.teacher) if provenance.teacher else None,
        texts=Path(folder, _TEXTS) if config.reads_texts else None,
        general=str(target.config.gate.general) if target.config.gate.general else None,
        general_tolerance=target.config.gate.general_tolerance,
        provenance=provenance,
    )


def _texts(target: Target, teaching: Teaching, start: Start) -> tuple[str, ...]:
    """Return what an encoder may read before the pairs: what teaches, or all documents."""
    if teaching.texts is not None:
        return teaching.texts
    return tuple(each.text for each in document_texts(target, start.base).values())


def _with_weights(manifest: Manifest) -> str:
    """Return what can be trained on from: an int8 form has no weights, but its parent has."""
    provenance = manifest.provenance
    quantised = provenance.precision == "int8" and provenance.parent is not None
    return str(provenance.parent) if quantised else manifest.fingerprint


def _known_queries(target: Target, teaching: Teaching, start: Start) -> QueryVectors | None:
    """Return what the encoder that an adapter is put on has made of queries already, if it has.

    Where an adapter serves, it was that one which was asked.
    """
    base = _with_weights(target.registry.get(start.documents))
    known = teaching.queries
    return known if known is not None and known.encoder == base else None


def _vectors(target: Target, fingerprint: str, pairs: PairSet) -> DocumentVectors:
    """Return the vectors of the documents that the pairs name, and of others, up to a number."""
    texts = {
        name: document.text
        for name, document in document_texts(target, fingerprint).items()
        if document.text
    }
    needed = {
        passage.document_id
        for pair in pairs.pairs
        for passage in (pair.positive, *pair.negatives)
        if passage.document_id in texts
    }
    seed = target.config.tune.seed
    names = choose_documents(list(texts), needed, most=_MOST_VECTORS, seed=seed)
    vectors = target.encoder(fingerprint).encode_documents([texts[name] for name in names])
    return DocumentVectors(document_ids=tuple(names), vectors=vectors)


def _catalogue(target: Target, config: FitConfig, fingerprint: str, pairs: PairSet) -> Catalogue:
    """Return the documents that have text, those of the pairs first, up to a number."""
    found = {
        name: document
        for name, document in document_texts(target, fingerprint).items()
        if document.text
    }
    needed = {pair.positive.document_id for pair in pairs.pairs} & found.keys()
    seed = target.config.tune.seed
    names = choose_documents(list(found), needed, most=_MOST_DOCUMENTS, seed=seed)
    known = _categories(target, config)
    return Catalogue(
        documents={name: found[name] for name in names},
        categories={name: known[name] for name in names if name in known},
    )


def _categories(target: Target, config: FitConfig) -> Mapping[str, tuple[str, ...]]:
    """Return the documents' categories, where the encoder is to learn what queries mean.

    Where they cannot be read it learns without: the night's line `intent` says why.
    """
    if target.config.intent.category is None or not config.small.intent_weight:
        return {}
    try:
        return read_catalogue(target).categories
    except IntentError:
        return {}


def _window(sessions: Sessions) -> tuple[datetime, datetime] | None:
    first, last = sessions.health.first, sessions.health.last
    return None if first is None or last is None else (first, last)
