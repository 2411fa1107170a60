"""opensearch-py-ml's own `train()`: run by the python of an environment that holds it.

    python peer.py PAIRS.json MODEL_FOLDER OUT PAIRS_TO_SEE BATCH

`PAIRS.json` is a list of [query, passage]. Its reply on the last line of standard output is JSON.
The seconds are those of its training loop: loading, tracing and zipping are left out.
"""

import json
import pickle
import random
import sys
import time
import zipfile
from pathlib import Path

import torch
from opensearch_py_ml.ml_models import sentencetransformermodel as package


class Timed(package.SentenceTransformerModel):
    """Notes the processor time when the loop is over; nothing else differs."""

    def patch_model_weights(self, model):
        self.ended = time.process_time()
        return super().patch_model_weights(model)


def main() -> None:
    pairs, base, out, seen, batch = sys.argv[1:6]
    torch.set_num_threads(1)
    random.seed(0)
    torch.manual_seed(0)
    known = json.loads(Path(pairs).read_text(encoding="utf-8"))
    random.shuffle(known)
    by_query = dict(known)  # its reader keeps one passage a query
    rows = [{"query": q, "passage": _as_generated(q, p)} for q, p in by_query.items()]
    rows = rows[: int(seen)]
    archive = Path(out).with_suffix(".queries.zip")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("queries.p", pickle.dumps(rows))
    began = []
    made = package.get_linear_schedule_with_warmup

    def schedule(*arguments, **named):
        began.append(time.process_time())
        return made(*arguments, **named)

    package.get_linear_schedule_with_warmup = schedule
    model = Timed(model_id=base, folder_path=out, overwrite=True)
    model.train(
        read_path=str(archive),
        overwrite=True,
        output_model_name="traced.pt",
        zip_file_name="traced.zip",
        num_epochs=1,
        batch_size=int(batch),
    )
    steps = len(rows) // int(batch)
    found = {"cpu_s": model.ended - began[0], "pairs": steps * int(batch), "steps": steps}
    print(json.dumps(found))


def _as_generated(query: str, passage: str) -> str:
    """Write a pair as its own query generator does; its reader fails on any other form."""
    return f"<|startoftext|>{passage} QRY: {query}"


if __name__ == "__main__":
    main()
