"""One re-embedding under way: whose it is, who is told, and what may hold it up."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.controls import Controls
from desireline.sidecar.embedding_writer import EmbeddingWriter
from desireline.sidecar.errors import RunCancelledError
from desireline.sidecar.generations import Generation
from desireline.sidecar.hooks import HookPoint, Hooks
from desireline.sidecar.lease import Lease
from desireline.sidecar.patience import Patience
from desireline.sidecar.reporting import Reporter
from desireline.sidecar.steps import Step
from desireline.sidecar.target import Target
from desireline.sidecar.throttle import Throttle


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every stage of a re-embedding is given."""

    target: Target
    lease: Lease
    reporter: Reporter
    throttle: Throttle
    controls: Controls
    hooks: Hooks
    sleep: Callable[[float], None] = time.sleep

    def reached(self, step: Step) -> None:
        """Say that a step was passed."""
        self.target.reached(step)

    def check(self) -> None:
        """Return only while this process may go on.

        Raises:
            LeaseLostError: another process owns the target.
            RunCancelledError: the operator gave the run up.

        """
        self.lease.check()
        if self.controls.read().cancelled:
            raise RunCancelledError(
                f"the re-embedding of {self.target.name!r} was cancelled by the operator;"
                " what serves is unchanged"
            )

    def postponed(self) -> str:
        """Why the cut-over must wait, in words; empty when it may go on."""
        if self.controls.read().postponed:
            return (
                "the cut-over is postponed by the operator; the slot stays ready and nearly fresh"
            )
        return ""

    def may_write(self, documents: int) -> None:
        """Return when so many documents may be written. Raises as `check` does."""
        self.check()
        self.throttle.wait(self.lease, documents)

    def held_up(self, reason: str) -> None:
        """Tell why nothing is written at present; the empty string when it goes on."""
        self.reporter.step("throttle", reason or "writing goes on")
        if reason:
            self.call(HookPoint.ON_THROTTLE, reason=reason)

    def patience(self) -> Patience:
        """Return what one piece of work waits with when the engine is busy, full or away."""
        limit_s = self.target.config.swap.patience
        return Patience(limit_s, check=self.check, told=self.held_up, sleep=self.sleep)

    def writer(self, generation: Generation) -> EmbeddingWriter:
        """Return what writes a generation's slot, as patient as this run."""
        return self.target.writer_for(generation, self.lease, patience=self.patience)

    def call(self, point: HookPoint, **facts: str) -> None:
        """Run the operator's hooks at this point. Raises HookRefusedError where they guard."""
        self.hooks.run(point, {"target": self.target.name, **facts})


@contextmanager
def open_run(target: Target, lease: Lease, reporter: Reporter) -> Iterator[Run]:
    """Give what one re-embedding works with, and tell the hooks how it ended."""
    run = Run(
        target=target,
        lease=lease,
        reporter=reporter,
        throttle=Throttle((), told=lambda reason: run.held_up(reason)),
        controls=Controls(target.store, target.name),
        hooks=Hooks(),
    )
    try:
        yield run
    except DesirelineError as error:
        run.call(HookPoint.ON_FAILURE, reason=str(error))
        raise
    run.call(HookPoint.ON_SUCCESS)
