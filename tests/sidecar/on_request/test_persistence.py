"""A lost lease is taken again, an absent cluster is told at once, and another owner wins."""

import pytest

from desireline.connectors.errors import StateUnavailableError
from desireline.sidecar.errors import LeaseHeldError, LeaseLostError
from desireline.sidecar.on_request.persistence import persistently


def ending(*errors: Exception):
    left = list(errors)

    def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def test_work_whose_lease_was_lost_is_begun_again_until_the_cluster_is_back() -> None:
    pauses: list[float] = []
    away = StateUnavailableError("away")
    work = ending(LeaseLostError("lost"), away, away)
    assert persistently(work, last_owner=lambda: 0, limit_s=600, sleep=pauses.append) == "done"
    assert len(pauses) == 3


def test_a_cluster_that_was_never_there_is_told_at_once() -> None:
    with pytest.raises(StateUnavailableError):
        persistently(
            ending(StateUnavailableError("away")),
            last_owner=lambda: 0,
            limit_s=600,
            sleep=pytest.fail,
        )


def test_where_another_has_taken_the_target_it_goes_on_and_we_end() -> None:
    work = ending(LeaseLostError("lost"), LeaseHeldError("held"))
    with pytest.raises(LeaseHeldError):
        persistently(work, last_owner=lambda: 0, limit_s=600, sleep=lambda _: None)


def test_patience_ends() -> None:
    work = ending(*[LeaseLostError("lost")] * 100)
    with pytest.raises(LeaseLostError):
        persistently(work, last_owner=lambda: 0, limit_s=5, sleep=lambda _: None)


def test_what_another_process_took_over_is_not_begun_again_even_if_that_one_is_done() -> None:
    work = ending(LeaseLostError("lost", fencing=3))
    with pytest.raises(LeaseLostError):
        persistently(work, last_owner=lambda: 4, limit_s=600, sleep=lambda _: None)


def test_what_nobody_took_over_is_begun_again() -> None:
    work = ending(LeaseLostError("lost", fencing=3))
    done = persistently(work, last_owner=lambda: 3, limit_s=600, sleep=lambda _: None)
    assert done == "done"
