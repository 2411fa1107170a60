"""Cycles by the clock: missed ones run once, none overlaps.

APScheduler keeps its jobs in memory only; what ran and how it ended is in the state store,
as the reports of cycles.
"""

from collections.abc import Callable, Mapping

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.configuration.cron import cron_trigger
from desireline.sidecar.configuration.tune import TuneConfig

log = structlog.get_logger(__name__)

#: A start that was missed by less than this (the machine slept) still happens, once.
_GRACE_S = 6 * 3600


class Schedule:
    """Runs each target's cycle at its times, one at a time."""

    def __init__(
        self, configs: Mapping[str, TuneConfig], run_cycle: Callable[[str], object]
    ) -> None:
        self._scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(1)})
        for target, config in configs.items():
            if config.schedule is not None:
                self._scheduler.add_job(
                    _run,
                    cron_trigger(config.schedule, config.timezone),
                    args=(run_cycle, target),
                    id=target,
                    max_instances=1,
                    coalesce=True,
                    misfire_grace_time=_GRACE_S,
                )

    def start(self) -> None:
        """Begin to watch the clock, in a thread."""
        self._scheduler.start()

    def next_runs(self) -> dict[str, str]:
        """When each target runs next, ISO."""
        return {job.id: job.next_run_time.isoformat() for job in self._scheduler.get_jobs()}

    def stop(self) -> None:
        """Stop watching; a cycle that runs is waited for."""
        self._scheduler.shutdown(wait=True)


def _run(run_cycle: Callable[[str], object], target: str) -> None:
    try:
        run_cycle(target)
    except DesirelineError as error:
        log.warning("scheduled cycle failed", target=target, reason=str(error))
