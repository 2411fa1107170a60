"""Invariant 15: kill -9 at every step of a re-embedding, then the same again: the same end."""

import json
import signal
from pathlib import Path

import pytest

from desireline.sidecar.steps import Step

MANY = {Step.BATCH_ENCODED, Step.BATCH_WRITTEN}
#: A step that is added has its crash tests, and fails them until a run passes it.
STEPS = [
    *({"name": step.value, "step": step.value, "pass": 1} for step in Step),
    *({"name": f"third {step.value}", "step": step.value, "pass": 3} for step in sorted(MANY)),
]
#: Inside a step: what was done there must be done again, or be found done.
WITHIN = json.loads((Path(__file__).parent / "kill_points.json").read_text())
BATCH = 4


def names(point: dict) -> str:
    return point["name"].replace(" ", "-")


def survives(point: dict, trial) -> None:
    killed = trial.reindex_in_a_process(**point)
    assert killed.returncode == -signal.SIGKILL, (killed.stdout + killed.stderr)[-2000:]
    if trial.serves() == 1:
        trial.reindex_counted()
    trial.ends_well(trial.encoders.new)
    work = trial.work()
    assert work["encoded"] <= len(trial.documents) + BATCH
    assert work["sent"] <= len(trial.documents) + BATCH
    assert work["written"] <= len(trial.documents) + BATCH


@pytest.mark.parametrize("point", [*STEPS, *WITHIN], ids=names)
def test_a_killed_run_ends_as_if_it_had_not_been(point, embedded_trial) -> None:
    survives(point, embedded_trial)


@pytest.mark.opensearch
@pytest.mark.parametrize("point", STEPS, ids=names)
def test_a_killed_run_on_opensearch_ends_as_if_it_had_not_been(point, cluster_trial) -> None:
    survives(point, cluster_trial)


@pytest.mark.slow
@pytest.mark.opensearch
@pytest.mark.parametrize("point", WITHIN, ids=names)
def test_a_run_on_opensearch_killed_within_a_step_ends_so_too(point, cluster_trial) -> None:
    survives(point, cluster_trial)


def test_a_run_passes_every_step_in_the_order_of_the_list(embedded_trial) -> None:
    passed: list[Step] = []
    embedded_trial.reindex(embedded_trial.encoders.new, passed.append)
    assert list(dict.fromkeys(passed)) == list(Step)


@pytest.mark.opensearch
def test_a_run_on_opensearch_passes_them_too(cluster_trial) -> None:
    passed: list[Step] = []
    cluster_trial.reindex(cluster_trial.encoders.new, passed.append)
    assert list(dict.fromkeys(passed)) == list(Step)
