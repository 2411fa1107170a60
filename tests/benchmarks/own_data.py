"""`fit` on true pairs: which loss earns its place, beside BM25 and the encoder as it was.

    python tests/benchmarks/own_data.py [--quick] [--json FILE] [--encoder static minilm]

Documents, queries and answers of O*NET are real (`../shared/data/onet`); the pairs are true ones,
not clicks. `fit` learns from the train queries, stops by the dev queries, and is measured on the
test queries it never saw, over all 1,016 documents. Intervals are bootstrapped over queries, of
the gain paired with the encoder as it was. One thread, one seed a run.
"""

import argparse
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from goals.held import conclude
from mining.words import Words
from mining.worlds import DATA, Truth, World, at_hand, load

from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
from desireline.trainer.evaluation import Evaluation, compare, evaluate, rank_exact
from desireline.trainer.forms.import_model import packaged_minilm
from desireline.trainer.measures.base import Run, parse

MEASURES = [parse(name) for name in ("mrr@20", "recall@20", "ndcg@10")]
HARD = {"miner": "TripletMarginMiner", "miner_options": {"margin": 0.3, "type_of_triplets": "hard"}}
RECIPES: dict[str, dict[str, Any]] = {
    "infonce (default)": {},
    "TripletMarginLoss, hard": {"loss": "TripletMarginLoss", **HARD},
    "TripletMarginLoss, all": {
        "loss": "TripletMarginLoss",
        "loss_options": {"margin": 0.3},
        "miner": "TripletMarginMiner",
        "miner_options": {"margin": 0.3, "type_of_triplets": "all"},
    },
    "MultiSimilarityLoss": {"loss": "MultiSimilarityLoss"},
    "guided by itself": {"loss": "guided"},
}
#: Of a transformer, for which minutes are few.
SHORT = ("infonce (default)", "TripletMarginLoss, hard", "TripletMarginLoss, all")


def main() -> int:
    """Tune with every recipe and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer pairs, static encoder alone")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--encoder", nargs="+", choices=["static", "minilm"])
    parser.add_argument("--budget", type=float, default=240.0, help="most seconds of a MiniLM run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not at_hand(DATA):
        return 0
    world = load("onet", DATA)
    chosen = options.encoder or (["static"] if options.quick else ["static", "minilm"])
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen:
            found[name] = of_encoder(name, world, Path(scratch), options)
    return conclude("own_data", [], quick=options.quick, file=options.json, **found)


def of_encoder(name: str, world: World, scratch: Path, options: argparse.Namespace) -> Any:
    from desireline.trainer import fit

    base = static_folder(scratch / "static") if name == "static" else packaged_minilm()
    most = 4_000 if options.quick or name == "minilm" else None
    train, dev = rows(world, world.train, most, options.seed), rows(world, world.dev, None, 0)
    before = measured(ranked(base, world), world)
    told = {
        "BM25": row(measured(Words(world.documents).rank(list(world.test), 20), world), None),
        "as it comes": row(before, None),
    }
    tell(f"{name}: {len(train):,} pairs, {len(world.test):,} test queries, seed {options.seed}")
    for each, numbers in told.items():
        tell(line(each, numbers))
    for each, recipe in RECIPES.items():
        if name == "minilm" and each not in SHORT:
            continue
        began = time.process_time()
        run = fit(
            base,
            train,
            dev,
            out=scratch / f"{name}-{len(told)}",
            seed=options.seed,
            threads=1,
            budget_s=options.budget if name == "minilm" else None,
            **recipe,
        )
        told[each] = row(measured(ranked(run.folder, world), world), before)
        told[each] |= {"cpu_s": time.process_time() - began, "sentence": run.sentence}
        tell(line(each, told[each]))
    return told


def static_folder(folder: Path) -> Path:
    """Give the word vectors of the wordllama package as a sentence-transformers folder."""
    from safetensors.numpy import load_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    spec = find_spec("wordllama")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    table = load_file(package / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(
        str(package / "tokenizers" / "l2_supercat_tokenizer_config.json")
    )
    tokenizer.no_padding()
    tokenizer.enable_truncation(64)
    module = StaticEmbedding(tokenizer, embedding_weights=table.astype(np.float32))
    SentenceTransformer(modules=[module]).save_pretrained(str(folder), create_model_card=False)
    return folder


def rows(world: World, truth: Truth, most: int | None, seed: int) -> list[dict[str, str]]:
    """Give the pairs of a truth, or some of them."""
    found = [
        {"query": query, "document": world.documents[each].text, "document_id": each}
        for query, known in sorted(truth.items())
        for each in sorted(known)
    ]
    if most is None or most >= len(found):
        return found
    drawn = np.random.default_rng(seed).choice(len(found), most, replace=False)
    return [found[number] for number in drawn]


def ranked(folder: Path, world: World) -> Run:
    documents = {name: document.text for name, document in world.documents.items()}
    return rank_exact(SentenceTransformerEncoder(folder), list(world.test), documents, k=20)


def measured(run: Run, world: World) -> Evaluation:
    qrels = {query: dict.fromkeys(known, 1.0) for query, known in world.test.items()}
    return evaluate(run, qrels, MEASURES)


def row(after: Evaluation, before: Evaluation | None) -> dict[str, Any]:
    numbers: dict[str, Any] = dict(after.table())
    if before is not None:
        gain = compare(after, before).of(MEASURES[0]).gain
        numbers["gain"] = [gain.mean, gain.low, gain.high]
    return numbers


def line(name: str, numbers: dict[str, Any]) -> str:
    means = "  ".join(f"{measure} {numbers[str(measure)]:.4f}" for measure in MEASURES)
    if "gain" not in numbers:
        return f"  {name:<26}{means}"
    mean, low, high = numbers["gain"]
    gain = f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"
    return f"  {name:<26}{means}  {gain}  {numbers['cpu_s']:.0f} cpu-s  {numbers['sentence']}"


def tell(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
