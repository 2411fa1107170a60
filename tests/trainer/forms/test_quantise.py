"""An int8 form is another encoder: near its parent, named after it, never instead of it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from desireline.connectors.documents import TextTemplate
from desireline.trainer.errors import ModelMissingError, ParityError, UnsafeModelError
from desireline.trainer.jobs import QuantiseJob, read_job, write_job
from desireline.trainer.models.manifest import Manifest, Provenance
from desireline.trainer.registry import Registry

pytest.importorskip("onnx", reason="needs desireline[trainer]")

from desireline.trainer.forms.quantise import export_int8, multiplies_bytes_exactly, quantise
from desireline.trainer.worker import run

TEXTS = ["red shoe", "the garden of a software engineer", "running 42 cm", "nurse"]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def parent(registry: Registry, exported_bert: Path) -> Manifest:
    return registry.add(
        exported_bert,
        template=TextTemplate(fields=("title", "text")),
        similarity="cosine",
        provenance=Provenance(base_model="tiny"),
    )


def test_the_int8_form_has_its_own_fingerprint_and_names_its_parent(
    registry: Registry, parent: Manifest
) -> None:
    assert registry.int8_of(parent.fingerprint) is None
    made = quantise(registry, parent.fingerprint)
    assert made.fingerprint != parent.fingerprint
    assert (made.provenance.parent, made.provenance.precision) == (parent.fingerprint, "int8")
    assert made.provenance.base_model == "tiny"
    assert (made.template, made.settings) == (parent.template, parent.settings)
    assert registry.int8_of(parent.fingerprint) == made.fingerprint
    assert registry.verify(parent.fingerprint) == parent


def test_its_vectors_are_near_its_parents_and_not_the_same(
    registry: Registry, parent: Manifest
) -> None:
    exact = registry.load(parent.fingerprint, threads=1).encode_documents(TEXTS)
    made = quantise(registry, parent.fingerprint)
    rough = registry.load(made.fingerprint, threads=1).encode_documents(TEXTS)
    cosines = (exact * rough).sum(axis=1)
    assert cosines.min() > 0.9
    assert not np.array_equal(exact, rough)
    np.testing.assert_allclose(np.linalg.norm(rough, axis=1), 1, atol=1e-5)


def test_making_it_again_changes_nothing(registry: Registry, parent: Manifest) -> None:
    first = quantise(registry, parent.fingerprint)
    assert quantise(registry, parent.fingerprint) == first
    assert len(registry.list()) == 2


def test_it_is_smaller(registry: Registry, parent: Manifest) -> None:
    made = quantise(registry, parent.fingerprint)
    assert set(made.files) == {"encoder.onnx", "encoder.json", "tokenizer.json"}
    weights = parent.files["encoder.onnx"].bytes
    assert made.files["encoder.onnx"].bytes < weights


def test_an_encoder_that_is_not_registered_has_none(registry: Registry) -> None:
    with pytest.raises(ModelMissingError):
        quantise(registry, "0" * 64)


def test_a_folder_that_cannot_be_quantised_stays_as_it_was(
    exported_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(exported_bert, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    monkeypatch.setattr(
        "desireline.trainer.forms.quantise.quantize_dynamic",
        lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no such operator")),
    )
    with pytest.raises(ParityError, match="no such operator"):
        export_int8(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_folder_that_was_not_exported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeModelError):
        export_int8(tmp_path)


def test_the_child_process_does_it_as_a_job(
    registry: Registry, parent: Manifest, tmp_path: Path
) -> None:
    job = QuantiseJob(fingerprint=parent.fingerprint, registry=registry.root)
    write_job(job, tmp_path / "job.json")
    with (tmp_path / "events").open("w") as events:
        result = run(read_job(tmp_path / "job.json"), events)
    assert result["fingerprint"] == registry.int8_of(parent.fingerprint)


@pytest.mark.parametrize(
    ("flags", "exactly"),
    [("fpu avx2 fma", False), ("fpu avx2 avx512f avx512_vnni", True), ("avx2 avx_vnni", True)],
)
def test_a_bit_is_given_up_only_where_the_processor_would_saturate(
    flags: str, exactly: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
    assert multiplies_bytes_exactly(tmp_path / "cpuinfo") is exactly
    assert not multiplies_bytes_exactly(tmp_path / "missing")


def test_an_export_holds_the_int8_form_beside_what_it_was_made_from(
    registry: Registry, parent: Manifest, tmp_path: Path
) -> None:
    from desireline.connectors.stores.memory import MemoryStore
    from desireline.sidecar.models.export import export_model
    from desireline.sidecar.models.records import model_record
    from desireline.trainer.encoders.onnx import OnnxEncoder

    made = quantise(registry, parent.fingerprint)
    folder = tmp_path / "out"
    export_model(registry, model_record(MemoryStore(), registry, parent.fingerprint), folder)
    for form, fingerprint in ((folder, parent.fingerprint), (folder / "int8", made.fingerprint)):
        np.testing.assert_array_equal(
            OnnxEncoder(form, threads=1).encode_documents(TEXTS),
            registry.load(fingerprint, threads=1).encode_documents(TEXTS),
        )
        assert Registry(tmp_path / "other").take(form).fingerprint == fingerprint
