"""What doctor and a plan say of indexes that are not ready, on a real node."""

import pytest
from opensearchpy import OpenSearch

from desireline.sidecar.cli.exit_codes import ExitCode

pytestmark = pytest.mark.opensearch


@pytest.fixture
def cluster(opensearch_url: str):
    client = OpenSearch(opensearch_url, timeout=30)
    yield client
    client.close()


def configured(command_line, url: str, index: str) -> None:
    command_line.write(
        f"""
        [cluster]
        url = "{url}"
        state = "{index}"

        [targets.jobs]
        index = "{index}"
        text = ["title", "summary"]
        logs = {{ kind = "ubi", queries_index = "{index}-q", events_index = "{index}-e" }}
        """
    )


def checks(command_line) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in command_line.json("doctor")["checks"]}


def test_doctor_names_everything_an_index_lacks(
    command_line, cluster, opensearch_url: str, index_prefix: str
) -> None:
    index = f"{index_prefix}jobs"
    cluster.indices.create(
        index=index, body={"mappings": {"properties": {"title": {"type": "text"}}}}
    )
    configured(command_line, opensearch_url, index)
    found = checks(command_line)
    assert found["cluster"]["state"] == "ok"
    assert found["k-NN plugin"]["state"] == "ok"
    assert found["jobs: index"]["state"] == "ok"
    assert found["jobs: index.knn"]["state"] == "fail"
    assert found["jobs: text"]["state"] == "fail"
    assert "title" in found["jobs: text"]["next_step"]
    assert found["jobs: logs"]["state"] in {"fail", "warn"}


def test_a_plan_for_an_index_without_knn_is_refused_and_changes_nothing(
    command_line, cluster, opensearch_url: str, index_prefix: str
) -> None:
    index = f"{index_prefix}jobs"
    cluster.indices.create(
        index=index, body={"mappings": {"properties": {"title": {"type": "text"}}}}
    )
    configured(command_line, opensearch_url, index)
    before = cluster.indices.get_mapping(index=index)
    result = command_line("reindex", "jobs", "--yes")
    assert result.exit_code == ExitCode.REFUSED
    assert "index.knn" in result.stderr
    assert cluster.indices.get_mapping(index=index) == before


def test_init_reads_the_text_fields_from_the_mapping(
    command_line, cluster, opensearch_url: str, index_prefix: str
) -> None:
    index = f"{index_prefix}jobs"
    properties = {"body": {"type": "text"}, "title": {"type": "text"}, "sku": {"type": "keyword"}}
    cluster.indices.create(index=index, body={"mappings": {"properties": properties}})
    result = command_line("init", "--url", opensearch_url, "--index", index)
    assert result.exit_code == ExitCode.DONE
    assert 'text = ["title^2", "body"]' in (command_line.folder / "desireline.toml").read_text()
