"""A query-side model encodes queries alone; its documents are another registered model's."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from desireline.connectors.documents import TextTemplate
from desireline.trainer.encoders.base import CountingEncoder, Encoder
from desireline.trainer.encoders.settings import EncoderSettings, Prompts
from desireline.trainer.errors import (
    ModelChangedError,
    ModelInUseError,
    ModelMissingError,
    NotQuerySideError,
)
from desireline.trainer.forms.quantise import quantise
from desireline.trainer.models.manifest import MANIFEST, Manifest, Provenance
from desireline.trainer.registry import Registry

TEMPLATE = TextTemplate(fields=("title",))
TEXTS = ["red shoe", "software engineer"]

Add = Callable[..., Manifest]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def add(registry: Registry) -> Add:
    def add(folder: Path, documents: str | None = None, **changes: object) -> Manifest:
        parts = {
            "template": TEMPLATE,
            "similarity": "cosine",
            "provenance": Provenance(base_model="tiny", mode="query" if documents else "full"),
        }
        return registry.add(folder, documents=documents, **(parts | changes))

    return add


@pytest.fixture
def queries(exported_bert: Path, tmp_path: Path) -> Path:
    """Another query encoder: the same one, which reads some words before the query."""
    folder = tmp_path / "queries"
    shutil.copytree(exported_bert, folder)
    prompts = Prompts(query="what the user typed: ", document="never read: ")
    EncoderSettings.read(folder).model_copy(update={"prompts": prompts}).write(folder)
    return folder


def test_queries_are_its_own_and_documents_the_other_encoders(
    registry: Registry, add: Add, exported_bert: Path, queries: Path
) -> None:
    whole = registry.load(add(exported_bert).fingerprint)
    two = registry.load(add(queries, whole.fingerprint).fingerprint)
    assert (two.space, whole.space) == (whole.fingerprint, whole.fingerprint)
    assert (two.dimension, two.similarity) == (whole.dimension, whole.similarity)
    np.testing.assert_array_equal(two.encode_documents(TEXTS), whole.encode_documents(TEXTS))
    assert not np.allclose(two.encode_queries(TEXTS), whole.encode_queries(TEXTS), atol=1e-3)
    assert isinstance(two, CountingEncoder)
    assert two.stats.texts == len(TEXTS)


def test_the_manifest_names_the_encoder_of_the_documents(
    registry: Registry, add: Add, exported_bert: Path, queries: Path
) -> None:
    whole = add(exported_bert)
    made = add(queries, whole.fingerprint)
    assert (made.documents, made.space) == (whole.fingerprint, whole.fingerprint)
    assert (whole.documents, whole.space) == (None, whole.fingerprint)
    assert registry.get(made.fingerprint) == registry.verify(made.fingerprint) == made
    assert registry.get(made.fingerprint).provenance.mode == "query"


def test_the_same_files_over_other_documents_or_alone_are_other_models(
    add: Add, exported_bert: Path, queries: Path
) -> None:
    first = add(exported_bert)
    second = add(queries)
    over = [add(queries, each.fingerprint) for each in (first, second)]
    assert len({each.fingerprint for each in (first, second, *over)}) == 4


def test_a_model_of_its_own_documents_keeps_the_fingerprint_it_always_had(
    add: Add, exported_bert: Path
) -> None:
    made = add(exported_bert)
    deciding = {
        "files": {
            name: record.sha256
            for name, record in made.files.items()
            if name in {"encoder.onnx", "tokenizer.json"} or name.endswith(".safetensors")
        },
        "settings": made.settings.model_dump(mode="json"),
        "template": {"fields": ["title"], "separator": TEMPLATE.separator},
    }
    canonical = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
    assert made.fingerprint == hashlib.sha256(canonical.encode()).hexdigest()


def test_a_manifest_written_before_there_was_such_a_field_is_read(
    registry: Registry, add: Add, exported_bert: Path
) -> None:
    made = add(exported_bert)
    path = registry.folder(made.fingerprint) / MANIFEST
    stored = json.loads(path.read_text())
    del stored["documents"], stored["provenance"]["mode"]
    path.write_text(json.dumps(stored))
    assert registry.verify(made.fingerprint) == made


def test_a_manifest_that_names_other_documents_than_registered_is_another_models(
    registry: Registry, add: Add, exported_bert: Path, queries: Path
) -> None:
    made = add(queries, add(exported_bert).fingerprint)
    other = add(queries)
    path = registry.folder(made.fingerprint) / MANIFEST
    path.write_text(path.read_text().replace(str(made.documents), other.fingerprint))
    with pytest.raises(ModelChangedError, match="another model"):
        registry.load(made.fingerprint)


def test_documents_of_no_registered_encoder_are_refused(
    registry: Registry, add: Add, queries: Path
) -> None:
    for name in ("f" * 64, "not a fingerprint"):
        with pytest.raises(ModelMissingError):
            add(queries, name)
    assert registry.list() == []


def test_a_chain_is_refused_and_the_encoder_to_name_is_said(
    add: Add, exported_bert: Path, queries: Path
) -> None:
    whole = add(exported_bert)
    made = add(queries, whole.fingerprint)
    with pytest.raises(NotQuerySideError, match="query-side model") as refused:
        add(queries, made.fingerprint)
    assert whole.fingerprint in refused.value.next_step


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("similarity", {"similarity": "dot"}),
        ("text template", {"template": TextTemplate(fields=("title", "description"))}),
    ],
)
def test_a_query_encoder_of_another_kind_is_refused(
    registry: Registry,
    add: Add,
    exported_bert: Path,
    queries: Path,
    what: str,
    changes: dict[str, object],
) -> None:
    whole = add(exported_bert)
    with pytest.raises(NotQuerySideError, match=what):
        add(queries, whole.fingerprint, **changes)
    assert registry.list() == [whole]


def test_a_query_encoder_of_another_dimension_is_refused(
    add: Add, exported_bert: Path, exported_static: Path
) -> None:
    whole = add(exported_bert)
    assert EncoderSettings.read(exported_static).dimension != whole.dimension
    with pytest.raises(NotQuerySideError, match="dimension"):
        add(exported_static, whole.fingerprint)


def test_the_encoder_of_its_documents_cannot_be_removed_before_it(
    registry: Registry, add: Add, exported_bert: Path, queries: Path
) -> None:
    whole = add(exported_bert)
    made = add(queries, whole.fingerprint)
    with pytest.raises(ModelInUseError, match=made.fingerprint[:12]):
        registry.remove(whole.fingerprint)
    registry.remove(made.fingerprint)
    registry.remove(whole.fingerprint)
    assert registry.list() == []


def test_it_does_not_open_when_the_encoder_of_its_documents_was_changed(
    registry: Registry, add: Add, exported_bert: Path, queries: Path
) -> None:
    whole = add(exported_bert)
    made = add(queries, whole.fingerprint)
    graph = registry.folder(whole.fingerprint) / "encoder.onnx"
    graph.write_bytes(graph.read_bytes() + b"x")
    with pytest.raises(ModelChangedError, match=whole.fingerprint[:12]):
        registry.load(made.fingerprint)


def test_its_int8_form_reads_the_same_document_vectors(
    registry: Registry, add: Add, exported_bert: Path, queries: Path
) -> None:
    whole = add(exported_bert)
    made = add(queries, whole.fingerprint)
    rough: Encoder = registry.load(quantise(registry, made.fingerprint).fingerprint)
    assert rough.space == whole.fingerprint
    exact = registry.load(made.fingerprint)
    np.testing.assert_array_equal(rough.encode_documents(TEXTS), exact.encode_documents(TEXTS))
    alike = (rough.encode_queries(TEXTS) * exact.encode_queries(TEXTS)).sum(axis=1)
    assert (alike > 0.9).all()


def test_two_over_the_same_documents_share_their_encoder_in_a_pool(
    registry: Registry, add: Add, exported_bert: Path, queries: Path, tmp_path: Path
) -> None:
    whole = add(exported_bert)
    shutil.copytree(queries, tmp_path / "others")
    settings = EncoderSettings.read(queries)
    settings.model_copy(update={"prompts": Prompts(query="asked: ")}).write(tmp_path / "others")
    first, second = (add(each, whole.fingerprint) for each in (queries, tmp_path / "others"))
    opened: list[str] = []

    def documents(fingerprint: str) -> Encoder:
        opened.append(fingerprint)
        return shared

    shared = registry.load(whole.fingerprint)
    towers = [registry.load(each.fingerprint, documents=documents) for each in (first, second)]
    assert opened == [whole.fingerprint] * 2
    towers[0].encode_documents(TEXTS)
    assert isinstance(towers[1], CountingEncoder)
    assert towers[1].stats.texts == len(TEXTS), "they are counted together"
