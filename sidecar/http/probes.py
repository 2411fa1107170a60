"""``/healthz`` and ``/metrics``, open to whoever watches the process."""

from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.http.operations import Operations
from desireline.sidecar.http.requests import Call
from desireline.sidecar.reports.telemetry import Metrics


class Probes:
    """Answers what load balancers and Prometheus ask."""

    def __init__(self, operations: Operations, metrics: Metrics) -> None:
        self._operations = operations
        self._metrics = metrics

    async def health(self, _call: Call) -> Response:
        """Say which generation serves each target; 503 when none serves any."""
        targets = {name: self._target(name) for name in self._operations.targets()}
        serving = [target["generation"] is not None for target in targets.values()]
        status = "ok" if serving and all(serving) else "degraded" if any(serving) else "unavailable"
        code = HTTPStatus.OK if any(serving) else HTTPStatus.SERVICE_UNAVAILABLE
        body = orjson.dumps({"status": status, "targets": targets})
        return Response(body, code, media_type="application/json")

    async def metrics(self, _call: Call) -> Response:
        """Return the metrics in the Prometheus text format."""
        for name in self._operations.targets():
            number = self._target(name)["generation"]
            if number is not None:
                self._metrics.live(name, number)
        return Response(
            self._metrics.render(), headers={"Content-Type": self._metrics.content_type}
        )

    def _target(self, name: str) -> dict[str, Any]:
        try:
            return {"generation": self._operations.live(name).number}
        except DesirelineError as error:
            return {"generation": None, "reason": str(error)}
