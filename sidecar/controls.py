"""What the operator has told a target's run: pause, slow down, postpone the cut-over, cancel.

One record per target, changed by compare-and-set, read by whoever runs, wherever it runs. Every
change is idempotent and answers with one sentence.
"""

from pydantic import BaseModel, ConfigDict

from desireline.connectors.state_store import StateStore

CONTROL = "control"


class Control(BaseModel):
    """The operator's wishes; the default is to run at full speed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paused: bool = False
    #: Everything is done but the cut-over, which waits until this is lifted.
    postponed: bool = False
    cancelled: bool = False
    #: None: as fast as the measurements allow.
    documents_a_second: float | None = None


class Controls:
    """Reads and changes the record of one target."""

    def __init__(self, store: StateStore, target: str) -> None:
        self._store = store
        self._target = target

    def read(self) -> Control:
        """Return what the operator wants now."""
        record = self._store.get(CONTROL, self._target)
        return Control() if record is None else Control.model_validate(dict(record.body))
