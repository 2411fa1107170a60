"""Programs and webhooks of the operator at the named points of a run."""

from collections.abc import Mapping, Sequence

import structlog

from desireline.sidecar.configuration.hooks import HookConfig, HookPoint
from desireline.sidecar.errors import HookFailedError, HookRefusedError
from desireline.sidecar.hooks.program import run_program
from desireline.sidecar.hooks.webhook import WebhookCaller

__all__ = ["HookPoint", "Hooks"]

log = structlog.get_logger(__name__)


class Hooks:
    """The hooks of one target."""

    def __init__(
        self,
        hooks: Sequence[HookConfig] = (),
        *,
        environment: Mapping[str, str] | None = None,
        webhooks: WebhookCaller | None = None,
    ) -> None:
        self._hooks = tuple(hooks)
        #: Of child programs; holds no secret.
        self._environment = dict(environment or {})
        self._webhooks = webhooks

    def run(self, point: HookPoint, facts: Mapping[str, str]) -> None:
        """Run what stands at this point, in the file's order; each is bounded in time.

        Raises:
            HookRefusedError: one that guards said no; those after it were not asked.

        """
        told = {"hook": point.value, **facts}
        for hook in self._hooks:
            if hook.point is point:
                self._run_one(hook, told)

    def _run_one(self, hook: HookConfig, facts: Mapping[str, str]) -> None:
        try:
            self._call(hook, facts)
        except HookFailedError as error:
            if hook.stops:
                raise HookRefusedError(
                    f"the hook {hook.name} at {hook.point} said no: {error};"
                    " what serves is unchanged",
                    next_step="mend what it found and run the command again: it goes on where it"
                    ' stopped; on_failure = "ignore" lets it fail',
                ) from error
            log.warning(
                "a hook failed and is ignored",
                hook=hook.name,
                point=hook.point.value,
                reason=str(error),
            )
        else:
            log.info("a hook agreed", hook=hook.name, point=hook.point.value)

    def _call(self, hook: HookConfig, facts: Mapping[str, str]) -> None:
        if hook.program is not None:
            run_program(hook.program, facts, environment=self._environment, timeout_s=hook.timeout)
        elif hook.webhook is not None:
            (self._webhooks or WebhookCaller()).post(hook.webhook, facts, timeout_s=hook.timeout)
