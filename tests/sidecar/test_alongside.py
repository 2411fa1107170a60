"""One call beside the owner's own work, and nothing goes on behind its back."""

import threading

import pytest

from desireline.sidecar.alongside import Alongside


def test_a_call_goes_on_while_its_owner_works_and_is_waited_for() -> None:
    owner_went_on = threading.Event()
    with Alongside[str]() as beside:
        assert beside.wait() is None
        beside.begin(lambda: str(owner_went_on.wait(10)))
        owner_went_on.set()
        assert beside.wait() == "True"
        assert beside.wait() is None


def test_the_end_of_the_block_waits_for_the_call() -> None:
    done = []
    began = threading.Event()
    with Alongside[None]() as beside:
        beside.begin(lambda: (began.wait(10), done.append("written"))[1])
        began.set()
    assert done == ["written"]


@pytest.mark.parametrize("waits", [True, False])
def test_an_error_of_the_call_reaches_the_owner(waits: bool) -> None:
    def fail() -> None:
        raise ValueError("the cluster is away")

    def own() -> None:
        with Alongside[None]() as beside:
            beside.begin(fail)
            if waits:
                beside.wait()

    with pytest.raises(ValueError, match="away"):
        own()


def test_an_owner_that_fails_keeps_its_own_error_and_still_waits() -> None:
    done = []
    began = threading.Event()

    def fail_later() -> None:
        began.wait(10)
        done.append("ended")
        raise ValueError("the call's own")

    def own() -> None:
        with Alongside[None]() as beside:
            beside.begin(fail_later)
            began.set()
            raise KeyError("owner")

    with pytest.raises(KeyError, match="owner"):
        own()
    assert done == ["ended"]
