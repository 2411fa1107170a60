"""``/v1/targets/{target}/…``: the hand on a run, for programs. Every call is safe to repeat."""

from functools import partial
from typing import Any, Literal

import orjson
from starlette.responses import Response

from desireline.sidecar.http.admin import audit, known_target
from desireline.sidecar.http.bodies import (
    CancelBody,
    EraseBody,
    NothingBody,
    ReindexBody,
    RevertBody,
    ThrottleBody,
    idempotency_key,
    read,
)
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.requests import Call
from desireline.sidecar.http.routes import Handler, Route, path
from desireline.sidecar.http.threads import Threads
from desireline.sidecar.on_request.api_keys import Scope
from desireline.sidecar.steering.controls import Wish


class Steering:
    """Answers what an operator asks of a run over HTTP."""

    def __init__(self, operations: Operations, threads: Threads) -> None:
        self._operations = operations
        self._threads = threads

    def routes(self) -> tuple[Route, ...]:
        """Return the routes, one for each wish and the rest."""
        plain = (Wish.PAUSE, Wish.RESUME, Wish.POSTPONE, Wish.CUT_OVER)
        return (
            *(_post(wish.value, partial(self.wish, wish)) for wish in plain),
            _post(Wish.THROTTLE.value, self.throttle),
            _post(Wish.CANCEL.value, self.cancel),
            _post("revert", self.revert),
            _post("reindex", self.reindex),
            _post("erase", self.erase),
            Route(
                name="run",
                method="GET",
                path=path("/v1/targets/{target}/run"),
                handler=self.run,
                scope=Scope.READ,
            ),
        )

    async def run(self, call: Call) -> Response:
        """Say where the run under way, or last ended, stands."""
        target = known_target(self._operations, call)
        return _json(await self._threads.run(self._operations.run, target))

    async def wish(self, wish: Wish, call: Call) -> Response:
        """Note a wish that needs no more words."""
        target = known_target(self._operations, call)
        read(call.body, NothingBody)
        return await self._steer(call, target, wish)

    async def throttle(self, call: Call) -> Response:
        """Limit the rate, or lift the limit."""
        target = known_target(self._operations, call)
        rate = read(call.body, ThrottleBody).documents_a_second
        return await self._steer(call, target, Wish.THROTTLE, documents_a_second=rate)

    async def cancel(self, call: Call) -> Response:
        """Give a run up."""
        target = known_target(self._operations, call)
        run = read(call.body, CancelBody).run
        return await self._steer(call, target, Wish.CANCEL, run=run)

    async def revert(self, call: Call) -> Response:
        """Go back to the retained generation."""
        target = known_target(self._operations, call)
        to = read(call.body, RevertBody).generation
        sentence = await self._threads.run(self._operations.revert, target, to)
        audit("reverted over http", call, target)
        return _json({"target": target, "message": sentence})

    async def reindex(self, call: Call) -> Response:
        """Begin to embed every document again."""
        target = known_target(self._operations, call)
        asked = read(call.body, ReindexBody)
        key = idempotency_key(call.request.headers.get("idempotency-key"))
        sentence = await self._threads.run(
            self._operations.start_reindex,
            target,
            asked.model,
            by=_who(call),
            way=asked.way,
            end_hold=asked.end_hold,
            # Callers are told apart: one must not meet the other's key.
            key=None if key is None else f"{call.key and call.key.key_id} {target} {key}",
        )
        audit("a re-embedding asked for over http", call, target)
        return _json({"target": target, "message": sentence})

    async def erase(self, call: Call) -> Response:
        """Remove a client or a query from everything kept; the answer proves it."""
        target = known_target(self._operations, call)
        asked = read(call.body, EraseBody)
        what: Literal["client", "query"] = "query" if asked.client_id is None else "client"
        report = await self._threads.run(
            self._operations.erase,
            target,
            what,
            asked.client_id or asked.query or "",
            by=_who(call),
        )
        audit(f"a {what} erased over http", call, target)
        return _json({"message": report.sentence, **report.to_json()})

    async def _steer(self, call: Call, target: str, wish: Wish, **more: Any) -> Response:
        answer = await self._threads.run(
            self._operations.steer, target, wish, by=_who(call), **more
        )
        audit(f"{wish} over http", call, target)
        return _json({"target": target, "message": answer.sentence, "changed": answer.changed})


def _post(name: str, handler: Handler) -> Route:
    return Route(
        name=name,
        method="POST",
        path=path(f"/v1/targets/{{target}}/{name}"),
        handler=handler,
        scope=Scope.ADMIN,
    )


def _who(call: Call) -> str:
    return f"the key {call.key.name!r}" if call.key else "nobody"


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body, default=str), media_type="application/json")
