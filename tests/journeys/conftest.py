"""A whole product: real documents, simulated users, a small real encoder, a running sidecar."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import wordllama
from safetensors import safe_open
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.ubi_indexes import UbiIndexes
from desireline.sidecar.config import Config, load_config
from desireline.sidecar.demo.occupations import TEXT_FIELDS, Occupations, load_occupations
from desireline.sidecar.demo.ubi_bulk import bulk_lines
from desireline.sidecar.judging.examination import rendered_documents
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.evaluation import rank_exact
from desireline.trainer.simulation.users import SimulatedLog, SimulationConfig, simulate

TARGET = "jobs"


@pytest.fixture(scope="session")
def static_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static encoder of 32,000 words that the wordllama package carries; trains in seconds."""
    package = Path(wordllama.__file__).parent
    (weights,) = package.glob("weights/*256.safetensors")
    (tokenizer,) = package.glob("tokenizers/*.json")
    with safe_open(weights, framework="np") as file:
        (name,) = file.keys()
        table = file.get_tensor(name).astype("float32")
    embedding = StaticEmbedding(Tokenizer.from_file(str(tokenizer)), embedding_weights=table)
    folder = tmp_path_factory.mktemp("wordllama")
    SentenceTransformer(modules=[embedding]).save_pretrained(str(folder), create_model_card=False)
    return folder


@dataclass(frozen=True, kw_only=True)
class Product:
    """An index somebody searches, and the sidecar beside it."""

    sidecar: Sidecar
    config: Config
    index: str
    occupations: Occupations
    folder: Path

    @property
    def parts(self) -> Any:
        return self.sidecar.parts(TARGET)

    def fill(self) -> None:
        engine = self.parts.engine
        engine.create_index(self.index, list(TEXT_FIELDS))
        engine.index_documents(self.index, self.occupations.documents)

    def users_click(self, simulation: SimulationConfig) -> SimulatedLog:
        """Let simulated users search by the live generation, and keep what they did."""
        live = self.parts.generations.live()
        truth = {**self.occupations.lay, **self.occupations.reported["train"]}

        def rank(queries: Sequence[str]) -> Any:
            documents = rendered_documents(self.parts, live.fingerprint)
            encoder = self.parts.encoder(live.fingerprint)
            return rank_exact(encoder, queries, documents, k=20)

        log = simulate(
            sorted(truth), {q: set(grades) for q, grades in truth.items()}, rank, simulation
        )
        self._keep(log)
        return log

    def _keep(self, log: SimulatedLog) -> None:
        if self.config.cluster.url is None:
            with (self.folder / "clicks.ndjson").open("wb") as file:
                for batch in log.batches:
                    file.writelines(bulk_lines(batch))
            return
        prefix = f"{self.index}-"
        settings = OpenSearchSettings(url=self.config.cluster.url)
        names = {"queries": f"{prefix}ubi_queries", "events": f"{prefix}ubi_events"}
        with closing(UbiIndexes(settings, **names)) as indexes:
            indexes.create()
            for batch in log.batches:
                indexes.load(b"".join(bulk_lines(batch, prefix=prefix)))


MakeProduct = Callable[..., Product]


@pytest.fixture
def make_product(tmp_path: Path, static_model: Path) -> Iterator[MakeProduct]:
    """Make a product on an engine: `make_product(url=None, index="jobs", **tune)`."""
    with ExitStack() as stack:

        def make(
            *,
            url: str | None = None,
            index: str = "jobs",
            model: str = str(static_model),
            fit: str = "",
            extra: str = "",
            privacy: str = 'mode = "local"',
            mode: str = "full",
        ) -> Product:
            cluster = f'url = "{url}"\nstate = "{index}"' if url else 'engine = "lancedb"'
            logs = (
                f'kind = "ubi", queries_index = "{index}-ubi_queries",'
                f' events_index = "{index}-ubi_events", window = "3650d"'
                if url
                else 'kind = "files", path = "clicks.ndjson"'
            )
            tune = f"[targets.{TARGET}.tune]"
            if tune not in extra:
                extra += f"\n{tune}"
            # One mode a cycle: the ladder has tests of its own.
            extra = extra.replace(tune, f'{tune}\nmode = "{mode}"')
            path = tmp_path / "desireline.toml"
            path.write_text(
                f"""
[cluster]
{cluster}
[targets.{TARGET}]
index = "{index}"
text = ["title^2", "description"]
model = "{model}"
logs = {{ {logs} }}
privacy = {{ {privacy} }}
[targets.{TARGET}.swap]
replica_wait = "5s"
{extra}
[targets.{TARGET}.tune.fit]
max_steps = 300
epochs = 30
batch_documents = 256
learning_rate = 0.01
freeze_token_embeddings = false
{fit}
"""
            )
            config = load_config(path)
            sidecar = stack.enter_context(closing(open_sidecar(config)))
            return Product(
                sidecar=sidecar,
                config=config,
                index=index,
                occupations=load_occupations(),
                folder=tmp_path,
            )

        yield make


@pytest.fixture
def silent() -> SilentReporter:
    return SilentReporter()
