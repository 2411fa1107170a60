"""What one synthesis is asked for, and the models that it may ask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from desireline.trainer.synthesis.deadline import Deadline
from desireline.trainer.synthesis.making import Judge
from desireline.trainer.synthesis.relations import Search
from desireline.trainer.synthesis.rows import Source
from desireline.trainer.synthesis.settings import Progress, QueryWriter, SynthesisSettings
from desireline.trainer.synthesis.sources import Documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one synthesis is to be made of, and where it goes."""

    documents: Source
    #: None: they are written, or cut from titles.
    queries: Source | None
    #: Folder of the result; work lies beside it until it is there.
    out: Path
    settings: SynthesisSettings
    deadline: Deadline
    progress: Progress

    @property
    def work(self) -> Path:
        """Where pieces are kept."""
        return self.out.with_name(f"{self.out.name}.synthesis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The models, ready to be asked."""

    #: Makes the searches over documents; the folder is where their pieces go.
    searches: Callable[[Documents, Path], Sequence[Search]]
    judge: Judge
    judge_name: str
    writer: QueryWriter | None = None
