"""Re-embedding a real OpenSearch index: desireline's pipeline against the plain way, and its parts.

    python tests/benchmarks/reembed.py [--quick] [--json FILE] [--peers PYTHON] [--only PART ...]

On the node at OPENSEARCH_URL, or one of its own. Every way runs in a process of its own and they
take turns in every round, so a busy machine is busy for all of them: read the ratios, not the
numbers. Run it alone. `--peers` names an interpreter that has fastembed or infinity-emb, as they
do not go with our libraries. Parts: pipeline, gemm, searches, memory.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "reembedding"))

from bench_index import SLOT, Indexes, identical, json_seconds, overlap, top_ten
from child import Child, started
from corpus import FIELDS, documents, queries, short_documents
from goals.held import as_line, conclude, goal

from desireline.connectors.documents import TextTemplate
from desireline.sidecar.demo.opensearch_node import opensearch_node
from desireline.trainer.forms.import_model import import_model, packaged_minilm
from desireline.trainer.forms.quantise import quantise
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.registry import Registry

TEMPLATE = TextTemplate(fields=FIELDS)
FP32, INT8, PLAIN, FRESH = "desireline fp32", "desireline int8", "plain", "fresh index"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PARTS = ("pipeline", "gemm", "searches", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    documents: int
    rounds: int
    #: Documents of the small and of the large index whose memory is compared.
    memory: tuple[int, int]
    peer_documents: int
    search_rounds: int
    idle_s: float


QUICK = Sizes(
    documents=2000,
    rounds=3,
    memory=(10_000, 100_000),
    peer_documents=300,
    search_rounds=3,
    idle_s=12,
)
FULL = Sizes(
    documents=7500,
    rounds=5,
    memory=(10_000, 1_000_000),
    peer_documents=1000,
    search_rounds=5,
    idle_s=30,
)


@dataclass
class Way:
    """One way to re-embed, round by round."""

    name: str
    runs: list[dict[str, Any]] = field(default_factory=list)

    def rates(self) -> list[float]:
        """Documents a second until they can be searched for."""
        return [run["documents"] / (run["wall_s"] + run["refresh_s"]) for run in self.runs]

    def median(self, key: str) -> float:
        return statistics.median(run[key] for run in self.runs)


@dataclass
class Bench:
    """What all parts share."""

    url: str
    sizes: Sizes
    folder: Path
    indexes: Indexes
    goals: list[dict[str, Any]] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    peers: str = sys.executable

    def goal(self, name: str, wanted: str, value: float, *, holds: bool) -> None:
        """Hold a figure; it is told at once, for a run is long."""
        self.goals.append(goal(name, wanted, value, holds=holds))
        print(as_line(self.goals[-1]), flush=True)

    @contextlib.contextmanager
    def ours(self, name: str, fingerprint: str, index: str, **more: Any) -> Iterator[Child]:
        settings = {
            "url": self.url,
            "folder": str(self.folder),
            "fingerprint": fingerprint,
            "index": index,
            "slot": SLOT,
            "state": f"{self.indexes.prefix}{name}",
        }
        with started("ours.py", settings | more) as child:
            yield child


# The pipeline against the plain way, and both against a fresh index.


def pipeline(bench: Bench, fp32: str, int8: str) -> None:
    """Let the ways take turns; then what a second run and changed texts cost."""
    docs = documents(bench.sizes.documents)
    names = {FP32: "fp32", INT8: "int8", PLAIN: "plain", FRESH: "source"}
    model = str(Registry(bench.folder / "models").folder(fp32))
    index = bench.indexes.name
    place = {"url": bench.url, "slot": SLOT}
    with contextlib.ExitStack() as stack:
        children = {
            FP32: stack.enter_context(bench.ours("fp32", fp32, index("fp32"))),
            INT8: stack.enter_context(bench.ours("int8", int8, index("int8"))),
            PLAIN: stack.enter_context(started("plain.py", place | {"index": index("plain")})),
            FRESH: stack.enter_context(
                started(
                    "fresh.py",
                    place | {"index": index("source"), "into": index("fresh"), "model": model},
                )
            ),
        }
        ways = {name: Way(name=name) for name in children}
        for number in range(bench.sizes.rounds):
            turn = number % len(children)
            for name in [*list(children)[turn:], *list(children)[:turn]]:
                written = bench.indexes.make(names[name], [docs])
                if name == FRESH:
                    written = bench.indexes.make_fresh("fresh")
                ways[name].runs.append(run_once(bench, children[name], written))
                print(
                    f"round {number + 1}: {name}: {ways[name].rates()[-1]:.0f} docs/s", flush=True
                )
        same_answers(bench, children)
        again(bench, children[FP32], ways[FP32])
        peers(bench, children[FP32], model)
    compare(bench, ways)


def run_once(bench: Bench, child: Child, index: str) -> dict[str, Any]:
    done = child.ask("run")
    done["refresh_s"] = bench.indexes.refresh(index)
    assert done["documents"] == bench.sizes.documents, done
    return done | asdict(bench.indexes.costs(index))


def compare(bench: Bench, ways: Mapping[str, Way]) -> None:
    """Print the table and judge the ratios, of the best runs and of the median ones."""
    print(
        f"\n{'way':18}{'best':>8}{'median':>8}{'cpu-s':>8}{'peak MB':>9}{'refresh s':>10}   docs/s"
    )
    for way in ways.values():
        print(
            f"{way.name:18}{max(way.rates()):8.0f}{statistics.median(way.rates()):8.0f}"
            f"{way.median('cpu_s'):8.1f}{way.median('peak_mb'):9.0f}{way.median('refresh_s'):10.2f}"
        )
    for name in (FP32, INT8):
        split_of(bench, ways[name])
    for name, least in ((FP32, 2.5), (INT8, 4.0)):
        against(bench, f"re-embed, {name} against the plain way", ways[name], ways[PLAIN], least)
    against(bench, "slots in place against a fresh index", ways[FP32], ways[FRESH], 0.9)
    padding = max(run["padding"] for run in ways[FP32].runs)
    bench.goal("computed tokens for each real one", "<= 1.02", padding, holds=padding <= 1.02)
    rest = 1 - ways[FP32].median("encoding_share")
    bench.goal("share of fp32 that is not encoding, median", "<= 0.08", rest, holds=rest <= 0.08)
    bench.found["pipeline"] = {name: way.runs for name, way in ways.items()}


def against(bench: Bench, name: str, ours: Way, theirs: Way, least: float) -> None:
    best = max(ours.rates()) / max(theirs.rates())
    median = statistics.median(ours.rates()) / statistics.median(theirs.rates())
    bench.goal(f"{name}: times, best", f">= {least}", best, holds=best >= least)
    bench.goal(f"{name}: times, median", f">= {least}", median, holds=median >= least)


def split_of(bench: Bench, way: Way) -> None:
    """Where the median run's seconds went; the engine's are its own threads', so they overlap."""
    run = sorted(way.runs, key=lambda run: run["wall_s"])[len(way.runs) // 2]
    parts = dict(run["split"])
    as_json = json_seconds(bench.sizes.documents)
    sent = max(0.0, parts.pop("write_s") - as_json)
    engine = min(run["indexing_s"], sent)
    parts |= {"json_s": as_json, "network_s": sent - engine, "engine_s": engine}
    parts |= {"graph_s": run["refresh_s"]}
    told = ", ".join(f"{name.removesuffix('_s')} {seconds:.2f}" for name, seconds in parts.items())
    print(f"{way.name}, {run['wall_s']:.2f} s: {told}; merges meanwhile {run['merge_s']:.2f}")
    bench.found.setdefault("split", {})[way.name] = parts


def same_answers(bench: Bench, children: Mapping[str, Child]) -> None:
    """Compare exact top tens, every way's queries on its own vectors."""
    asked = queries(200)
    tops = {}
    for name, way in ((PLAIN, "plain"), (FP32, "fp32"), (INT8, "int8")):
        _, vectors = bench.indexes.vectors(bench.indexes.name(way))
        tops[name] = top_ten(children[name].ask("encode", texts=asked)["vectors"], vectors)
    same = identical(tops[FP32], tops[PLAIN])
    bench.goal("queries with the plain way's top ten, fp32", "1.0", same, holds=same == 1)
    bench.found["int8_top_ten_overlap"] = overlap(tops[INT8], tops[PLAIN])
    print(f"top ten shared by int8 and fp32: {bench.found['int8_top_ten_overlap']:.3f}")


def again(bench: Bench, child: Child, way: Way) -> None:
    """Run over unchanged text, then over 5 % changed text."""
    second = child.ask("again")
    count = second["encoded"] + second["written"]
    bench.goal("encoded or written by a second run", "0", count, holds=count == 0)
    index = bench.indexes.name("fp32")
    changed = [
        {
            "_op_type": "update",
            "_id": doc.document_id,
            "doc": {"title": f"New {doc.fields['title']}"},
        }
        for doc in documents(bench.sizes.documents)[::20]
    ]
    lines: list[dict[str, Any]] = []
    for change in changed:
        lines += [{"update": {"_id": change["_id"]}}, {"doc": change["doc"]}]
    bench.indexes.client.bulk(body=lines, index=index, refresh=True)
    part = child.ask("again")
    assert part["written"] == len(changed), part
    share = part["wall_s"] / way.median("wall_s")
    bench.goal("cost of 5 % changed text", "<= 0.07 of a run", share, holds=share <= 0.07)


def peers(bench: Bench, ours: Child, model: str) -> None:
    """Encode the same texts with other libraries, in turns, where they are installed."""
    texts = [TEMPLATE.render(d.fields) for d in documents(bench.sizes.peer_documents)]
    with tempfile.TemporaryDirectory() as name:
        for library, folder in (
            ("fastembed", fastembed_folder(Path(name), Path(model))),
            ("infinity-emb", str(packaged_minilm())),
        ):
            settings = {"library": library, "folder": folder}
            with started("peer.py", settings, python=bench.peers) as peer:
                if "missing" in peer.ready:
                    print(f"not run: {library}: {peer.ready['missing']}")
                    continue
                rates: dict[str, list[float]] = {"ours": [], library: []}
                for _ in range(bench.sizes.rounds):
                    mine = ours.ask("encode", texts=texts, give=False)["wall_s"]
                    rates["ours"].append(len(texts) / mine)
                    rates[library].append(len(texts) / peer.ask("encode", texts=texts)["wall_s"])
                best, middle = (
                    pick(rates["ours"]) / pick(rates[library]) for pick in (max, statistics.median)
                )
                version = peer.ready["version"]
                print(
                    f"encoding against {library} {version}: {best:.2f}x best, {middle:.2f}x median"
                )
                bench.found.setdefault("peers", {})[f"{library} {version}"] = rates


def fastembed_folder(folder: Path, model: Path) -> str:
    for name in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ):
        source = next((p / name for p in (packaged_minilm(), model) if (p / name).exists()), None)
        (folder / name).write_bytes(source.read_bytes() if source else b"{}")
    (folder / "model.onnx").write_bytes((model / "encoder.onnx").read_bytes())
    return str(folder)


# How near encoding is to what the processor can do.


def gemm(bench: Bench, fp32: str, _int8: str) -> None:
    texts = [TEMPLATE.render(d.fields) for d in documents(400)]
    model = str(Registry(bench.folder / "models").folder(fp32))
    env = os.environ | ONE_THREAD
    with started("gemm.py", {"model": model, "texts": texts}, env=env) as child:
        runs = [child.ask("run") for _ in range(bench.sizes.rounds)]
    for kind, what in (("gemm", "of one batch"), ("large", "of 1,024 rows")):
        for name in runs[0][kind]:
            rates = [run[kind][name] for run in runs]
            print(f"GEMM {what}, {name}: best {max(rates):.0f} GFLOP/s")
    shares = {}
    for kind in ("gemm", "large"):
        fastest = [max(run[kind].values()) for run in runs]
        shares[kind] = (
            max(run["encode"] for run in runs) / max(fastest),
            statistics.median(run["encode"] for run in runs) / statistics.median(fastest),
        )
    print(f"encoding, one thread: best {max(run['encode'] for run in runs):.0f} GFLOP/s;"
          f" {shares['large'][0]:.2f} of the fastest GEMM of 1,024 rows")  # fmt: skip
    name = "fp32 encoding of the fastest library's GEMM rate, one thread"
    for which, share in zip(("best", "median"), shares["gemm"], strict=True):
        bench.goal(f"{name}, {which}", ">= 0.80", share, holds=share >= 0.8)
    bench.found["gemm"] = runs


# Live searches while a throttled run goes on.


def searches(bench: Bench, fp32: str, _int8: str) -> None:
    """Search idle, during a whole throttled `reindex`, idle again; the ratio of the median p95."""
    index = bench.indexes.make("live", [documents(bench.sizes.documents)], dimension=None)
    throttled = {
        "throttle": {"search_floor": "0s", "gentle": 1.05, "documents_a_second": 60},
        "swap": {"batch_size": 8},
        "encoder_threads": max(1, (os.cpu_count() or 1) - 1),
    }
    with bench.ours("live", fp32, index, **throttled) as ours:
        ours.ask("whole")
        asked = ours.ask("encode", texts=queries(50))["vectors"]
        settings = {"url": bench.url, "index": index, "vectors": asked, "a_second": 25}
        rows: dict[str, list[dict[str, Any]]] = {"idle": [], "during": []}
        with started("searcher.py", settings | {"slot": SLOT}) as searcher:
            for number in range(bench.sizes.search_rounds):
                live = SLOT if number % 2 == 0 else SLOT[:-1] + "b"
                searcher.ask("warm", slot=live, count=300)
                rows["idle"].append(watch(searcher, live, lambda: time.sleep(bench.sizes.idle_s)))
                rows["during"].append(watch(searcher, live, lambda: ours.ask("whole")))
    for name, taken in rows.items():
        parts = (
            f"{key} {statistics.median(row[key] for row in taken):.1f}"
            for key in ("p50", "p95", "p99")
        )
        count = sum(row["searches"] for row in taken)
        print(f"kNN searches {name}: {', '.join(parts)} ms; {count} asked")
    idle, during = (
        statistics.median(row["p95"] for row in rows[key]) for key in ("idle", "during")
    )
    ratio = during / idle
    bench.goal(
        "p95 of live kNN searches during a throttled run",
        "<= 1.15 of idle",
        ratio,
        holds=ratio <= 1.15,
    )
    bench.found["searches"] = rows


def watch(searcher: Child, slot: str, work: Callable[[], object]) -> dict[str, Any]:
    searcher.ask("begin", slot=slot)
    began = time.monotonic()
    work()
    return searcher.ask("end") | {"seconds": time.monotonic() - began}


# Memory.


def memory(bench: Bench, _fp32: str, _int8: str) -> None:
    """Compare the peak of two processes that embed a small and a large index."""
    import tiny_static

    with tempfile.TemporaryDirectory() as name:
        tiny_static.write(Path(name))
        fingerprint = (
            Registry(bench.folder / "models")
            .add(
                Path(name),
                template=TextTemplate(fields=("title",)),
                similarity="cosine",
                provenance=Provenance(base_model="tiny static"),
            )
            .fingerprint
        )
    peaks = []
    for count in bench.sizes.memory:
        way = f"memory-{count}"
        pages = short_documents(count)
        index = bench.indexes.make(way, pages, fields=["title"], dimension=tiny_static.DIMENSION)
        with bench.ours(way, fingerprint, index, fields=["title"]) as child:
            done = child.ask("run")
        bench.indexes.engine.drop_index(index)
        rate = count / done["wall_s"]
        print(f"{count:,} documents: peak {done['peak_mb']:.0f} MB, {rate:,.0f} docs/s", flush=True)
        assert done["written"] == count, done
        peaks.append(done["peak_mb"])
    ratio = peaks[1] / peaks[0]
    small, large = bench.sizes.memory
    wanted = f"0.9 to 1.1 of that at {small:,}"
    bench.goal(f"peak memory at {large:,} documents", wanted, ratio, holds=0.9 <= ratio <= 1.1)
    bench.found["memory_mb"] = dict(zip(map(str, bench.sizes.memory), peaks, strict=True))


def measure(url: str, asked: argparse.Namespace) -> Bench:
    sizes = QUICK if asked.quick else FULL
    if asked.documents:
        sizes = Sizes(**asdict(sizes) | {"documents": asked.documents})
    if asked.memory:
        sizes = Sizes(**asdict(sizes) | {"memory": tuple(asked.memory)})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        indexes = Indexes(url, f"bench-{uuid.uuid4().hex[:8]}-")
        bench = Bench(url=url, sizes=sizes, folder=folder, indexes=indexes, peers=asked.peers)
        try:
            registry = Registry(folder / "models")
            fp32 = import_model("minilm", registry, TEMPLATE).fingerprint
            int8 = quantise(registry, fp32).fingerprint
            for part in asked.only or PARTS:
                began = time.monotonic()
                print(f"\n-- {part}", flush=True)
                globals()[part](bench, fp32, int8)
                print(f"({part}: {time.monotonic() - began:.0f} s)", flush=True)
        finally:
            indexes.close()
    return bench


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer documents and rounds")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--peers", default=sys.executable, help="interpreter of other libraries")
    parser.add_argument("--only", nargs="*", choices=PARTS, help="some parts")
    parser.add_argument("--documents", type=int, help="another number of documents")
    parser.add_argument("--memory", type=int, nargs=2, help="other sizes of the two indexes")
    asked = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    began = time.monotonic()
    with opensearch_node(os.environ.get("OPENSEARCH_URL")) as node:
        bench = measure(node.url, asked)
    print(f"\n{time.monotonic() - began:.0f} s; load at the beginning {load:.1f}")
    return conclude(
        "reembed",
        bench.goals,
        quick=asked.quick,
        file=asked.json,
        load_before=load,
        **bench.found,
    )


if __name__ == "__main__":
    sys.exit(main())
