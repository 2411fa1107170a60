"""Models by their names; torch lives here."""

import json
from collections.abc import Sequence
from pathlib import Path

from desireline.trainer import model_files
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
from desireline.trainer.errors import SynthesisError
from desireline.trainer.forms.import_model import MINILM, bring_model, packaged_minilm
from desireline.trainer.model_settings import MODULES
from desireline.trainer.registry import PREFIX, Registry
from desireline.trainer.synthesis.asked import Opened
from desireline.trainer.synthesis.making import MINED, Judge, Read
from desireline.trainer.synthesis.relations import Search
from desireline.trainer.synthesis.settings import BM25, QueryWriter, SynthesisModels
from desireline.trainer.synthesis.sources import Documents
from desireline.trainer.synthesis.vectors import VectorSearch
from desireline.trainer.synthesis.words import WordSearch
from desireline.trainer.text_models.cross_encoder import CrossEncoder
from desireline.trainer.text_models.query_writer import LocalQueryWriter


def open_models(
    models: SynthesisModels,
    *,
    seed: int,
    work: Path,
    device: str = "cpu",
    threads: int | None = None,
) -> Opened:
    """Open every model, and check that it can be loaded safely.

    Args:
        models: by their names.
        seed: of what a local model writes.
        work: folder for what must be fetched.
        device: of torch.
        threads: of encoders that run on ONNX Runtime; one a core if left out.

    Raises:
        UnsafeModelError: a model cannot be found, or could run code.
        ModelMissingError: no registered encoder goes by that name.
        SynthesisError: there is no relation miner.

    """
    if not models.miners:
        raise SynthesisError(
            "there is no relation miner; nothing was made",
            next_step=f"name one encoder or several, or {BM25}",
        )
    encoders = {
        name: _encoder(name, models, work / f"fetched-{number}", device, threads)
        for number, name in enumerate(models.miners)
        if name != BM25
    }

    def searches(documents: Documents, folder: Path) -> Sequence[Search]:
        return [
            WordSearch(documents, folder / "words")
            if name == BM25
            else VectorSearch(_shown(name), encoders[name], documents, folder / f"vectors-{at}")
            for at, name in enumerate(models.miners)
        ]

    return Opened(
        searches=searches,
        judge=_judge(str(models.cross_encoder), models, work / "fetched-teacher", device, threads),
        judge_name=_shown(str(models.cross_encoder)),
        writer=_writer(models.query_writer, models.prompt, seed),
    )


def _judge(
    name: str, models: SynthesisModels, fetched: Path, device: str, threads: int | None
) -> Judge:
    folder = Path(name).expanduser()
    if name == MINILM or ((folder / MODULES).is_file() and not _reads_pairs(folder)):
        encoder = _encoder(name, models, fetched, device, threads)
        return Judge(
            fingerprint=encoder.fingerprint,
            read=similarities_of(encoder),
            odds=False,
            at_once=MINED,
        )
    reader = CrossEncoder(folder, device=device)
    return Judge(fingerprint=reader.fingerprint, read=reader)


def _reads_pairs(folder: Path) -> bool:
    """Whether a folder's own settings name a classifier of texts, be it saved as modules or not."""
    try:
        said = json.loads((folder / "config.json").read_bytes())["architectures"]
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return any("ForSequenceClassification" in str(name) for name in said)


def similarities_of(encoder: Encoder) -> Read:
    """Return an encoder as the teacher of a smaller one: by its own similarities.

    What it is asked together is encoded once for all pairs, so it is asked much at a time.
    """

    def read(pairs: Sequence[tuple[str, str]]) -> list[float]:
        queries = {query: at for at, query in enumerate(dict.fromkeys(q for q, _ in pairs))}
        texts = {text: at for at, text in enumerate(dict.fromkeys(t for _, t in pairs))}
        asked = encoder.encode_queries(list(queries))
        held = encoder.encode_documents(list(texts))
        return [float(asked[queries[query]] @ held[texts[text]]) for query, text in pairs]

    return read


def _encoder(
    name: str, models: SynthesisModels, fetched: Path, device: str, threads: int | None
) -> Encoder:
    folder = packaged_minilm() if name == MINILM else Path(name).expanduser()
    if not folder.is_dir() and models.registry is not None and PREFIX.fullmatch(name):
        registry = Registry(models.registry)
        return registry.load(registry.resolve(name), threads)
    if not folder.is_dir():
        folder = bring_model(name, fetched)
    if model_files.GRAPH in model_files.check(folder) and device == "cpu":
        return OnnxEncoder(folder, threads=threads)
    return SentenceTransformerEncoder(folder, device=device)


def _writer(writer: str | Path | QueryWriter | None, prompt: str, seed: int) -> QueryWriter | None:
    if isinstance(writer, str | Path):
        return LocalQueryWriter(Path(writer).expanduser(), prompt=prompt, seed=seed)
    return writer


def _shown(name: str) -> str:
    """Return the name of a model without the folders above it."""
    return Path(name).name
