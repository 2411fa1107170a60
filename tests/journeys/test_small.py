"""A compact encoder of another dimension goes live in a new index, under traffic."""

import pytest
from opensearchpy import OpenSearch

from desireline.sidecar.answering import answering
from desireline.sidecar.demo.occupations import TEXT_FIELDS
from desireline.sidecar.demo.traffic import HttpSearch, Traffic
from desireline.sidecar.reports.cycle_report import Outcome
from desireline.trainer.simulation.users import SimulationConfig

TARGET = "jobs"
USERS = SimulationConfig(searches=30_000, seed=3)
SMALL = """
[targets.jobs.tune.fit.small]
kind = "static"
dimension = 128
vocabulary = 8000
passes = 2
max_steps = 200
"""


@pytest.mark.opensearch
def test_a_compact_encoder_takes_over_in_an_index_with_shorter_vectors(
    make_product, silent, opensearch_url, index_prefix
):
    alias = f"{index_prefix}jobs"
    product = make_product(url=opensearch_url, index=alias, mode="small", fit=SMALL)
    parts, client = product.parts, OpenSearch(opensearch_url)
    parts.engine.create_index(f"{alias}-first", list(TEXT_FIELDS))
    client.indices.put_alias(index=f"{alias}-first", name=alias)
    parts.engine.index_documents(alias, product.occupations.documents)
    product.sidecar.reindex(TARGET, None, silent)
    large = parts.generations.live()
    product.users_click(USERS)
    key = product.sidecar.api_keys().create("application", ["search"])
    with answering(product.sidecar, product.config.server, port=0) as server:
        search = HttpSearch(server.url, key, alias, "embedding")
        traffic = Traffic(
            search=search,
            engine=parts.engine,
            application=parts.engine,
            index=alias,
            queries=list(product.occupations.reported["dev"])[:100],
        )
        traffic.start()
        report = product.sidecar.tune(TARGET, silent)
        assert any(search("beekeeper").generation == 2 for _ in range(5_000))
        seen = traffic.stop(parts, scores_are_halved=True)
    assert report.outcome is Outcome.WENT_LIVE, report.sentence
    assert (seen.failed, seen.empty, seen.mixed, seen.lost) == (0, 0, 0, 0), seen
    small = parts.generations.live()
    assert (small.number, small.fingerprint) == (2, report.candidate)
    assert parts.encoder(large.fingerprint).dimension == 256
    assert parts.encoder(small.fingerprint).dimension == 128
    (behind,) = client.indices.get_alias(name=alias)
    assert behind != f"{alias}-first"
    client.close()
