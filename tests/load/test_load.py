"""Invariants 1, 2, 4, 9 and 11 under load, the whole history checked."""

import uuid
from pathlib import Path

import pytest
from load_run import Load, drop, prepare, run_load


@pytest.mark.opensearch
def test_nothing_is_lost_and_no_search_goes_wrong_under_load(
    tmp_path: Path, opensearch_url: str
) -> None:
    pytest.importorskip("sentence_transformers", reason="needs desireline[trainer]")
    index = f"load-{uuid.uuid4().hex[:8]}"
    config, models = prepare(tmp_path, opensearch_url, index)
    try:
        load = Load(writes=20_000, swaps=18, seed=7)
        report = run_load(config, models, opensearch_url, index, load)
    finally:
        drop(opensearch_url, index)
    assert report.holds, report
    assert report.acknowledged >= 20_000
    assert report.cut_overs_and_reverts >= 18
    assert report.generations_that_answered >= 2
