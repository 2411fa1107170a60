"""From clicks to a changed ranking, with an application searching and writing all the while."""

import pytest

from desireline.sidecar.answering import answering
from desireline.sidecar.demo.traffic import HttpSearch, Traffic
from desireline.sidecar.generations import State
from desireline.sidecar.judging.examination import examine
from desireline.sidecar.reports.cycle_report import Outcome
from desireline.trainer.measures.base import parse
from desireline.trainer.simulation.users import SimulationConfig

TARGET = "jobs"
USERS = SimulationConfig(searches=30_000, seed=3)


def walk(product, silent) -> None:
    """Turn the wheel under traffic; the ranking must change for the better and nothing break."""
    product.fill()
    sidecar, parts = product.sidecar, product.parts
    first = sidecar.reindex(TARGET, None, silent)
    assert first.generation == 1
    base = parts.generations.live().fingerprint
    product.users_click(USERS)
    key = sidecar.api_keys().create("application", ["search"])
    with answering(sidecar, product.config.server, port=0) as server:
        search = HttpSearch(server.url, key, product.index, "embedding")
        traffic = Traffic(
            search=search,
            engine=parts.engine,
            application=parts.engine,
            index=product.index,
            queries=list(product.occupations.reported["dev"])[:100],
        )
        traffic.start()
        report = sidecar.tune(TARGET, silent)
        until(lambda: search("beekeeper").generation == 2 and traffic.answered_by(2) > 20)
        seen = traffic.stop(parts, scores_are_halved=product.config.cluster.url is not None)
        assert report.outcome is Outcome.WENT_LIVE, report.sentence
        assert (seen.failed, seen.empty, seen.mixed, seen.lost) == (0, 0, 0, 0), seen
        assert seen.generations == (1, 2), seen
        assert seen.searches > 100
        assert seen.writes > 20
        assert {g.number: g.state for g in parts.generations.all()} == {
            1: State.RETAINED,
            2: State.LIVE,
        }
        better_on_test_queries(product, base, report.candidate, silent)
        assert "generation 1 is live" in sidecar.revert(TARGET)
        until(lambda: search("beekeeper").generation == 1)
    covered = parts.engine.coverage(product.index, "embedding__b", 2)
    assert covered.complete


def better_on_test_queries(product, base, candidate, silent) -> None:
    measure = parse("mrr@20")
    examined = examine(
        product.parts,
        product.occupations.reported["test"],
        {"base": base, "tuned": candidate},
        silent,
    )
    gain = examined.compare("tuned", "base").of(measure).gain
    assert gain.low > 0, gain


def until(holds) -> None:
    """Ask the proxy over and over, boundedly; the pointer is looked at twice a second."""
    assert any(holds() for _ in range(5_000))


def test_clicks_in_files_change_the_ranking_of_the_embedded_engine(make_product, silent):
    walk(make_product(), silent)


@pytest.mark.opensearch
def test_ubi_clicks_on_opensearch_change_the_ranking_through_the_proxy(
    make_product, silent, opensearch_url, index_prefix
):
    walk(make_product(url=opensearch_url, index=f"{index_prefix}jobs"), silent)
