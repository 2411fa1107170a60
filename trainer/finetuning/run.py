"""What `fit` gives back: the tuned encoder's folder and how it came about."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from desireline.connectors.documents import Vectors
from desireline.trainer.errors import TrainerError

Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRun:
    """A finished training. `SentenceTransformer(run.folder)` loads what it made."""

    folder: Path
    #: On the evaluation data; None where there was none.
    before: Metrics | None
    after: Metrics | None
    #: Measures by steps done, 0 before training.
    history: Mapping[int, Metrics]
    #: The loss of every step.
    losses: tuple[float, ...]
    #: The step whose weights these are.
    best_step: int
    batch_size: int
    learning_rate: float
    seconds: float
    #: How training went, in one line.
    sentence: str

    def metrics(self) -> dict[str, Metrics]:
        """Return the measures before and after."""
        return {"before": self.before or {}, "after": self.after or {}}

    def display_metrics(self) -> str:
        """Return the table of measures before and after, as text."""
        if self.before is None or self.after is None:
            return "no evaluation data was given: nothing was measured"
        lines = [f"{'measure':<12}{'before':>8}{'after':>8}{'gain':>9}"]
        for name, after in self.after.items():
            before = self.before[name]
            gain = f"{(after - before) / before:+.1%}" if before else ""
            lines.append(f"{name:<12}{before:>8.4f}{after:>8.4f}{gain:>9}")
        return "\n".join(lines)

    def encode(self, texts: Sequence[str], *, role: str = "document") -> Vectors:
        """Encode texts with the tuned encoder; `role` is document or query."""
        from desireline.trainer.encoders.sentence_transformers import (  # noqa: PLC0415 - seconds of torch
            SentenceTransformerEncoder,
        )

        encoder = SentenceTransformerEncoder(self.folder)
        return encoder.encode_queries(texts) if role == "query" else encoder.encode_documents(texts)

    def save(self, folder: Path | str) -> Path:
        """Copy the tuned encoder's folder. Raises TrainerError if there is one already."""
        target = Path(folder).expanduser()
        if target.exists():
            raise TrainerError(f"{target} exists already; a trained encoder is never written over")
        shutil.copytree(self.folder, target)
        return target

    def to_json(self) -> str:
        """Give everything as one JSON object."""
        return json.dumps({**asdict(self), "folder": str(self.folder)})

    @classmethod
    def from_json(cls, text: str) -> "FitRun":
        """Take what `to_json` gave."""
        read = json.loads(text)
        history = {int(step): metrics for step, metrics in read.pop("history").items()}
        folder, losses = Path(read.pop("folder")), tuple(read.pop("losses"))
        return cls(folder=folder, losses=losses, history=history, **read)
