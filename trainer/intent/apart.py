"""Lessons go to the child process in a file, and the head comes back in another."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from desireline.connectors.documents import Vectors
from desireline.trainer.intent.head import IntentHead
from desireline.trainer.intent.learning import Lesson, learn_head
from desireline.trainer.intent.lessons import IntentLessons
from desireline.trainer.jobs import IntentJob

_PARTS = ("vectors", "shares", "weights", "trust")


def write_lessons(path: Path, lessons: IntentLessons, vectors: Vectors) -> None:
    """Write what `learn_apart` reads; no text is among it.

    Args:
        path: of the file.
        lessons: queries and titles.
        vectors: of `lessons.texts`, in that order.

    """
    count = len(lessons.queries)
    queries = Lesson(
        vectors=vectors[:count],
        shares=lessons.of_queries,
        weights=lessons.weights,
        trust=lessons.trust,
    )
    certain = np.ones(len(lessons.titles), dtype=np.float32)
    titles = Lesson(
        vectors=vectors[count:], shares=lessons.of_titles, weights=certain, trust=certain
    )
    parts = {"queries": queries, "titles": titles}
    save_file(
        {
            f"{name}.{part}": np.ascontiguousarray(getattr(lesson, part))
            for name, lesson in parts.items()
            for part in _PARTS
        },
        path,
    )


def learn_apart(job: IntentJob) -> dict[str, object]:
    """Do the job; the weights lie beside the lessons, what else the head is comes back."""
    held = load_file(job.lessons)
    queries, titles = (
        Lesson(**{part: held[f"{name}.{part}"] for part in _PARTS})
        for name in ("queries", "titles")
    )
    learned = learn_head(
        queries, titles, encoder=job.encoder, categories=job.categories, seed=job.seed
    )
    head = learned.head
    save_file({"weights": head.weights, "bias": head.bias}, _beside(job.lessons))
    return {
        "temperature": head.temperature,
        "penalty": learned.penalty,
        "titles": learned.titles,
        "taught": learned.taught,
        "kept_apart": learned.kept_apart,
    }


def read_head(job: IntentJob, result: dict[str, object]) -> IntentHead:
    """Put together what `learn_apart` wrote and said."""
    held = load_file(_beside(job.lessons))
    return IntentHead(
        encoder=job.encoder,
        categories=job.categories,
        weights=held["weights"],
        bias=held["bias"],
        temperature=float(str(result["temperature"])),
    )


def _beside(lessons: Path) -> Path:
    return lessons.with_name("head.safetensors")
