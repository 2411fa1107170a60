"""Invariant 15: kill -9 at every step of a re-embedding, then the same again: the same end."""

import json
import signal
from contextlib import closing
from pathlib import Path

import pytest

from desireline.sidecar.steering.steps import Step

#: Passed by a run in place and by one into a new index; the last come after a run.
IN_PLACE_ONLY = {Step.SLOT_PREPARED, Step.FENCE_TAKEN}
NEW_INDEX_ONLY = {
    Step.INDEX_CREATED,
    Step.COPY_PROVED,
    Step.BLOCK_RECORDED,
    Step.WRITES_BLOCKED,
    Step.LAST_WRITES_COPIED,
    Step.ALIAS_SWAPPED,
}
AFTERWARDS = {Step.WRITES_RELEASED, Step.INDEX_RETIRED}
#: A step that is added has its crash tests, and fails them until a run passes it.
IN_PLACE = [step for step in Step if step not in NEW_INDEX_ONLY | AFTERWARDS]
NEW_INDEX = [step for step in Step if step not in IN_PLACE_ONLY | AFTERWARDS]
MANY = (Step.BATCH_ENCODED, Step.BATCH_WRITTEN)
#: Where the query encoder alone changes no document is written.
QUERY_ALONE = [step for step in IN_PLACE if step not in {*IN_PLACE_ONLY, *MANY, Step.BACKFILL_DONE}]
#: Killed in a process of its own each time; at the others only where time does not matter: the
#: same is tried in one process at every step.
AROUND_THE_SWAP = (Step.CAUGHT_UP, Step.CUT_OVER_BEGUN, Step.POINTER_WRITTEN)
#: Inside a step: what was done there must be done again, or be found done.
WITHIN = json.loads((Path(__file__).parent / "kill_points.json").read_text())
BATCH = 4


def once(steps: list[Step]) -> list[dict]:
    return [{"name": step.value, "step": step.value, "pass": 1} for step in steps]


def points(steps: list[Step]) -> list[dict]:
    third = [{"name": f"third {s.value}", "step": s.value, "pass": 3} for s in MANY]
    return once(steps) + third


def names(point: dict) -> str:
    return point["name"].replace(" ", "-")


def kill(trial, **point) -> None:
    killed = trial.reindex_in_a_process(**point)
    assert killed.returncode == -signal.SIGKILL, (killed.stdout + killed.stderr)[-2000:]


def survives(point: dict, trial) -> None:
    kill(trial, **point)
    if trial.serves() == 1:
        trial.reindex_counted()
    trial.ends_well(trial.encoders.new)
    work = trial.work()
    assert work["encoded"] <= len(trial.documents) + BATCH
    assert work["sent"] <= len(trial.documents) + BATCH
    assert work["written"] <= len(trial.documents) + BATCH


@pytest.mark.parametrize("point", [*points(IN_PLACE), *WITHIN], ids=names)
def test_a_killed_run_ends_as_if_it_had_not_been(point, embedded_trial) -> None:
    survives(point, embedded_trial)


@pytest.mark.opensearch
@pytest.mark.parametrize("point", points(IN_PLACE), ids=names)
def test_a_killed_run_on_opensearch_ends_as_if_it_had_not_been(point, cluster_trial) -> None:
    survives(point, cluster_trial)


@pytest.mark.opensearch
@pytest.mark.parametrize("point", points(NEW_INDEX), ids=names)
def test_a_killed_run_into_a_new_index_on_opensearch_does_so_too(point, alias_trial) -> None:
    survives(point, alias_trial)


def survives_without_a_write(point: dict, trial) -> None:
    """The same of a run in which only the query encoder changes."""
    asked = {"model": trial.encoders.queries, "way": "query"}
    before = trial.versions()
    kill(trial, **asked, **point)
    if trial.serves() == 1:
        ended = trial.reindex_in_a_process(**asked, step="")
        assert ended.returncode == 7, (ended.stdout + ended.stderr)[-2000:]
    trial.ends_well(trial.encoders.queries)
    assert trial.work() == {"encoded": 0, "sent": 0, "written": 0}
    before.pop("the pointer")
    assert before.items() <= trial.versions().items()
    with closing(trial.open()) as sidecar:
        sidecar.revert("jobs")
    trial.ends_well(trial.encoders.old)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(each, marks=() if each["step"] in AROUND_THE_SWAP else pytest.mark.slow)
        for each in once(QUERY_ALONE)
    ],
    ids=names,
)
def test_a_killed_change_of_the_query_encoder_alone_writes_nothing(point, embedded_trial) -> None:
    survives_without_a_write(point, embedded_trial)


@pytest.mark.slow
@pytest.mark.opensearch
@pytest.mark.parametrize("point", once(QUERY_ALONE), ids=names)
def test_a_killed_change_of_it_on_opensearch_writes_nothing(point, cluster_trial) -> None:
    survives_without_a_write(point, cluster_trial)


@pytest.mark.slow
@pytest.mark.opensearch
@pytest.mark.parametrize("point", WITHIN, ids=names)
def test_a_run_on_opensearch_killed_within_a_step_ends_so_too(point, cluster_trial) -> None:
    survives(point, cluster_trial)


@pytest.mark.opensearch
def test_killed_while_it_mends_a_killed_swap_on_opensearch_it_is_mended_the_next_time(
    alias_trial,
) -> None:
    kill(alias_trial, step=Step.WRITES_BLOCKED.value)
    kill(alias_trial, step=Step.WRITES_RELEASED.value)
    alias_trial.reindex_counted()
    alias_trial.ends_well(alias_trial.encoders.new)


@pytest.mark.opensearch
def test_killed_while_it_lets_the_former_index_go_on_opensearch_it_goes_the_next_time(
    alias_trial,
) -> None:
    alias_trial.change_config('lease_ttl = "30s"', 'lease_ttl = "30s", hold = "0s"')
    alias_trial.reindex(alias_trial.encoders.new)
    alias_trial.change_config('hold = "0s"', 'hold = "12h"')
    back = alias_trial.encoders.old
    kill(alias_trial, model=back, end_hold=True, step=Step.INDEX_RETIRED.value)
    if not alias_trial.is_live(back):
        alias_trial.reindex(back, end_hold=True)
    alias_trial.ends_well(back)


def test_a_run_passes_its_steps_in_the_order_of_the_list(embedded_trial) -> None:
    passed: list[Step] = []
    embedded_trial.reindex(embedded_trial.encoders.new, passed.append)
    assert list(dict.fromkeys(passed)) == IN_PLACE


@pytest.mark.opensearch
@pytest.mark.parametrize(
    ("trial", "steps"), [("cluster_trial", IN_PLACE), ("alias_trial", NEW_INDEX)]
)
def test_a_run_on_opensearch_passes_them_too(trial, steps, request) -> None:
    passed: list[Step] = []
    world = request.getfixturevalue(trial)
    world.reindex(world.encoders.new, passed.append)
    assert set(passed) == set(steps)
