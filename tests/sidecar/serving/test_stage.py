"""What an index loses is measured on the slot that is about to serve, apart from the encoder."""

from dataclasses import replace

import pytest

from desireline.connectors.documents import Document
from desireline.connectors.engines.memory import MemoryEngine
from desireline.sidecar.errors import CutOverRefusedError
from desireline.sidecar.serving.live import LiveGeneration
from desireline.sidecar.serving.stage import ServedRecall, refuse_lossy, served_recall
from desireline.trainer.encoders.fake import FakeEncoder

INDEX = "occupations"
QUERIES = [f"job {n} does thing {n}" for n in range(6)]


class Forgetful(MemoryEngine):
    """An engine whose graph loses every other of the nearest documents."""

    def search_vectors(self, index, slot, vector, k, *, generation):
        return super().search_vectors(index, slot, vector, 2 * k, generation=generation)[::2][:k]


@pytest.fixture
def shadow(world):
    world.engine.index_documents(
        INDEX,
        [
            Document(document_id=f"more {n}", fields={"title": f"job {n}", "description": "work"})
            for n in range(60)
        ],
    )
    lease = world.lease()
    generation = world.begin(0, "embedding__a")
    world.backfill(world.writer(generation, lease))
    return LiveGeneration(
        target="jobs",
        index=INDEX,
        number=generation.number,
        slot=generation.slot,
        fingerprint=generation.fingerprint,
        encoder=FakeEncoder(seed=0),
    )


def test_an_exact_engine_loses_nothing(world, shadow):
    found = served_recall(world.engine, shadow, QUERIES)
    assert found == ServedRecall(queries=6, recall=1.0, lowest=1.0)
    refuse_lossy(found, 1.0)


def test_an_index_that_loses_every_other_document_is_refused(world, shadow):
    world.engine.__class__ = Forgetful
    found = served_recall(world.engine, shadow, QUERIES)
    assert 0.4 < found.recall < 0.8
    with pytest.raises(CutOverRefusedError, match=r"swap\.min_recall asks for 90\.0%"):
        refuse_lossy(found, 0.9)


def test_another_encoder_over_the_slot_is_no_loss_of_the_index(world, shadow):
    assert served_recall(world.engine, replace(shadow, encoder=FakeEncoder(seed=1)), QUERIES) == (
        ServedRecall(queries=6, recall=1.0, lowest=1.0)
    )


def test_documents_of_another_generation_are_not_expected(world, shadow):
    other = replace(shadow, number=shadow.number + 1)
    assert served_recall(world.engine, other, QUERIES).queries == 0
