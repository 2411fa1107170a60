"""How far shards have come, told by a cluster in trouble."""

from collections.abc import Callable
from typing import Any

import pytest

from desireline.connectors.errors import PartialReadError
from desireline.connectors.opensearch_client import Cluster
from desireline.connectors.opensearch_shards import all_shards, refresh, require_every_shard

Answering = Callable[..., Cluster]


def copy(*, primary: bool, checkpoint: int = 0, highest: int = 0) -> dict[str, Any]:
    return {
        "routing": {"primary": primary, "state": "STARTED"},
        "seq_no": {"global_checkpoint": checkpoint, "max_seq_no": highest},
    }


def cluster(answering: Answering, shards: dict[str, Any], expected: int) -> Cluster:
    def answer(path: str) -> object:
        if "_settings" in path:
            return {"products": {"settings": {"index.number_of_shards": str(expected)}}}
        return {"indices": {"products": {"uuid": "u", "shards": shards}}}

    return answering(200, answer)


def test_a_position_is_the_primarys_checkpoint_never_the_highest_number(
    answering: Answering,
) -> None:
    shards = {
        "0": [
            copy(primary=False, checkpoint=3, highest=4),
            copy(primary=True, checkpoint=7, highest=9),
        ],
        "10": [copy(primary=True, checkpoint=1, highest=1)],
        "2": [copy(primary=True, checkpoint=-1, highest=-1)],
    }
    found = all_shards(cluster(answering, shards, 1), "products")
    assert [(shard.key, shard.checkpoint) for shard in found] == [
        ("u/0", 7),
        ("u/2", -1),
        ("u/10", 1),
    ]


def test_a_shard_without_a_running_primary_proves_nothing(answering: Answering) -> None:
    shards = {"0": [copy(primary=True)], "1": [copy(primary=False)]}
    with pytest.raises(PartialReadError, match="shard 1 of products has no running primary"):
        all_shards(cluster(answering, shards, 2), "products")


def test_a_refresh_that_leaves_out_a_shard_proves_nothing(answering: Answering) -> None:
    with pytest.raises(PartialReadError, match="left out 1 shards"):
        refresh(answering(200, {"_shards": {"total": 2, "failed": 1}}), "products")


def test_an_answer_that_ran_out_of_time_proves_nothing() -> None:
    with pytest.raises(PartialReadError, match="timed out"):
        require_every_shard({"timed_out": True, "_shards": {"failed": 0}}, "products")
