"""Proof whenever asked, of a target's slot or of any vector field of any index. Reads only."""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from desireline.connectors.documents import TextTemplate
from desireline.connectors.errors import FieldMissingError
from desireline.connectors.search_engine import Slot
from desireline.sidecar.errors import NoGenerationError, SidecarError
from desireline.sidecar.generations import Generation
from desireline.sidecar.models.base_encoder import registered
from desireline.sidecar.proof.document_checks import Expected
from desireline.sidecar.proof.reencoding import Draw
from desireline.sidecar.proof.vector_spaces import Sorter, Survey
from desireline.sidecar.proof.verification import Verification
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.target import Target
from desireline.sidecar.verify import inspect
from desireline.trainer.encoders.base import Encoder

#: Encoders that are tried where none is named: those of the newest generations.
_MOST_ENCODERS = 4


def audit_slot(
    target: Target, reporter: Reporter, *, slot: str | None = None, sample: int | None = None
) -> Verification:
    """Prove the generation of a slot, or without one the live generation.

    Raises:
        NoGenerationError: nothing was ever built there.
        PartialReadError: a shard did not answer; nothing was proved.

    """
    generation = _generation(target, slot)
    return inspect(
        target.engine,
        target.store,
        generation,
        target.registry.get(generation.fingerprint).text_template,
        sample=target.sample_for(generation, sample),
        reporter=reporter,
    )


def _generation(target: Target, slot: str | None) -> Generation:
    if slot is None:
        live = target.generations.live()
        if live is None:
            raise NoGenerationError(
                f"no generation serves {target.name!r}, so there is nothing to prove",
                next_step=f"desireline reindex {target.name}, or name another index with --index",
            )
        return live
    names = {slot, f"{target.config.vector}__{slot}"}
    built = [g for g in target.generations.all() if g.slot in names]
    if not built:
        raise NoGenerationError(
            f"no generation of {target.name!r} was ever built in a slot {slot!r}",
            next_step=f"desireline generations {target.name} lists them",
        )
    return built[-1]


def audit_index(
    target: Target,
    reporter: Reporter,
    *,
    index: str,
    vector: str,
    text: Sequence[str] = (),
    models: Sequence[str] = (),
    sample: int = 500,
) -> Survey:
    """Say of which encoder the vectors of a field are, whoever wrote them.

    Raises:
        FieldMissingError: the index has no such vector field.
        PartialReadError: a shard did not answer; nothing was found out.

    """
    described = target.engine.describe(index)
    if vector not in described.slots:
        raise FieldMissingError(
            f"{described.index} has no vector field {vector!r} compared by cosine or dot product;"
            f" it has: {', '.join(described.slots) or 'none'}",
            next_step="name one of them with --vector",
        )
    template = TextTemplate(fields=tuple(text) or target.config.template.fields)
    encoders = _encoders(target, described.slots[vector], models)
    sorter = Sorter(encoders=encoders, template=template, vector=vector)
    draw = Draw(size=sample, seed=0, total=described.documents)
    expected = Expected(
        slot=described.slots[vector], generation=0, template=template, last_fencing=0
    )
    documents = with_vector = 0
    low, high = float("inf"), 0.0
    for page in target.engine.enumerate(described.index, expected.read):
        held = [d for d in page if vector in d.embeddings]
        lengths = [float(np.linalg.norm(d.embeddings[vector])) for d in held]
        low, high = min([low, *lengths]), max([high, *lengths])
        with_vector += len(held)
        sorter.sort(draw.of(page))
        documents += len(page)
        reporter.progress("verify", documents, max(described.documents, documents))
    return Survey(
        index=described.index,
        vector=vector,
        documents=documents,
        with_vector=with_vector,
        drawn=sorter.drawn,
        by_encoder=dict(sorter.by_encoder.most_common()),
        of_none=sorter.of_none,
        nearest=sorter.nearest,
        examples=sorter.examples,
        lengths=(low, high) if with_vector else None,
    )


def _encoders(target: Target, slot: Slot, models: Sequence[str]) -> dict[str, Encoder]:
    """Return the encoders that may have made vectors of this dimension."""
    names = dict.fromkeys(_named(target, model) for model in models)
    if not names:
        newest = reversed(target.generations.all())
        # Of a query-side model nothing is compared but the encoder of its documents.
        names = dict.fromkeys(target.registry.get(each.fingerprint).space for each in newest)
        base = registered(target, target.config.model)
        if base is not None:
            names[base] = None
    fitting = (
        name for name in names if target.registry.get(name).settings.dimension == slot.dimension
    )
    return {name: target.encoders.get(name) for name in islice(fitting, _MOST_ENCODERS)}


def _named(target: Target, model: str) -> str:
    fingerprint = registered(target, model)
    if fingerprint is None:
        raise SidecarError(
            f"no encoder {model!r} is registered for {target.name!r}",
            next_step=f"desireline generations {target.name} lists encoders that are",
        )
    return fingerprint
