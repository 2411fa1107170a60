"""A compact encoder of another dimension goes live under traffic, then in an index of its own."""

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
dimension = 192
passes = 16
tuning_passes = 12
"""
#: Whoever wants the words of one catalogue alone gives up what the encoder knew beside them.
GATE = """
[targets.jobs.gate]
general = false
"""


@pytest.mark.opensearch
def test_a_compact_encoder_takes_over_beside_longer_vectors_and_moves_to_a_new_index(
    make_product, silent, opensearch_url, index_prefix
):
    alias = f"{index_prefix}jobs"
    product = make_product(url=opensearch_url, index=alias, mode="small", fit=SMALL, extra=GATE)
    parts, client = product.parts, OpenSearch(opensearch_url)
    parts.engine.create_index(f"{alias}-first", list(TEXT_FIELDS))
    client.indices.put_alias(index=f"{alias}-first", name=alias)
    parts.engine.index_documents(alias, product.occupations.documents)
    product.sidecar.reindex(TARGET, None, silent)
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
        assert report.outcome is Outcome.WENT_LIVE, report.sentence
        assert any(search("beekeeper").generation == 2 for _ in range(5_000))
        moved = product.sidecar.reindex(
            TARGET, report.candidate, silent, way="index", end_hold=True
        )
        assert moved.generation == 3
        assert any(search("beekeeper").generation == 3 for _ in range(5_000))
        seen = traffic.stop(parts, scores_are_halved=True)
    assert (seen.failed, seen.empty, seen.mixed, seen.lost) == (0, 0, 0, 0), seen
    assert seen.generations == (1, 2, 3)
    lengths = [parts.encoder(g.fingerprint).dimension for g in parts.generations.all()]
    assert lengths == [256, 192, 192]
    (behind,) = client.indices.get_alias(name=alias)
    assert behind != f"{alias}-first"
    client.close()
