"""What a training tells the trackers that `report_to` names, by transformers' own integrations.

They are told the settings of the training, its loss, its learning rate and what was measured; not
the encoder, not a query, not a document. One that fails hears no more, and training goes on.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.integrations import integration_utils

from desireline.trainer.errors import TrackerError
from desireline.trainer.jobs import FitConfig
from desireline.trainer.peers import peers
from desireline.trainer.training.library_trainer import arguments
from desireline.trainer.training.watching import Training, Watcher

log = structlog.get_logger(__name__)


def trackers_of(config: FitConfig) -> list[Watcher]:
    """Return who follows a training for the trackers; nobody where none is named.

    Raises:
        TrackerError: there is no such tracker, or its library is missing.

    """
    if not config.report_to or not peers().leads:
        return []
    return [Reports(open_trackers(config.report_to), config)]


def open_trackers(names: Iterable[str]) -> dict[str, TrainerCallback]:
    """Make transformers' callback of each tracker.

    Raises:
        TrackerError: there is no such tracker, or its library is missing.

    """
    return {name: _opened(name) for name in names}


def _opened(name: str) -> TrainerCallback:
    kinds: Any = integration_utils
    there = getattr(kinds, f"is_{name.removesuffix('_ml')}_available", lambda: True)
    try:
        if not there():
            raise ImportError(f"the library of {name} is not installed")  # noqa: TRY301 - one sentence for all
        made: TrainerCallback = kinds.get_reporting_integration_callbacks([name])[0]()
    except Exception as error:  # each integration misses its library in a way of its own
        raise TrackerError(
            f"report_to names {name!r}, which cannot be told anything here:"
            f" {' '.join(str(error).split())}; nothing was trained",
            next_step=f"install the library of {name}, or take it out of report_to",
        ) from error
    return made


class Reports:
    """Tells trackers of a training, step by step."""

    def __init__(self, trackers: dict[str, TrainerCallback], config: FitConfig) -> None:
        self._trackers = trackers
        self._config = config
        self._state = TrainerState()
        self._args: Any = None
        #: Steps whose measures were told.
        self._told: set[int] = set()

    def begin(self, training: Training) -> None:
        """Say with what settings training begins."""
        self._args = arguments(
            Path(self._config.report_folder or "."), self._config, training.steps
        )
        self._args.learning_rate = self._config.learning_rate
        self._args.weight_decay = self._config.weight_decay
        self._args.run_name = f"desireline {self._config.mode}"
        self._state = TrainerState(
            global_step=len(training.losses), max_steps=training.steps, logging_steps=1
        )
        self._tell("on_train_begin", model=_Described(_Settings(self._config)))
        self._tell_measures(training)

    def stepped(self, training: Training) -> None:
        """Say the step's loss, and what was measured since."""
        self._state.global_step = len(training.losses)
        rate = training.optimizer.param_groups[0]["lr"]
        self._tell("on_log", logs={"loss": training.losses[-1], "learning_rate": rate})
        self._tell_measures(training)

    def end(self, training: Training) -> None:
        """Say what was measured last, and that training is over."""
        self._tell_measures(training)
        self._tell("on_train_end")

    def _tell_measures(self, training: Training) -> None:
        for step in sorted(training.measured.keys() - self._told):
            self._told.add(step)
            figures = training.measured[step]
            logs = {f"eval_{name.replace('@', '_at_')}": value for name, value in figures.items()}
            now, self._state.global_step = self._state.global_step, step
            self._tell("on_log", logs=logs)
            self._state.global_step = now

    def _tell(self, what: str, **more: Any) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                getattr(tracker, what)(self._args, self._state, TrainerControl(), **more)
            except Exception as error:  # noqa: BLE001 - a tracker is never worth a night's training
                log.warning(
                    "a tracker failed and is told no more",
                    tracker=name,
                    error=type(error).__name__,
                )
                del self._trackers[name]


@dataclass(frozen=True, slots=True)
class _Settings:
    """The settings of a training, in the place where integrations look for a model's."""

    config: FitConfig

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as plain values."""
        settings: dict[str, Any] = self.config.model_dump(mode="json", exclude={"report_folder"})
        return settings

    def to_json_string(self) -> str:
        """Give them as text."""
        return json.dumps(self.to_dict(), indent=1)


@dataclass(frozen=True, slots=True)
class _Described:
    """In the place of the encoder: its weights are nobody's business."""

    config: _Settings
