"""A compact encoder of the catalogue's own words, made from nothing or from a teacher.

First the words: those of the documents and of the queries that may be learned from. Then
pre-training, by tasks that the documents give and by the teacher's vectors. Then the clicked pairs,
for the documents that answer a query and, where asked for, for the category that it means. A
transformer goes through both stages twice: as a table of words, which learns cheaply, and with
layers over that table. All stages go through the loop that every other mode uses.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
import torch
from sentence_transformers import SentenceTransformer

from desireline.trainer.compact.building import build
from desireline.trainer.compact.deepening import deepened
from desireline.trainer.compact.meaning import Meant
from desireline.trainer.compact.tasks import joined, pairs_of_documents
from desireline.trainer.compact.teacher import Teacher
from desireline.trainer.compact.teaching import Shares, Taught, loss_maker
from desireline.trainer.compact.vocabulary import Vocabulary
from desireline.trainer.documents.catalogue import Catalogue
from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig, FitJob, SmallConfig
from desireline.trainer.pairs import PairSet
from desireline.trainer.training.tuned import Progress, Tuned, save_encoder
from desireline.trainer.training.tuning import tune_pairs

log = structlog.get_logger(__name__)

#: Share of the time that is left when pre-training begins, and that it may take.
_PRETRAINING = 0.6
#: Share of the time that a transformer's table of words may take in all.
_TABLE = 0.4
#: Tokens of a document that training reads at least: its own tokens are longer than a teacher's.
_DOCUMENT_TOKENS = 64
#: What counts beside a teacher's vectors, in pre-training and in tuning.
_TAUGHT = Shares(answers=0.3, vectors=1.0, order=1.0)
_TUNED = Shares(answers=1.0, vectors=0.5, order=1.0)
#: What masked words count.
_MASKED = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """What a compact encoder learns from."""

    catalogue: Catalogue
    pairs: PairSet
    #: What the documents give by themselves, and the pairs where there is a teacher.
    tasks: PairSet
    teacher: Teacher | None

    @classmethod
    def of(cls, job: FitJob) -> "_Sources":
        assert job.catalogue is not None, "the job was validated"
        catalogue, pairs = Catalogue.read(job.catalogue), PairSet.read(job.pairs)
        threads = job.config.threads
        teacher = Teacher(job.teacher, threads=threads) if job.teacher else None
        tasks = pairs_of_documents(catalogue, job.config.small, pairs, seed=job.config.seed)
        # Whoever has a teacher learns of every query what it says, the users' own among them.
        return cls(
            catalogue=catalogue,
            pairs=pairs,
            tasks=joined(tasks, pairs) if teacher else tasks,
            teacher=teacher,
        )

    def meant(self, weight: float) -> Meant | None:
        """Return what queries mean, where that counts and documents have categories."""
        return Meant.of(self.pairs.pairs, self.catalogue.categories) if weight else None

    def vocabulary(self, most: int) -> Vocabulary:
        """Count the words of documents and queries."""
        texts = [each.text for each in self.catalogue.documents.values()]
        anchors = dict.fromkeys(pair.anchor for pair in self.pairs.pairs)
        words = self.teacher.words if self.teacher else []
        return Vocabulary.of([*texts, *anchors], most=most, borrowed=words)

    def taught(self) -> Taught | None:
        """Ask the teacher about every text of the tasks and pairs."""
        if self.teacher is None:
            return None
        known = (*self.tasks.pairs, *self.pairs.pairs)
        passages = (one for pair in known for one in (pair.positive, *pair.negatives))
        return Taught(
            queries=self.teacher.queries(pair.anchor for pair in known),
            documents=self.teacher.documents(passage.text for passage in passages),
        )


def train(
    job: FitJob,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Make, pre-train and tune a compact encoder; see `Mode`.

    Raises:
        TrainerError: beside what a mode raises, if it would be too large to be compact.

    """
    if job.out.exists():
        raise TrainerError(f"{job.out} exists already; a trained encoder is never written over")
    started = clock()
    sources = _Sources.of(job)
    small = job.config.small
    with tempfile.TemporaryDirectory(prefix="desireline-small-") as name:
        vocabulary = sources.vocabulary(small.vocabulary)
        begun = _begin(job, sources, vocabulary, Path(name, "begun"))
        stages = _Stages(
            config=job.config,
            sources=sources,
            taught=sources.taught(),
            meant=sources.meant(small.intent_weight),
            started=started,
            clock=clock,
            progress=progress,
        )
        if small.kind == "static":
            tuned = stages.go_through(_words(small), begun, job.out)
        else:
            table = stages.go_through(_words(small), begun, Path(name, "table"))
            deep = _deepen(job, table.folder, vocabulary, Path(name, "deep"))
            tuned = stages.go_through(_layers(small), deep, job.out)
            tuned = replace(tuned, first=f"words: {table.sentence}; layers: {tuned.first}")
    return replace(tuned, seconds=clock() - started)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """What is learned through both stages: words, or the layers over them."""

    passes: float
    #: Learning rates of pre-training and of tuning, at their peak.
    rates: tuple[float, float]
    #: Share of the whole budget at which it ends.
    ends: float
    masked: float = 0.0


def _words(small: SmallConfig) -> _Course:
    ends = 1.0 if small.kind == "static" else _TABLE
    return _Course(passes=small.passes, rates=small.learning_rates, ends=ends)


def _layers(small: SmallConfig) -> _Course:
    rate = small.layer_learning_rate
    masked = _MASKED if "masked" in small.tasks and small.teacher == "none" else 0.0
    passes = small.layer_passes if small.passes else 0.0
    return _Course(passes=passes, rates=(rate, rate), ends=1.0, masked=masked)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stages:
    """Pre-training and tuning, within one budget."""

    config: FitConfig
    sources: _Sources
    taught: Taught | None
    meant: Meant | None
    started: float
    clock: Callable[[], float]
    progress: Progress | None

    def go_through(self, course: _Course, begun: Path, out: Path) -> Tuned:
        """Pre-train and tune what lies in a folder."""
        known = self._pretrain(course, begun)
        tuned = self._tune(course, known.folder if known else begun, out)
        return replace(tuned, first=f"pre-training: {known.sentence}; then " if known else "")

    def _pretrain(self, course: _Course, begun: Path) -> Tuned | None:
        """Learn from the documents, and from the teacher; None where that is left out."""
        small, tasks = self.config.small, self.sources.tasks
        if not course.passes or not tasks.pairs:
            return None
        config = self._config(course, _PRETRAINING).model_copy(
            update={
                "epochs": course.passes,
                "max_steps": small.max_steps,
                "learning_rate": course.rates[0],
                "alike": 1,
                "tuned_share": 1.0,
            }
        )
        shares = replace(_TAUGHT if self.taught else Shares(), masked=course.masked)
        return self._stage(tasks, begun, begun.with_name(f"{begun.name}-known"), config, shares)

    def _tune(self, course: _Course, known: Path, out: Path) -> Tuned:
        """Learn from the clicked pairs."""
        small = self.config.small
        config = self._config(course, 1.0).model_copy(
            update={"epochs": small.tuning_passes, "learning_rate": course.rates[1]}
        )
        shares = replace(_TUNED if self.taught else Shares(), meant=small.intent_weight)
        return self._stage(self.sources.pairs, known, out, config, shares)

    def _stage(
        self, pairs: PairSet, base: Path, out: Path, config: FitConfig, shares: Shares
    ) -> Tuned:
        return tune_pairs(
            pairs,
            base,
            out,
            config,
            progress=self.progress,
            clock=self.clock,
            loss_of=loss_maker(shares, self.taught, self.meant),
        )

    def _config(self, course: _Course, share: float) -> FitConfig:
        """Let all weights train, for a share of the course's time: words are most of the encoder.

        Where nothing is left, a moment is, for one step.
        """
        budget_s = self.config.budget_s
        if budget_s is not None:
            left = self.started + course.ends * budget_s - self.clock()
            budget_s = max(1e-3, share * left)
        return self.config.model_copy(
            update={
                "budget_s": budget_s,
                "least_steps": 1,
                "freeze_token_embeddings": False,
                "frozen_layers": 0,
                "output_dim": None,
                "replay": 0.0,
                "document_tokens": max(self.config.document_tokens, _DOCUMENT_TOKENS),
            }
        )


def _begin(job: FitJob, sources: _Sources, vocabulary: Vocabulary, folder: Path) -> Path:
    """Write the untrained table of words."""
    small = job.config.small
    torch.manual_seed(job.config.seed)
    dimension = small.dimension or _dimension_of(job.base)
    teacher = sources.teacher
    words = teacher.word_vectors(vocabulary, dimension) if teacher else None
    model = build(vocabulary, small, dimension=dimension, words=words)
    model.similarity_fn_name = job.similarity
    return _written(model, vocabulary, folder)


def _deepen(job: FitJob, table: Path, vocabulary: Vocabulary, folder: Path) -> Path:
    """Write the transformer that begins as a trained table of words."""
    torch.manual_seed(job.config.seed)
    model = deepened(load_sentence_transformer(table), vocabulary, job.config.small)
    return _written(model, vocabulary, folder)


def _written(model: SentenceTransformer, vocabulary: Vocabulary, folder: Path) -> Path:
    log.info(
        "compact encoder begun",
        words=len(vocabulary.tokens),
        parameters=sum(each.numel() for each in model.parameters()),
    )
    save_encoder(model, folder)
    return folder


def _dimension_of(base: Path) -> int:
    return int(load_sentence_transformer(base).get_embedding_dimension() or 0)
