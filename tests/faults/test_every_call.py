"""Invariants 16, 19, 23, 25: whatever becomes of the N-th call, nothing is lost and a run resumes.

One re-embedding of twelve documents is run once in peace, which counts its calls to OpenSearch;
then each call is broken in each way. The run ends well or with one named error; what serves
stays whole; the same command again ends as if nothing had been.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fault_proxy import Fault, FaultProxy

from desireline.connectors.errors import DesirelineError

pytestmark = pytest.mark.opensearch

#: The client sends a request without an answer again by itself: the sidecar learns of the third.
RESENDS = 2
#: Runs on one index before a new one is made: generations are kept, and listing them takes time.
RUNS_AN_INDEX = 25
#: Where all would take too long one call in so many is broken, each in the next way.
STRIDE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A fault and how many requests in a row it meets."""

    fault: Fault
    times: int = 1


TROUBLES = [
    *(Trouble(fault=fault) for fault in Fault),
    *(
        Trouble(fault=fault, times=1 + RESENDS)
        for fault in (Fault.RESET_BEFORE, Fault.RESET_AFTER, Fault.BAD_GATEWAY, Fault.CUT_OFF)
    ),
]


class Rig:
    """Trials on one index after another, each reached through the proxy or past it."""

    def __init__(self, begin: Callable[..., Any], url: str, prefix: str) -> None:
        self._begin = begin
        self._url = url
        self._prefix = prefix
        self._indexes = 0
        self.proxy = FaultProxy(url)
        self._use_up()

    def _use_up(self) -> None:
        self.trial: Any = None
        self._runs = 0

    def make(self, *, live: bool) -> None:
        """Make an index; nothing of it is broken."""
        self._indexes += 1
        name = f"{self._prefix}{self._indexes}"
        self.trial = self._begin(self._cluster(self._url, name), name, live=live)

    def another(self, *, live: bool) -> Any:
        """Return a trial, its index made anew when it was used often or has no live one."""
        if self.trial is None or not live or self._runs == RUNS_AN_INDEX:
            self._use_up()
            self.make(live=live)
        self._runs += 1
        return self.trial

    def next_model(self) -> str:
        encoders = self.trial.encoders
        return encoders.old if self._runs % 2 == 0 else encoders.new

    def run(self, model: str, *, timeout: str, patience: str) -> DesirelineError | None:
        """Run through the proxy; any error but a DesirelineError fails the test."""
        cluster = self._cluster(self.proxy.url, self.trial.index, timeout)
        self.trial.write_config(cluster, patience=patience, replica_wait="0s")
        try:
            self.trial.reindex(model, end_hold=True)
        except DesirelineError as error:
            return error
        finally:
            self.proxy.start_over()
            self.trial.write_config(self._cluster(self._url, self.trial.index))
        return None

    def _cluster(self, url: str, index: str, timeout: str = "30s") -> str:
        return f'url = "{url}"\nstate = "{index}"\ntimeout = "{timeout}"'


@pytest.fixture
def rig(begin, opensearch_url, index_prefix) -> Iterator[Rig]:
    rig = Rig(begin, opensearch_url, index_prefix)
    yield rig
    rig.proxy.close()


def calls_in_peace(rig: Rig, *, live: bool) -> int:
    """Return how many calls a run makes when nothing is broken."""
    trial = rig.another(live=live)
    rig.proxy.start_over()
    seen: list[str] = rig.proxy.seen
    assert rig.run(rig.next_model(), timeout="30s", patience="0s") is None
    trial.ends_well(rig.next_model())
    return len(seen)


def break_call(rig: Rig, number: int, trouble: Trouble, *, live: bool, patience: str) -> str:
    """Break one call of a run, run again, and return how the broken run ended."""
    trial = rig.another(live=live)
    model = rig.next_model()
    before = trial.serves() if live else 0
    rig.proxy.break_at(number, trouble.fault, times=trouble.times)
    error = rig.run(model, timeout="0.6s", patience=patience)
    if error is not None:
        assert str(error)
        assert not live or trial.serves() >= before
        if not trial.is_live(model):
            trial.reindex(model, end_hold=True)
    trial.ends_well(model)
    return "ended well" if error is None else type(error).__name__


@pytest.mark.parametrize("live", [True, False], ids=["again", "for the first time"])
def test_a_broken_call_costs_at_most_a_second_run(rig: Rig, live: bool, record_property) -> None:
    calls = calls_in_peace(rig, live=live)
    stride = STRIDE if live else 3 * STRIDE
    numbers = range(1, calls + 1, stride)
    for turn, number in enumerate(numbers):
        trouble = TROUBLES[turn % len(TROUBLES)]
        break_call(rig, number, trouble, live=live, patience="0s")
    record_property("calls", calls)
    record_property("runs", len(numbers))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda t: f"{t.fault} x{t.times}")
@pytest.mark.parametrize("live", [True, False], ids=["again", "for the first time"])
def test_every_broken_call_costs_at_most_a_second_run(
    rig: Rig, live: bool, trouble: Trouble, record_property
) -> None:
    calls = calls_in_peace(rig, live=live)
    ends = [
        break_call(rig, number, trouble, live=live, patience="0s") for number in range(1, calls + 1)
    ]
    record_property("runs", calls)
    record_property("ended well", ends.count("ended well"))
