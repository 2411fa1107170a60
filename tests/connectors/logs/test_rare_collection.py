"""The garbage collector looks seldom while records are read, and as before afterwards."""

import gc
import threading

import pytest

from desireline.connectors.logs.rare_collection import rare_collection


@pytest.fixture(autouse=True)
def _as_it_was():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_it_is_as_before_when_the_last_reader_is_done():
    gc.set_threshold(700, 10, 10)
    with rare_collection():
        with rare_collection():
            assert gc.get_threshold()[0] > 100_000
        assert gc.get_threshold()[0] > 100_000
    assert gc.get_threshold() == (700, 10, 10)


def test_readers_of_threads_may_end_in_any_order():
    gc.set_threshold(700, 10, 10)
    entered, leave = threading.Event(), threading.Event()

    def other():
        with rare_collection():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with rare_collection():
        thread.start()
        assert entered.wait(60)
    assert gc.get_threshold()[0] > 100_000
    leave.set()
    thread.join()
    assert gc.get_threshold() == (700, 10, 10)


def test_a_collector_that_is_off_stays_off():
    gc.set_threshold(0, 10, 10)
    with rare_collection():
        assert gc.get_threshold()[0] == 0


def test_what_fails_while_reading_leaves_it_as_before():
    gc.set_threshold(700, 10, 10)
    with pytest.raises(ValueError, match="broken"), rare_collection():
        raise ValueError("broken")
    assert gc.get_threshold() == (700, 10, 10)
