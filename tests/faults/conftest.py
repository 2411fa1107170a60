"""A small re-embedding that can be stopped anywhere, and what must hold at its end."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reindex_until
from opensearchpy import OpenSearch

from desireline.connectors.documents import Document, TextTemplate, digest
from desireline.connectors.search_engine import Read
from desireline.sidecar.config import load_config
from desireline.sidecar.generations import State
from desireline.sidecar.lease import LEASE
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.steering.steps import Reached, go_on
from desireline.sidecar.wiring import open_sidecar

Clock = Callable[[], datetime]
Sleep = Callable[[float], None]
#: How busy the machine is must not decide how a test ends.
_UNTHROTTLED = (
    'throttle = { search_ratio = "off", gentle = "off", cpu = "off", heap = "off", '
    'breaker = "off" }'
)
FIELDS = ("title", "description")
WORDS = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoders:
    """A registry of two encoders of different spaces, exported once for all tests."""

    models: Path
    old: str
    new: str
    #: Encodes queries alone, over the documents of the old one.
    queries: str


@pytest.fixture(scope="session")
def two_encoders(tmp_path_factory: pytest.TempPathFactory, request) -> Encoders:
    from desireline.trainer.encoders.settings import EncoderSettings, Prompts
    from desireline.trainer.forms.import_model import import_model
    from desireline.trainer.registry import Registry

    models = tmp_path_factory.mktemp("two-encoders") / "models"
    registry = Registry(models)
    old, new = (
        import_model(str(request.getfixturevalue(name)), registry, TextTemplate(fields=FIELDS))
        for name in ("exported_static", "exported_bert")
    )
    folder = models.parent / "queries"
    shutil.copytree(request.getfixturevalue("exported_static"), folder)
    prompted = EncoderSettings.read(folder).model_copy(
        update={"prompts": Prompts(query="nurse garden ")}
    )
    prompted.write(folder)
    queries = registry.add(
        folder,
        template=old.text_template,
        similarity=old.settings.similarity,
        provenance=old.provenance.model_copy(update={"mode": "query", "parent": old.fingerprint}),
        documents=old.fingerprint,
    )
    return Encoders(
        models=models,
        old=old.fingerprint,
        new=new.fingerprint,
        queries=queries.fingerprint,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An index whose old generation is live, about to be embedded again."""

    folder: Path
    index: str
    encoders: Encoders
    documents: tuple[Document, ...]
    #: Which way the second embedding goes.
    way: str = "slot"

    @property
    def config(self) -> Path:
        return self.folder / "desireline.toml"

    def write_config(self, cluster: str, **swap: object) -> None:
        """Say where the cluster is; called again, the next run goes another way to it."""
        settings = {"batch_size": 4, "replica_wait": "1s", "lease_ttl": "30s"} | swap
        self.config.write_text(
            f"""
[cluster]
{cluster}
[targets.jobs]
index = "{self.index}"
text = {list(FIELDS)}
model = "{self.encoders.old}"
swap = {{ {", ".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())} }}
{_UNTHROTTLED}
"""
        )

    def change_config(self, old: str, new: str) -> None:
        """Change one setting; the next run reads it."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def open(
        self, reached: Reached = go_on, *, clock: Clock = _now, sleep: Sleep = time.sleep
    ) -> Sidecar:
        return open_sidecar(load_config(self.config), reached=reached, clock=clock, sleep=sleep)

    def reindex(self, model: str, reached: Reached = go_on, *, end_hold: bool = False) -> None:
        with closing(self.open(reached)) as sidecar:
            sidecar.reindex("jobs", model, SilentReporter(), way=self.way, end_hold=end_hold)

    def reindex_counted(self, sleep: Sleep = time.sleep) -> None:
        """Run it here, its work added to that of the runs in processes of their own."""
        with closing(self.open(sleep=sleep)) as sidecar:
            reindex_until.count_work(sidecar, self.tally)
            sidecar.reindex("jobs", self.encoders.new, SilentReporter(), way=self.way)

    def reindex_in_a_process(self, **stop: object) -> subprocess.CompletedProcess[str]:
        """Run the same in a process of its own; see reindex_until.py for what may stop it."""
        return subprocess.run(self.command(**stop), capture_output=True, text=True, check=False)

    def command(self, **stop: object) -> list[str]:
        program = reindex_until.__file__
        given = {
            "config": str(self.config),
            "model": self.encoders.new,
            "way": self.way,
            **stop,
        }
        return [sys.executable, program, json.dumps(given)]

    def work(self) -> dict[str, int]:
        """Return what the counted runs did: texts encoded, writes sent, writes carried out."""
        told = [json.loads(line) for line in self.tally.read_text().splitlines()]
        return {
            name: sum(line.get(name, 0) for line in told) for name in ("encoded", "sent", "written")
        }

    @property
    def tally(self) -> Path:
        return self.folder / "tally.ndjson"

    def ends_well(self, fingerprint: str) -> None:
        """Check that nothing distinguishes this end from that of a run without trouble."""
        with closing(self.open()) as sidecar:
            parts = sidecar.parts("jobs")
            parts.generations.reconcile(parts.clock())
            live = parts.generations.live()
            assert live is not None
            assert live.fingerprint == fingerprint
            self._serves_whole(sidecar)
            found = parts.generations.pointer()
            assert found is not None
            unsettled = {g.number: g.state for g in parts.generations.all()}
            assert unsettled.pop(live.number) is State.LIVE
            assert unsettled.pop(found[0].previous, State.RETAINED) is State.RETAINED
            assert set(unsettled.values()) <= {State.RETIRED, State.FAILED, State.CANCELLED}
            with parts.owned():
                pass  # at once: nobody who is alive holds it
            assert [r.key for r in parts.store.list(LEASE) if r.body["owner"]] == []

    def versions(self) -> dict[str, Any]:
        """Return which write each document is of, and the pointer's record."""
        with closing(self.open()) as sidecar:
            parts = sidecar.parts("jobs")
            batches = parts.engine.scan(self.index, Read())
            versions: dict[str, Any] = {d.document_id: d.version for b in batches for d in b}
            return versions | {"the pointer": parts.generations.pointer()}

    def is_live(self, fingerprint: str) -> bool:
        """Whether the live generation is this encoder's."""
        with closing(self.open()) as sidecar:
            live = sidecar.parts("jobs").generations.live()
            return live is not None and live.fingerprint == fingerprint

    def serves(self) -> int:
        """Check that whatever is live is whole, and return its number."""
        with closing(self.open()) as sidecar:
            return self._serves_whole(sidecar)

    def _serves_whole(self, sidecar: Sidecar) -> int:
        parts = sidecar.parts("jobs")
        live = sidecar.live("jobs")
        assert live.search(parts.engine, "red shoe", 5)
        read = Read(fields=FIELDS, slots=(live.slot,), embeddings=True)
        found = {d.document_id: d for batch in parts.engine.scan(live.index, read) for d in batch}
        assert {key: dict(d.fields) for key, d in found.items()} == {
            d.document_id: dict(d.fields) for d in self.documents
        }
        template = TextTemplate(fields=FIELDS)
        for document in found.values():
            text = template.render(document.fields)
            stamp = document.stamps[live.slot]
            assert (stamp.generation, stamp.digest) == (live.stamp_number, digest(text))
            expected = live.encoder.encode_documents([text])[0]
            np.testing.assert_allclose(document.embeddings[live.slot], expected, atol=1e-5)
        return live.number


def make_documents(number: int) -> tuple[Document, ...]:
    return tuple(
        Document(
            document_id=f"d{n}",
            fields={"title": f"{WORDS[n % 8]} {n}", "description": " ".join(WORDS[: n % 4])},
        )
        for n in range(number)
    )


@pytest.fixture
def begin(tmp_path: Path, two_encoders: Encoders) -> Callable[..., Trial]:
    """Give the maker of trials: an index with its documents and, if wanted, a live generation."""

    def make(
        cluster: str,
        index: str,
        *,
        documents: int = 12,
        live: bool = True,
        alias_at: str | None = None,
        **swap: Any,
    ) -> Trial:
        folder = tmp_path / index
        folder.mkdir()
        shutil.copytree(two_encoders.models, folder / "desireline-data" / "models")
        trial = Trial(
            folder=folder,
            index=index,
            encoders=two_encoders,
            documents=make_documents(documents),
            way="index" if alias_at else "slot",
        )
        trial.write_config(cluster, **swap)
        with closing(trial.open()) as sidecar:
            engine: Any = sidecar.parts("jobs").engine
            engine.create_index(f"{index}-1" if alias_at else index, FIELDS)
            if alias_at:
                client = OpenSearch(alias_at)
                client.indices.put_alias(index=f"{index}-1", name=index)
                client.close()
            engine.index_documents(index, trial.documents)
            if live:
                sidecar.reindex("jobs", two_encoders.old, SilentReporter())
        return trial

    return make


@pytest.fixture
def embedded_trial(begin: Callable[..., Trial]) -> Trial:
    """Six batches of documents, the old generation live, in LanceDB."""
    return begin('engine = "lancedb"', "jobs", documents=24)


@pytest.fixture
def cluster_trial(begin: Callable[..., Trial], opensearch_url: str, index_prefix: str) -> Trial:
    """The same on a real node."""
    index = f"{index_prefix}jobs"
    return begin(f'url = "{opensearch_url}"\nstate = "{index}"', index, documents=24)


@pytest.fixture
def alias_trial(begin: Callable[..., Trial], opensearch_url: str, index_prefix: str) -> Trial:
    """The same behind an alias, to be embedded into a new index."""
    index = f"{index_prefix}jobs"
    cluster = f'url = "{opensearch_url}"\nstate = "{index}"'
    return begin(cluster, index, documents=24, alias_at=opensearch_url)
