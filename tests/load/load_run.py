"""An application writes and searches while its index is embedded again, swapped and reverted.

python tests/load/load_run.py --url URL --writes N --swaps N [--json FILE]
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from load_application import Connection, Found, Hits, Searcher, Writer

from desireline.connectors.documents import Document, TextTemplate, digest
from desireline.connectors.search_engine import Hit, Read
from desireline.sidecar.config import load_config
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.service import running
from desireline.sidecar.wiring import open_sidecar

_WORDS = ("red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer")
#: The application never pauses, so that a run which waited for a quiet node would wait for ever.
_UNTHROTTLED = (
    'throttle = { search_ratio = "off", gentle = "off", cpu = "off", heap = "off", '
    'breaker = "off" }'
)
_PINNED = tuple(f"{a} {b}" for a, b in zip(_WORDS, (*_WORDS[1:], _WORDS[0]), strict=True))
#: Reverts after each re-embedding; each is a swap of its own.
_REVERTS = 24
_FELT_WITHIN_S = 60.0
#: With as many neighbours asked for, Lucene compares with every document of a segment.
_MORE_THAN_THERE_ARE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What the application lived through."""

    seed: int
    seconds: float
    acknowledged: int
    indexed: int
    updated: int
    deleted: int
    refused: int
    unanswered: int
    #: Keys compared with what they may hold, during the run and after it.
    looked_at: int
    lost: int
    resurrected: int
    overwritten: int
    #: Documents at the end whose live vector is not of their present text.
    stale: int
    re_embeddings: int
    cut_overs_and_reverts: int
    searches: int
    failed: int
    empty: int
    mixed: int
    #: Answers in which Lucene's graph missed a document that an exact search finds.
    unreached: int
    generations_that_answered: int
    first_failure: str
    first_mixed: tuple[str, ...]
    #: Seconds of one revert, the catch-up before it included.
    revert_p50_s: float
    revert_p99_s: float

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and no search went wrong."""
        wrong = self.lost + self.resurrected + self.overwritten + self.stale
        wrong += self.failed + self.empty + self.mixed
        return wrong == 0 and self.unreached * 10 <= self.searches and self.searches > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One change of the pointer."""

    re_embedded: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much an application does, and what is done to its index meanwhile."""

    writes: int
    swaps: int
    seed: int
    writers: int = 2
    #: Of each writer.
    keys: int = 800
    #: Operations in one bulk request.
    batch: int = 400
    searchers: int = 1


def run_load(config: Path, models: Sequence[str], url: str, index: str, load: Load) -> LoadReport:
    """Write, search, swap, until there were so many writes and swaps; then judge everything.

    The index must be empty; `models` are two fingerprints of the configured target's registry.
    """
    began = time.monotonic()
    with closing(open_sidecar(load_config(config))) as sidecar:
        engine: Any = sidecar.parts("jobs").engine
        pinned = [
            Document(document_id=f"pinned-{n}", fields={"title": text})
            for n, text in enumerate(_PINNED)
        ]
        engine.index_documents(index, pinned)
        sidecar.reindex("jobs", models[0], SilentReporter())
        enough = threading.Event()
        writers = _writers(url, index, load, enough)
        right = _right_scores(sidecar, models, pinned)
        stop = threading.Event()
        searchers = [
            Searcher(search=_search(sidecar), right=right, stop=stop) for _ in range(load.searchers)
        ]
        with running(sidecar):
            swaps = _hammer(sidecar, models, load, writers, searchers, enough, stop)
        for writer in writers:
            writer.look_at_all()
        return _judge(
            load,
            writers,
            searchers,
            swaps,
            seconds=time.monotonic() - began,
            stale=stale_documents(sidecar, index),
            strangers=_strangers(url, index, writers),
        )


def _writers(url: str, index: str, load: Load, enough: threading.Event) -> list[Writer]:
    def goes_on(acknowledged: int) -> bool:
        return not enough.is_set() or acknowledged < load.writes / load.writers

    return [
        Writer(
            name=f"writer{n}",
            url=url,
            index=index,
            keys=load.keys,
            batch=load.batch,
            seed=load.seed + n,
            goes_on=goes_on,
        )
        for n in range(load.writers)
    ]


def _hammer(
    sidecar: Sidecar,
    models: Sequence[str],
    load: Load,
    writers: Sequence[Writer],
    searchers: Sequence[Searcher],
    enough: threading.Event,
    stop: threading.Event,
) -> list[Swap]:
    writing = [threading.Thread(target=writer.work, daemon=True) for writer in writers]
    searching = [threading.Thread(target=searcher.work, daemon=True) for searcher in searchers]
    for thread in (*writing, *searching):
        thread.start()
    swaps = _swap_on(sidecar, models, load.swaps, writing, enough, searchers)
    stop.set()
    for thread in (*writing, *searching):
        thread.join()
    for writer in writers:
        if writer.failure is not None:
            raise writer.failure
    return swaps


def _judge(
    load: Load,
    writers: Sequence[Writer],
    searchers: Sequence[Searcher],
    swaps: Sequence[Swap],
    *,
    seconds: float,
    stale: int,
    strangers: int,
) -> LoadReport:
    acknowledged: Counter[str] = Counter()
    violations: Counter[str] = Counter(resurrected=strangers)
    for writer in writers:
        acknowledged.update({kind.value: n for kind, n in writer.history.acknowledged.items()})
        violations.update(violation.value for violation in writer.violations.values())
    failures = [failure for searcher in searchers for failure in searcher.failed]
    mixed = [answer for searcher in searchers for answer in searcher.mixed]
    times = sorted(swap.seconds for swap in swaps if not swap.re_embedded)
    return LoadReport(
        seed=load.seed,
        seconds=round(seconds, 1),
        acknowledged=sum(acknowledged.values()),
        indexed=acknowledged["index"],
        updated=acknowledged["update"],
        deleted=acknowledged["delete"],
        refused=sum(writer.history.refused for writer in writers),
        unanswered=sum(writer.history.unanswered for writer in writers),
        looked_at=sum(writer.looked_at for writer in writers),
        lost=violations["lost"],
        resurrected=violations["resurrected"],
        overwritten=violations["overwritten"],
        stale=stale,
        re_embeddings=sum(swap.re_embedded for swap in swaps),
        cut_overs_and_reverts=len(swaps),
        searches=sum(searcher.searches for searcher in searchers),
        failed=len(failures),
        empty=sum(searcher.empty for searcher in searchers),
        mixed=len(mixed),
        unreached=sum(searcher.unreached for searcher in searchers),
        generations_that_answered=len({n for each in searchers for n in each.answers}),
        first_failure=next(iter(failures), ""),
        first_mixed=tuple(mixed[:3]),
        revert_p50_s=round(times[len(times) // 2], 3),
        revert_p99_s=round(times[int(len(times) * 0.99)], 3),
    )


def _swap_on(
    sidecar: Sidecar,
    models: Sequence[str],
    wanted: int,
    writing: Sequence[threading.Thread],
    enough: threading.Event,
    searchers: Sequence[Searcher],
) -> list[Swap]:
    """Re-embed and revert until there were so many swaps and all writes are made."""
    swaps: list[Swap] = []
    model = cycle((models[1], models[0]))
    while any(thread.is_alive() for thread in writing):
        began = time.monotonic()
        sidecar.reindex("jobs", next(model), SilentReporter(), end_hold=True)
        swaps.append(Swap(re_embedded=True, seconds=time.monotonic() - began))
        for _ in range(_REVERTS):
            former = _former(sidecar)
            began = time.monotonic()
            sidecar.revert("jobs", to=former)
            swaps.append(Swap(re_embedded=False, seconds=time.monotonic() - began))
            assert sidecar.live("jobs").number == former
            _wait_for_answers(former, searchers)
        if len(swaps) >= wanted:
            enough.set()
    return swaps


def _former(sidecar: Sidecar) -> int:
    """Return the generation that is not live and stays ready: by name it can be gone to again."""
    found = sidecar.parts("jobs").generations.pointer()
    assert found is not None
    assert found[0].previous is not None
    return found[0].previous


def _wait_for_answers(number: int, searchers: Sequence[Searcher]) -> None:
    """Let every searcher be answered by what has just gone live, so that each swap is felt."""
    before = [searcher.answers[number] for searcher in searchers]
    deadline = time.monotonic() + _FELT_WITHIN_S
    while any(s.answers[number] == n for s, n in zip(searchers, before, strict=True)):
        if time.monotonic() > deadline:
            raise AssertionError(f"generation {number} is live and answers nobody")
        time.sleep(0.002)


def _search(sidecar: Sidecar) -> Callable[[str], Found]:
    engine = sidecar.parts("jobs").engine

    def search(text: str) -> Found:
        live, hits = sidecar.search("jobs", text, 10)

        def exactly() -> Hits:
            return _scored(live.search(engine, text, _MORE_THAN_THERE_ARE))

        return Found(
            number=live.number,
            fingerprint=live.fingerprint,
            hits=_scored(hits),
            exactly=exactly,
        )

    return search


def _scored(hits: Sequence[Hit]) -> Hits:
    return [(hit.document_id, hit.score) for hit in hits]


def _right_scores(
    sidecar: Sidecar, models: Sequence[str], pinned: Sequence[Document]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return, by encoder and query, the score of each document that nobody changes."""
    parts = sidecar.parts("jobs")
    ids = [document.document_id for document in pinned]
    texts = [str(document.fields["title"]) for document in pinned]
    right = {}
    for fingerprint in models:
        encoder = parts.encoders.get(fingerprint)
        scores = encoder.encode_queries(texts) @ encoder.encode_documents(texts).T
        right[fingerprint] = {
            text: dict(zip(ids, map(float, row), strict=True))
            for text, row in zip(texts, scores, strict=True)
        }
    return right


def stale_documents(sidecar: Sidecar, index: str) -> int:
    """Let the follower come to rest and count documents whose live vector is of another text."""
    while sidecar.follow_once("jobs"):
        pass
    parts = sidecar.parts("jobs")
    live = parts.generations.live()
    assert live is not None
    template = TextTemplate(fields=("title",))
    read = Read(fields=("title",), slots=(live.slot,), embeddings=True)
    stale = 0
    for documents in parts.engine.scan(index, read):
        for document in documents:
            stamp = document.stamps.get(live.slot)
            stale += (
                stamp is None
                or stamp.generation != live.number
                or stamp.digest != digest(template.render(document.fields))
                or live.slot not in document.embeddings
            )
    return stale


def _strangers(url: str, index: str, application: Sequence[Writer]) -> int:
    """Count documents that nobody wrote."""
    connection = Connection(url)
    connection.call("POST", f"/{index}/_refresh")
    counted = connection.call("GET", f"/{index}/_count")["count"]
    connection.close()
    there = sum(
        None not in key.possible for one in application for key in one.history.keys.values()
    )
    maybe = sum(
        len(key.possible) > 1 and None in key.possible
        for one in application
        for key in one.history.keys.values()
    )
    return max(0, counted - len(_PINNED) - there - maybe)


def prepare(
    folder: Path, url: str, index: str, *, create: bool = True, batch_size: int = 256
) -> tuple[Path, list[str]]:
    """Write a configuration with two small encoders of one dimension; return their names."""
    from desireline.trainer.forms.import_model import import_model
    from desireline.trainer.registry import Registry

    registry = Registry(folder / "desireline-data" / "models")
    template = TextTemplate(fields=("title",))
    models = [
        import_model(str(_make_encoder(folder, seed)), registry, template).fingerprint
        for seed in (0, 1)
    ]
    config = folder / "desireline.toml"
    config.write_text(
        f"""
[cluster]
url = "{url}"
state = "{index}"
[targets.jobs]
index = "{index}"
text = ["title"]
model = "{models[0]}"
swap = {{ replica_wait = "5s", follow_every = "0.5s", batch_size = {batch_size} }}
{_UNTHROTTLED}
"""
    )
    if create:
        with closing(open_sidecar(load_config(config))) as sidecar:
            engine: Any = sidecar.parts("jobs").engine
            engine.create_index(index, ["title"])
    return config, models


def _make_encoder(folder: Path, seed: int) -> Path:
    """Make a random table of tokens: it encodes as fast as a text can be cut."""
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {token: n for n, token in enumerate(["[UNK]", "the", "of", *_WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    table = np.random.default_rng(seed).standard_normal((len(vocabulary), 16)).astype(np.float32)
    path = folder / f"encoder-{seed}"
    embedding = StaticEmbedding(tokenizer, embedding_weights=table)
    SentenceTransformer(modules=[embedding]).save_pretrained(str(path), create_model_card=False)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--writes", type=int, default=1_000_000)
    parser.add_argument("--swaps", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--keys", type=int, default=800, help="of each writer")
    parser.add_argument("--batch", type=int, default=400, help="operations in one bulk request")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    index = f"load-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as folder:
        config, models = prepare(Path(folder), options.url, index)
        try:
            load = Load(
                writes=options.writes,
                swaps=options.swaps,
                seed=options.seed,
                writers=options.writers,
                keys=options.keys,
                batch=options.batch,
            )
            report = run_load(config, models, options.url, index, load)
        finally:
            drop(options.url, index)
    told = {**asdict(report), "holds": report.holds}
    print(json.dumps(told, indent=2))
    if options.json:
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0 if report.holds else 1


def drop(url: str, index: str) -> None:
    """Remove the index and the state of the runs."""
    connection = Connection(url)
    for name in (index, f".desireline-{index}"):
        connection.call("DELETE", f"/{name}?ignore_unavailable=true")
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
