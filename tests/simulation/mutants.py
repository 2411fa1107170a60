"""Lines of production code made wrong, so that the simulation can prove that it would notice."""

import importlib
import inspect
import textwrap
from dataclasses import dataclass

from desireline.sidecar.ways.choice import Way


@dataclass(frozen=True)
class Mutant:
    """One line of production code, made wrong."""

    name: str
    #: Module, and the path of the function in it.
    place: tuple[str, str]
    right: str
    wrong: str
    #: Other modules that hold the function under the same name.
    also: tuple[str, ...] = ()
    way: Way = "slot"
    #: Whether it takes many seeds, or long ones, to find.
    rare: bool = False
    #: Requests at which sidecars freeze; empty: whatever the seeds draw.
    tender: str = ""


MUTANTS = (
    Mutant(
        name="the fence is the highest number seen, not the checkpoint",
        place=("connectors.opensearch_shards", "_started_primaries"),
        right='["global_checkpoint"]',
        wrong='["max_seq_no"]',
    ),
    Mutant(
        name="the refresh comes before the checkpoint is read",
        place=("connectors.engines.opensearch", "OpenSearchEngine.fence"),
        right="shards = all_shards(self._cluster, index)",
        wrong="refresh(self._cluster, index)\n    shards = all_shards(self._cluster, index)\n"
        "    beyond = Fence(positions={shard.key: shard.checkpoint for shard in shards})",
    ),
    Mutant(
        name="writes carry no guard",
        place=("connectors.engines.opensearch_bulk", "embedding_line"),
        right="write.version",
        wrong="Version(seq_no=-2, primary_term=0)",
        also=("connectors.engines.opensearch",),
    ),
    Mutant(
        name="nothing is caught up",
        place=("sidecar.catchup", "catch_up"),
        right="if until == since:",
        wrong="if True:",
        also=("sidecar.follower", "sidecar.verify", "sidecar.building"),
    ),
    Mutant(
        name="nobody asks whether the lease is still held",
        place=("sidecar.lease", "Lease.check"),
        right="if self._lost:",
        wrong="if False:",
    ),
    Mutant(
        name="the pointer is written whatever it is by now",
        place=("sidecar.generations", "Generations.point"),
        right="expected=expected",
        wrong="expected=self._store.get(POINTER, self.target)",
        tender=r"GET /.desireline-state/_doc/.*",
    ),
    Mutant(
        name="what an owner without lease began is gone on with, even in the live slot",
        place=("sidecar.building", "_takes_the_live_slot"),
        right="live is not None and",
        wrong="False and",
        tender=r"GET /jobs.*",
    ),
    Mutant(
        name="a generation that borrows its vectors stamps them as its own",
        place=("sidecar.writing.embedding_writer", "EmbeddingWriter.write"),
        right="self.generation.stamp_number",
        wrong="self.generation.number",
        way="query",
    ),
    Mutant(
        name="queries are compared with whatever vectors are live",
        place=("sidecar.target", "Target.shared_vectors"),
        right="return live if same else None",
        wrong="return live",
        way="query",
    ),
    Mutant(
        name="copies of documents deleted since the proof stay",
        place=("sidecar.ways.alias_swap", "AliasSwap._require_same"),
        right="counted.documents != documents",
        wrong="False",
        way="index",
    ),
    Mutant(
        name="a copy has no version, so the last to arrive wins",
        place=("connectors.engines.opensearch_copies", "_head"),
        right='{"_id": document_id, "version": version, "version_type": "external_gte"}',
        wrong='{"_id": document_id}',
        way="index",
    ),
    Mutant(
        name="the alias moves whether or not the ticket is still there",
        place=("connectors.engines.opensearch_generations", "OpenSearchGenerations.swap_alias"),
        right='"must_exist": True',
        wrong='"must_exist": False',
        way="index",
        tender=r"POST /_aliases",
    ),
    Mutant(
        name="nobody waits for the writes under way when the block is put",
        place=("connectors.engines.opensearch_generations", "OpenSearchGenerations.block_writes"),
        right='answer = self._cluster.call("PUT", path(index, "_block", "write"), params=_AGREED)',
        wrong='answer = self._cluster.call("PUT", path(index, "_settings"), params=_AGREED,'
        ' body={"index.blocks.write": True}) | {"indices": [1], "shards_acknowledged": True}',
        way="index",
    ),
    Mutant(
        name="the last writes before the swap are not copied",
        place=("sidecar.ways.alias_swap", "AliasSwap._swap"),
        right="self.copier.catch_up()",
        wrong="pass",
        way="index",
    ),
    Mutant(
        name="writes are not held up at all",
        place=("connectors.engines.opensearch_generations", "OpenSearchGenerations.block_writes"),
        right='answer = self._cluster.call("PUT", path(index, "_block", "write"), params=_AGREED)',
        wrong='answer = {"acknowledged": True, "shards_acknowledged": True, "indices": [1]}',
        way="index",
    ),
    Mutant(
        name="a copy is caught up to the highest number seen, not the checkpoint",
        place=("connectors.opensearch_shards", "_started_primaries"),
        right='["global_checkpoint"]',
        wrong='["max_seq_no"]',
        way="index",
        rare=True,
    ),
    Mutant(
        name="the watchdog sleeps on",
        place=("sidecar.ways.watchdog", "let_in"),
        right="for _ in range(_TRIES):",
        wrong="for _ in ():",
        way="index",
        tender=r"GET /jobs-[^/]*/_count|POST /_aliases",
    ),
    Mutant(
        name="a delete of a copy takes the number of another index for a position",
        place=("connectors.generation_indexes", "after"),
        right="own = version >> _POSITION_BITS == fencing",
        wrong="own = True",
        also=("sidecar.ways.copying",),
        way="index",
        rare=True,
    ),
    Mutant(
        name="a former owner may go on writing copies",
        place=("connectors.engines.opensearch_generations", "OpenSearchGenerations.own_copies"),
        right="return name",
        wrong="return index",
        way="index",
        rare=True,
        tender=r"POST /jobs-gen-\d+/_bulk",
    ),
    Mutant(
        name="a copy of an index that the alias left is gone on with",
        place=("sidecar.building", "_was_left_behind"),
        right="!= source",
        wrong="!= source and False",
        way="index",
        rare=True,
        tender=r"(GET|POST) /(jobs|jobs/.*|\.desireline-state/_refresh)",
    ),
)


def plant(mutant: Mutant) -> None:
    """Make the line wrong in this process, everywhere it is called."""
    name, path = mutant.place
    module = importlib.import_module(f"desireline.{name}")
    owner: object = module
    *outer, function = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    source = textwrap.dedent(inspect.getsource(getattr(owner, function)))
    assert mutant.right in source, f"{mutant.name}: the line has changed, name it anew"
    made: dict[str, object] = {}
    wrong = source.replace(mutant.right, mutant.wrong)
    exec(compile(wrong, mutant.name, "exec"), vars(module), made)
    setattr(owner, function, made[function])
    for other in mutant.also:
        setattr(importlib.import_module(f"desireline.{other}"), function, made[function])
