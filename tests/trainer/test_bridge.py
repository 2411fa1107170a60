"""A bridge finds the old documents by the new encoder's queries, as far as a linear map can."""

from pathlib import Path

import numpy as np
import pytest

from desireline.connectors.documents import TextTemplate, Vectors
from desireline.trainer.bridge import FEWEST, fit_bridge, procrustes, register_bridge, ridge
from desireline.trainer.errors import NothingToLearnError, NotQuerySideError
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.registry import Registry

TEMPLATE = TextTemplate(fields=("title",))
WORDS = ("red", "blue", "shoe", "running", "garden", "nurse", "software", "lamp", "green", "tea")
TEXTS = [f"{a} {b} {n}" for n, a in enumerate(WORDS) for b in WORDS]


def unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def rows() -> Vectors:
    return unit(np.random.default_rng(1).standard_normal((300, 8)).astype(np.float32))


def test_a_rotation_is_found_exactly(rows: Vectors) -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((8, 8)))
    old = (rows @ turn).astype(np.float32)
    np.testing.assert_allclose(procrustes(rows, old), turn, atol=1e-5)
    found = fit_bridge(rows, old)
    assert found.likeness > 0.9999
    np.testing.assert_allclose(unit(rows @ found.matrix), old, atol=0.01)


def test_what_is_found_by_procrustes_is_a_rotation_whatever_the_vectors(rows: Vectors) -> None:
    other = unit(np.random.default_rng(3).standard_normal((300, 8)).astype(np.float32))
    turn = procrustes(rows, other)
    np.testing.assert_allclose(turn @ turn.T, np.eye(8), atol=1e-5)


def test_a_map_that_is_no_rotation_is_found_by_the_ridge(rows: Vectors) -> None:
    stretch = np.diag(np.linspace(0.2, 2.0, 8)).astype(np.float32)
    old = unit(rows @ stretch)
    found = fit_bridge(rows, old)
    assert found.kind.startswith("ridge")
    turned = unit(rows @ procrustes(rows, old))
    assert found.likeness > float((turned * old).sum(axis=1).mean())


def test_a_map_of_low_rank_is_of_that_rank_and_the_whole_one_at_full_rank(rows: Vectors) -> None:
    old = unit(rows @ np.random.default_rng(4).standard_normal((8, 8)).astype(np.float32))
    assert np.linalg.matrix_rank(ridge(rows, old, penalty=1e-3, rank=3), tol=1e-4) == 3
    np.testing.assert_allclose(
        ridge(rows, old, penalty=1e-3, rank=8), ridge(rows, old, penalty=1e-3), atol=1e-4
    )


def test_spaces_of_other_lengths_are_bridged_too(rows: Vectors) -> None:
    wide = np.random.default_rng(5).standard_normal((8, 12)).astype(np.float32)
    found = fit_bridge(rows, unit(rows @ wide))
    assert found.matrix.shape == (8, 12)
    assert found.likeness > 0.99


def test_it_is_judged_by_documents_it_was_not_fitted_on(rows: Vectors) -> None:
    """Noise has no map; one that saw its judges would find one in few rows."""
    few = unit(np.random.default_rng(6).standard_normal((40, 32)).astype(np.float32))
    noise = unit(np.random.default_rng(7).standard_normal((40, 32)).astype(np.float32))
    assert abs(fit_bridge(few, noise).likeness) < 0.4
    assert fit_bridge(rows, rows, seed=1).likeness == pytest.approx(1, abs=1e-4)


def test_too_few_documents_are_refused(rows: Vectors) -> None:
    with pytest.raises(NothingToLearnError, match=str(FEWEST)):
        fit_bridge(rows[: FEWEST - 1], rows[: FEWEST - 1])


def test_a_bridge_is_a_query_side_model_over_the_old_documents(
    tmp_path: Path, exported_static: Path, exported_bert: Path
) -> None:
    registry = Registry(tmp_path / "models")
    old, new = (
        registry.add(
            folder,
            template=TEMPLATE,
            similarity="cosine",
            provenance=Provenance(base_model=folder.name),
        ).fingerprint
        for folder in (exported_bert, exported_static)
    )
    manifest, found = register_bridge(registry, new=new, old=old, texts=TEXTS)
    assert (manifest.documents, manifest.provenance.mode) == (old, "bridge")
    assert (manifest.provenance.parent, manifest.dimension) == (new, registry.get(old).dimension)
    bridge, before, after = (registry.load(name) for name in (manifest.fingerprint, old, new))
    np.testing.assert_allclose(
        bridge.encode_queries(TEXTS), unit(after.encode_queries(TEXTS) @ found.matrix), atol=1e-4
    )
    np.testing.assert_array_equal(bridge.encode_documents(TEXTS), before.encode_documents(TEXTS))
    with pytest.raises(NotQuerySideError, match="no new space"):
        register_bridge(registry, new=manifest.fingerprint, old=old, texts=TEXTS)
    again, _ = register_bridge(registry, new=new, old=manifest.fingerprint, texts=TEXTS)
    assert again.documents == old, "never a chain"
