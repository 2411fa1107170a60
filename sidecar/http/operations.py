"""Port: what the server asks of the sidecar."""

from typing import Any, Literal, Protocol

from desireline.connectors.search_engine import Hit
from desireline.sidecar.erasing.erasure import ErasureReport
from desireline.sidecar.models.description import ModelDescription
from desireline.sidecar.serving.intent import Answered, Intents
from desireline.sidecar.serving.live import ClusterAddress, LiveGeneration, TargetFields
from desireline.sidecar.steering.controls import Answer, Wish


class Operations(Protocol):
    """The sidecar, as the server sees it.

    `targets`, `target_of_index`, `fields`, `live`, `intents` and `cluster` answer from memory and
    are called on the event loop; every other method may block and is called in a thread.
    All may raise a DesirelineError.
    """

    def targets(self) -> list[str]:
        """Names of the configured targets."""
        ...

    def target_of_index(self, index: str) -> str | None:
        """Return the target that an application means by this index or alias."""
        ...

    def fields(self, target: str) -> TargetFields:
        """Return the fields of a target's index. Raises TargetUnknownError."""
        ...

    def live(self, target: str) -> LiveGeneration:
        """Return the one object a query is answered by; its `index` is what to search.

        Raises:
            NoGenerationError: nothing serves this target yet.
            TargetUnknownError: no such target.

        """
        ...

    def cluster(self) -> ClusterAddress | None:
        """Return where searches go; None with an embedded engine."""
        ...

    def search(self, target: str, text: str, k: int) -> tuple[LiveGeneration, list[Hit]]:
        """Answer a query by the live generation."""
        ...

    def answer(self, target: str, text: str, k: int) -> Answered:
        """Answer a query by the live generation, and by what it means where the target says so."""
        ...

    def intents(self, target: str) -> Intents:
        """Return the heads that tell what queries of a target mean; from memory."""
        ...

    def search_retained(
        self, target: str, text: str, k: int
    ) -> tuple[LiveGeneration, list[Hit]] | None:
        """Answer it by the generation that a revert would bring back; None without one."""
        ...

    def search_text(self, target: str, field: str, text: str, k: int) -> list[Hit]:
        """Answer a query by BM25 over one field."""
        ...

    def generations(self, target: str) -> list[dict[str, Any]]:
        """Every generation, newest first.

        Keys: number, state, slot, fingerprint, parent, created_at (ISO), cycle, reason,
        coverage ``{"documents": n, "stamped": n}`` or None.
        """
        ...

    def last_cycle(self, target: str) -> dict[str, Any] | None:
        """Report of the last cycle, running or ended.

        As `CycleReport.to_json` has it: outcome, reason, started_at, ended_at, steps, measures
        ``{"bm25"|"base"|"incumbent"|"candidate": {"mrr@20": {"value", "low", "high"}}}``, and
        gain ``{"mrr@20": {"value", "low", "high"}}`` of candidate minus incumbent, if known.
        One that runs has progress and beat, as `standing.last_cycle` has them.
        """
        ...

    def status(self, target: str) -> dict[str, Any]:
        """Where the target stands; keys in the words of design.md."""
        ...

    def revert(self, target: str, to: int | None = None) -> str:
        """Go back to the retained generation, or the one named; safe to repeat."""
        ...

    def run(self, target: str) -> dict[str, Any]:
        """Where the run under way, or last ended, stands; as `steering.run_view` has it."""
        ...

    def steer(
        self,
        target: str,
        wish: Wish,
        *,
        by: str,
        documents_a_second: float | None = None,
        run: str | None = None,
    ) -> Answer:
        """Pause, resume, throttle, postpone, cut over or cancel; safe to repeat."""
        ...

    def start_reindex(
        self,
        target: str,
        model: str | None,
        *,
        by: str,
        way: Literal["auto", "slot", "index", "query"] = "auto",
        end_hold: bool = False,
        key: str | None = None,
    ) -> str:
        """Begin a re-embedding unless one runs; the same key again begins nothing."""
        ...

    def log_report(self, target: str) -> dict[str, Any]:
        """Health of the click log as read last.

        Keys: report (as `log_reports.report_of` has it; None before the first), reading (whether
        the log is being read here), failed (why the last reading begun here did).
        """
        ...

    def start_log_reading(self, target: str) -> str:
        """Begin to read the click log unless it is being read; return what was begun."""
        ...

    def erase(
        self, target: str, what: Literal["client", "query"], named: str, *, by: str
    ) -> ErasureReport:
        """Remove a client or a query from everything kept, and prove it; safe to repeat."""
        ...

    def models_of(self, target: str) -> list[ModelDescription]:
        """Describe the encoders that a target has to do with, newest first."""
        ...

    def intent_standing(self, target: str) -> dict[str, Any] | None:
        """Say how good the intent head is that serves, as `intent_standing` has it.

        None where the target learns no intent.
        """
        ...

    def start_cycle(self, target: str) -> str:
        """Start a cycle unless one runs; return the sentence that says which."""
        ...
