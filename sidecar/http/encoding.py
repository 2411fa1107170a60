"""Texts into vectors beside the event loop, those that wait together in one batch."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from desireline.connectors.documents import Vectors
from desireline.sidecar.http.refusals import BusyError
from desireline.sidecar.http.settings import HttpSettings
from desireline.sidecar.reports.telemetry import Metrics
from desireline.trainer.encoders.base import Encoder

Kind = Literal["query", "document"]


@dataclass(slots=True, kw_only=True)
class _Job:
    texts: Sequence[str]
    vectors: asyncio.Future[Vectors]


@dataclass(slots=True, kw_only=True)
class _Lane:
    """Jobs that one run of the encoder can take together."""

    encoder: Encoder
    kind: Kind
    jobs: deque[_Job] = field(default_factory=deque)


class Encoding:
    """One thread that encodes; belongs to one event loop.

    While the encoder runs, what arrives waits and is then encoded together: under load the
    batches grow by themselves, and without load nobody waits. Large requests are cut into
    batches, and queries go before documents, so that a search never waits for a bulk of texts.
    """

    def __init__(self, settings: HttpSettings, metrics: Metrics) -> None:
        self._batch = settings.encode_batch
        self._max_waiting = settings.max_waiting_texts
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="desireline-encode")
        self._lanes: dict[tuple[Kind, str], _Lane] = {}
        self._waiting = 0
        self._running: asyncio.Task[None] | None = None

    async def encode(self, encoder: Encoder, texts: Sequence[str], kind: Kind) -> Vectors:
        """Return the vectors of the texts, in their order. Raises BusyError."""
        if self._waiting + len(texts) > self._max_waiting:
            raise BusyError(
                f"{self._waiting:,} texts wait for the encoder already",
                next_step="try again in a moment",
            )
        loop = asyncio.get_running_loop()
        jobs = [
            _Job(texts=texts[start : start + self._batch], vectors=loop.create_future())
            for start in range(0, len(texts), self._batch)
        ]
        lane = self._lanes.setdefault(
            (kind, encoder.fingerprint), _Lane(encoder=encoder, kind=kind)
        )
        lane.jobs.extend(jobs)
        self._waiting += len(texts)
        if self._running is None:
            self._running = loop.create_task(self._run())
        return np.concatenate(await asyncio.gather(*(job.vectors for job in jobs)))

    def close(self) -> None:
        """Let the run under way end and take no more."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _run(self) -> None:
        try:
            while self._lanes:
                lane, jobs = self._take()
                await self._encode(lane, jobs)
        finally:
            self._running = None

    def _take(self) -> tuple[_Lane, list[_Job]]:
        name = min(self._lanes, key=lambda name: name[0] != "query")
        lane = self._lanes[name]
        jobs = [lane.jobs.popleft()]
        room = self._batch - len(jobs[0].texts)
        while lane.jobs and len(lane.jobs[0].texts) <= room:
            jobs.append(lane.jobs.popleft())
            room -= len(jobs[-1].texts)
        if not lane.jobs:
            del self._lanes[name]
        return lane, jobs

    async def _encode(self, lane: _Lane, jobs: list[_Job]) -> None:
        texts = [text for job in jobs for text in job.texts]
        encode = (
            lane.encoder.encode_queries if lane.kind == "query" else lane.encoder.encode_documents
        )
        started = time.perf_counter()
        try:
            vectors = await asyncio.get_running_loop().run_in_executor(self._thread, encode, texts)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear it
            _settle(jobs, error)
            return
        finally:
            self._waiting -= len(texts)
        self._metrics.encoded(lane.kind, len(texts), time.perf_counter() - started)
        _settle(jobs, vectors)


def _settle(jobs: list[_Job], outcome: Vectors | Exception) -> None:
    start = 0
    for job in jobs:
        end = start + len(job.texts)
        if not job.vectors.cancelled():
            if isinstance(outcome, Exception):
                job.vectors.set_exception(outcome)
            else:
                job.vectors.set_result(outcome[start:end])
        start = end
