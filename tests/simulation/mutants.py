"""Lines of production code made wrong, so that the simulation can prove that it would notice."""

import importlib
import inspect
import textwrap
from dataclasses import dataclass

from desireline.sidecar.way import Way


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
