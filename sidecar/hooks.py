"""Programs and webhooks of the operator at the named points of a run."""

from collections.abc import Mapping
from enum import StrEnum


class HookPoint(StrEnum):
    """Where a hook may stand. Those named `before_` stop what they guard when they fail."""

    BEFORE_BACKFILL = "before_backfill"
    ON_THROTTLE = "on_throttle"
    ON_POSTPONED = "on_postponed"
    BEFORE_CUT_OVER = "before_cut_over"
    AFTER_CUT_OVER = "after_cut_over"
    BEFORE_REVERT = "before_revert"
    AFTER_REVERT = "after_revert"
    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"


class Hooks:
    """The hooks of one target."""

    def run(self, point: HookPoint, facts: Mapping[str, str]) -> None:
        """Run what stands at this point. Raises HookRefusedError where it guards."""
