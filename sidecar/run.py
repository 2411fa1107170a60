"""One re-embedding under way: whose it is, who is told, and what may hold it up."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import structlog

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.errors import RunCancelledError
from desireline.sidecar.generations import Generation
from desireline.sidecar.hooks.points import HookPoint, Hooks
from desireline.sidecar.lease import Lease
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.steering.controls import Controls
from desireline.sidecar.steering.run_status import RunReporter, telling
from desireline.sidecar.steering.steps import Step
from desireline.sidecar.target import Target
from desireline.sidecar.throttling.throttle import Throttle
from desireline.sidecar.throttling.watched_throttle import watched_throttle
from desireline.sidecar.writing.embedding_writer import EmbeddingWriter
from desireline.sidecar.writing.patience import Patience

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every stage of a re-embedding is given."""

    target: Target
    lease: Lease
    reporter: Reporter
    throttle: Throttle
    controls: Controls
    hooks: Hooks
    status: RunReporter
    sleep: Callable[[float], None]

    def reached(self, step: Step) -> None:
        """Say that a step was passed."""
        self.status.reached(step)
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
        return self.controls.why_postponed()

    def may_write(self, documents: int) -> None:
        """Return when so many documents may be written. Raises as `check` does."""
        self.lease.check()
        self.throttle.wait(self.lease, documents)

    def held_up(self, reason: str) -> None:
        """Tell why nothing is written at present; the empty string when it goes on."""
        self.status.throttled(reason)
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
def open_run(
    target: Target,
    lease: Lease,
    reporter: Reporter,
    *,
    fingerprint: str,
    in_place: bool = False,
) -> Iterator[Run]:
    """Give what one re-embedding works with; keep and tell the hooks how it ended.

    Args:
        target: whose index is embedded again.
        lease: under which this process writes.
        reporter: who is told.
        fingerprint: of the encoder; its dimension says how much will be written.
        in_place: whether live vectors may be searched as they are, where they can: then nothing is.

    """

    def held_up(reason: str) -> None:
        run.held_up(reason)

    number = f"{target.clock():%Y%m%dT%H%M%S.%f}Z"
    told = telling(
        reporter,
        store=target.store,
        target=target.name,
        run=number,
        fencing=lease.fencing,
        clock=target.clock,
    )
    with told as status, _noted(target.controls, number) as controls, ExitStack() as stack:
        throttle = stack.enter_context(
            watched_throttle(
                target.config.throttle,
                target.engine,
                index=target.config.index,
                live=target.generations.live(),
                lease=lease,
                told=held_up,
                control=controls.read,
                need=target.need(fingerprint, in_place=in_place),
                note=lambda sentence: status.step("throttle", sentence),
                sleep=target.sleep,
            )
        )
        run = Run(
            target=target,
            lease=lease,
            reporter=status,
            throttle=throttle,
            controls=controls,
            hooks=target.hooks,
            status=status,
            sleep=target.sleep,
        )
        try:
            yield run
        except DesirelineError as error:
            run.call(HookPoint.ON_FAILURE, reason=str(error))
            raise
        run.call(HookPoint.ON_SUCCESS)


@contextmanager
def _noted(controls: Controls, run: str) -> Iterator[Controls]:
    """Let a cancel find this run, and no later one."""
    controls.begin(run)
    try:
        yield controls
    finally:
        try:
            controls.end(run)
        except DesirelineError as error:
            log.warning(
                "the end of the run was not noted; the next one notes it", reason=str(error)
            )
