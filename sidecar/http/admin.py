"""``/v1/targets``: where each target stands, as JSON, and how a cycle is started.

That is safe to repeat: a cycle that runs is not started twice.
"""

from typing import Any

import orjson
import structlog
from starlette.responses import Response

from desireline.sidecar.errors import TargetUnknownError
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.refusals import NotFoundError
from desireline.sidecar.http.requests import Call
from desireline.sidecar.http.threads import Threads
from desireline.sidecar.models.description import find

_log = structlog.get_logger(__name__)


class Admin:
    """Answers ``/v1/targets`` and what lies below."""

    def __init__(self, operations: Operations, threads: Threads) -> None:
        self._operations = operations
        self._threads = threads

    async def targets(self, _call: Call) -> Response:
        """List the targets."""
        return _json({"targets": self._operations.targets()})

    async def status(self, call: Call) -> Response:
        """Say where a target stands."""
        target = known_target(self._operations, call)
        status = await self._threads.run(self._operations.status, target)
        return _json({"target": target, **status})

    async def generations(self, call: Call) -> Response:
        """List the generations of a target."""
        target = known_target(self._operations, call)
        found = await self._threads.run(self._operations.generations, target)
        return _json({"target": target, "generations": found})

    async def cycle(self, call: Call) -> Response:
        """Report the last cycle of a target."""
        target = known_target(self._operations, call)
        report = await self._threads.run(self._operations.last_cycle, target)
        if report is None:
            raise NotFoundError(f"no cycle of {target!r} has run yet")
        return _json({"target": target, "cycle": report})

    async def models(self, call: Call) -> Response:
        """List the encoders that a target has to do with, newest first."""
        target = known_target(self._operations, call)
        found = await self._threads.run(self._operations.models_of, target)
        return _json({"target": target, "models": [model.to_json() for model in found]})

    async def model(self, call: Call) -> Response:
        """Describe one encoder, by its fingerprint or a generation's number."""
        target = known_target(self._operations, call)
        found = await self._threads.run(self._operations.models_of, target)
        model = find(found, call.arguments["model"])
        return _json({"target": target, "model": model.to_json()})

    async def intent(self, call: Call) -> Response:
        """Say how good the intent head is that serves."""
        target = known_target(self._operations, call)
        found = await self._threads.run(self._operations.intent_standing, target)
        if found is None:
            raise NotFoundError(
                f"target {target!r} learns no intent",
                next_step=f'set category = "FIELD" in [targets.{target}.intent]',
            )
        return _json({"target": target, "intent": found})

    async def logs(self, call: Call) -> Response:
        """Report the health of a target's click log, as read last."""
        target = known_target(self._operations, call)
        view = await self._threads.run(self._operations.log_report, target)
        if view["report"] is None:
            raise NotFoundError(
                f"the click log of {target!r} has not been read yet",
                next_step=f"POST /v1/targets/{target}/logs reads it; so does desireline logs",
            )
        return _json({"target": target, "reading": view["reading"], "logs": view["report"]})

    async def read_logs(self, call: Call) -> Response:
        """Begin to read the click log."""
        target = known_target(self._operations, call)
        sentence = await self._threads.run(self._operations.start_log_reading, target)
        audit("a reading of the click log was asked for over http", call, target)
        return _json({"target": target, "message": sentence})

    async def tune(self, call: Call) -> Response:
        """Start a cycle."""
        target = known_target(self._operations, call)
        sentence = await self._threads.run(self._operations.start_cycle, target)
        audit("cycle asked for over http", call, target)
        return _json({"target": target, "message": sentence})


def known_target(operations: Operations, call: Call) -> str:
    """Return the target that the path names. Raises TargetUnknownError."""
    target = call.arguments["target"]
    if target not in operations.targets():
        raise TargetUnknownError(
            f"no target is called {target[:80]!r}",
            next_step=f"name one of {', '.join(operations.targets()) or 'none: configure one'}",
        )
    return target


def audit(sentence: str, call: Call, target: str) -> None:
    """Log who did what to which target."""
    key = call.key or (call.sign_in.key if call.sign_in else None)
    _log.info(sentence, target=target, by=key.name if key else None, key_id=key and key.key_id)


def _json(body: dict[str, Any]) -> Response:
    option = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    return Response(orjson.dumps(body, default=str, option=option), media_type="application/json")
