"""`synthesize` as the child process is asked for it."""

import inspect
from typing import Any

from desireline.trainer.errors import SynthesisError
from desireline.trainer.jobs import SynthesizeJob
from desireline.trainer.synthesis.settings import AbsentWriter, Progress, SynthesisModels
from desireline.trainer.synthesis.synthesizing import synthesize


def synthesize_files(job: SynthesizeJob, progress: Progress) -> dict[str, object]:
    """Make rows, and tell what came out in plain values.

    Raises:
        SynthesisError: as `synthesize`; also an argument that it does not take.

    """
    models = SynthesisModels(
        relation_miner=job.relation_miners,
        cross_encoder=job.cross_encoder,
        query_writer=AbsentWriter(job.wrote) if job.wrote else job.query_writer,
        prompt=job.prompt,
        registry=job.registry,
    )
    arguments: dict[str, Any] = {**job.arguments, "models": models, "progress": progress}
    try:
        inspect.signature(synthesize).bind(**arguments)
    except TypeError as error:
        raise SynthesisError(f"synthesize cannot be asked so: {error}; nothing was made") from error
    run = synthesize(**arguments)
    return {
        "folder": str(run.folder),
        "file": str(run.file),
        "rows": run.rows,
        "queries": run.queries,
        "complete": run.complete,
        "sentence": run.sentence,
        "seconds": round(run.seconds, 1),
        "card": run.card,
    }
