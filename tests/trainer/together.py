"""Runs under torchrun: `together.py folder [killed]`; each process writes what it saw to a file."""

import itertools
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig
from desireline.trainer.pairs import PairSet
from desireline.trainer.peers import peers

ROWS = list(range(23))
LOSSES = {
    "infonce": {},
    "cached": {"chunk": 5},
    "matryoshka": {"dimensions": [8, 32]},
    "metric_learning": {"loss": "ArcFaceLoss"},
    "cosent": {},
}


def gradients(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Return loss and gradients of one batch, of every loss and both kinds of encoder."""
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
    from desireline.trainer.lessons import Lessons
    from desireline.trainer.losses.vectors import make_loss
    from desireline.trainer.training.batch_loading import Collator

    pairs = PairSet.read(folder / "pairs")
    lessons = Lessons.of(pairs, hard_negatives=0)
    found = {}
    for kind, (name, settings) in itertools.product(("bert", "static"), LOSSES.items()):
        if kind == "static" and name == "matryoshka":
            continue
        torch.manual_seed(0)
        model = load_sentence_transformer(folder / kind).eval()
        loss = make_loss(name, model, lessons, settings)
        batch = Collator(model, lessons, FitConfig())([{"label": row} for row in ROWS])
        features = [
            {key.removeprefix(part): value for key, value in batch.items() if key.startswith(part)}
            for part in ("query_", "document_")
        ]
        value = loss(features, batch["label"])
        value.backward()
        weights = dict(model.named_parameters())
        peers().add_up(each.grad for each in weights.values())
        found[f"{kind} {name}"] = {"loss": [value.item()]} | {
            name: each.grad.reshape(-1).tolist()
            for name, each in weights.items()
            if each.grad is not None
        }
    return found


def training(folder: Path, *, killed: bool = False) -> dict[str, object]:
    """Train, one of them to its death where that is asked for; return what was seen."""
    from desireline.trainer.training.tuning import tune_pairs

    told = []

    class Looking:
        def begin(self, training):
            pass

        def stepped(self, training):
            self.steps = len(training.losses)
            if killed and peers().number == 1 and self.steps == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        def end(self, training):
            self.weights = {n: w.detach().numpy().copy() for n, w in training.trained.items()}

    looking = Looking()
    tuned = tune_pairs(
        PairSet.read(folder / "pairs"),
        folder / "bert",
        folder / "out",
        FitConfig(max_steps=4, epochs=50, batch_documents=8, precision="float32", threads=1),
        progress=lambda done, total, loss: told.append(done),
        watchers=[looking],
    )
    np.savez(folder / f"weights-{peers().number}.npz", **looking.weights)
    return {"steps": looking.steps, "losses": tuned.losses, "told": told, "out": tuned.folder.name}


def main() -> None:
    torch.set_num_threads(1)
    folder, killed = Path(sys.argv[1]), "killed" in sys.argv
    number = peers().number
    try:
        found = {"training": training(folder, killed=killed), "gradients": gradients(folder)}
    except TrainerError as error:
        # Read by the test: torchrun may end this one before it is waited for.
        (folder / f"error-{number}.txt").write_text(f"{error}\n{error.next_step}")
        raise SystemExit(1) from error
    (folder / f"seen-{number}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
