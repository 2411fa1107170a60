"""`desireline simulate --into`: as the UBI plugin would have written it, and nowhere else."""

import json
import re
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from desireline.connectors.logs.ubi import UbiConfig, UbiLogs
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.sidecar.cli.exit_codes import ExitCode

pytestmark = pytest.mark.opensearch


@pytest.fixture
def simulate(command_line, opensearch_url, index_prefix):
    """Run the command with a prefix of its own; `simulate("--messy")`."""
    state = index_prefix.strip("-")
    command_line.write(
        f'[cluster]\nurl = "{opensearch_url}"\nstate = "{state}"\n'
        '[targets.shop]\nindex = "shop"\ntext = ["title"]\n'
    )
    Path("truth.tsv").write_text("".join(f"query {n}\td{n % 9}\n" for n in range(30)))

    def run(*arguments):
        return command_line(
            *("simulate", "shop", "--truth", "truth.tsv", "--ranked-by", "noisy"),
            *("--searches", "400", "--into", index_prefix, *arguments),
        )

    return run


def pulled(result, opensearch_url):
    """What the UBI source reads with the settings that the command proposes."""
    said = dict(re.findall(r'(\w+_index|window) = "([^"]+)"', result.stdout))
    logs = UbiLogs.open(UbiConfig(**said), OpenSearchSettings(url=opensearch_url))
    return list(logs.pull())


@pytest.mark.parametrize("spec", ["1.2", "1.3"])
def test_the_log_is_read_back_with_the_settings_that_are_proposed(
    simulate, opensearch_url, index_prefix, spec
):
    result = simulate("--spec", spec)
    assert result.exit_code == ExitCode.DONE, result.stderr
    batches = pulled(result, opensearch_url)
    queries = [query for batch in batches for query in batch.queries]
    actions = [action for batch in batches for action in batch.actions]
    assert len(queries) == 400 + 5 * 600
    truth = json.loads(Path(f"{index_prefix}simulation.truth.json").read_text())
    clicks = [a for a in actions if a.client not in truth["bots"]]
    assert f"{len(clicks):,} simulated clicks of people" in result.stdout
    shown = {query.query_id: query.shown for query in queries}
    assert all(shown[a.query_id][a.position - 1] == a.document_id for a in actions)


def test_a_messy_log_keeps_its_duplicates_and_late_events_apart(
    simulate, opensearch_url, index_prefix
):
    assert simulate("--messy").exit_code == ExitCode.DONE
    truth = json.loads(Path(f"{index_prefix}simulation.truth.json").read_text())
    client = OpenSearch(opensearch_url)
    client.indices.refresh(index=f"{index_prefix}*")
    records = client.count(index=f"{index_prefix}ubi_queries")["count"]
    by_query = client.search(
        index=f"{index_prefix}ubi_queries",
        body={"size": 0, "aggs": {"ids": {"cardinality": {"field": "query_id"}}}},
    )
    assert records > by_query["aggregations"]["ids"]["value"]
    assert truth["planted"]["duplicates"] > 0
    client.close()


def test_indexes_of_a_former_simulation_are_replaced(simulate, opensearch_url):
    simulate()
    result = simulate("--seed", "1")
    assert result.exit_code == ExitCode.DONE, result.stderr
    queries = [query for batch in pulled(result, opensearch_url) for query in batch.queries]
    assert len(queries) == 400 + 5 * 600


def test_a_log_of_real_users_is_never_touched(simulate, opensearch_url, index_prefix):
    client = OpenSearch(opensearch_url)
    body = {"application": "shop", "query_id": "q1", "user_query": "shoes"}
    client.index(index=f"{index_prefix}ubi_queries", id="q1", body=body, refresh=True)
    result = simulate()
    assert result.exit_code == ExitCode.FAILED
    assert "hold 1 records that no simulation wrote" in result.stderr
    assert client.get(index=f"{index_prefix}ubi_queries", id="q1")["_source"] == body
    assert not client.indices.exists(index=f"{index_prefix}ubi_events")
    client.close()
