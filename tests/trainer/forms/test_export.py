"""The exported encoder gives the trained one's vectors, or there is none."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.encoders.settings import EncoderSettings
from desireline.trainer.errors import ParityError, UnsafeModelError

pytest.importorskip("sentence_transformers", reason="needs desireline[trainer]")

from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
from desireline.trainer.forms.export import LOWEST_COSINE, export_onnx, parity_texts


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_bert, tmp_path / "model")
    return tmp_path / "model"


def _change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_export_is_as_near_as_the_report_says(folder: Path) -> None:
    report = export_onnx(folder)
    assert report.texts == 256
    assert report.lowest_cosine >= LOWEST_COSINE
    texts = parity_texts()
    trained = SentenceTransformerEncoder(folder).encode_documents(texts)
    exported = OnnxEncoder(folder).encode_documents(texts)
    assert (trained * exported).sum(axis=1).min() >= LOWEST_COSINE


def test_two_exports_of_one_model_are_equal_bytes(folder: Path) -> None:
    export_onnx(folder)
    first = OnnxEncoder(folder).fingerprint
    export_onnx(folder)
    assert OnnxEncoder(folder).fingerprint == first


@pytest.mark.parametrize("mode", ["mean", "cls", "max", "mean_sqrt_len_tokens"])
def test_every_pooling_is_carried(folder: Path, mode: str) -> None:
    _change(folder / "1_Pooling/config.json", pooling_mode=mode)
    export_onnx(folder)
    assert EncoderSettings.read(folder).pooling == mode


def test_prompts_go_before_their_own_side(folder: Path) -> None:
    prompts = {"query": "red shoe for ", "passage": "the garden of "}
    _change(folder / "config_sentence_transformers.json", prompts=prompts)
    export_onnx(folder)
    encoder = OnnxEncoder(folder)
    assert encoder.encode_queries(["nurse"])[0] @ encoder.encode_documents(["nurse"])[0] < 0.999
    np.testing.assert_allclose(
        encoder.encode_queries(["nurse"]),
        SentenceTransformerEncoder(folder).encode_queries(["nurse"]),
        atol=1e-5,
    )


def test_a_static_encoder_exports_too(tiny_static: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_static, tmp_path / "model")
    assert export_onnx(tmp_path / "model").lowest_cosine >= LOWEST_COSINE
    assert EncoderSettings.read(tmp_path / "model").pooling == "static"


def test_a_model_that_compares_by_dot_product_keeps_its_lengths(
    tiny_static: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_static, folder)
    _change(folder / "config_sentence_transformers.json", similarity_fn_name="dot")
    export_onnx(folder)
    encoder = OnnxEncoder(folder)
    assert encoder.similarity == "dot"
    assert np.linalg.norm(encoder.encode_documents(["red"])[0]) > 1.5


def test_an_export_with_other_vectors_is_removed(folder: Path) -> None:
    """The tokenizer file that serving reads differs from what training used."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["post_processor"] = None
    _break_serving_only(folder, tokenizer)
    assert not (folder / "encoder.onnx").exists()
    assert not (folder / "encoder.json").exists()


def _break_serving_only(folder: Path, tokenizer: dict[str, object]) -> None:
    import desireline.trainer.forms.export as module

    trained = module.SentenceTransformerEncoder(folder)

    class Loaded:
        """Stands for a library that reads the tokenizer in its own way."""

        def __new__(cls, *_: object, **__: object) -> SentenceTransformerEncoder:
            return trained

    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SentenceTransformerEncoder", Loaded)
        with pytest.raises(ParityError, match="gives other vectors"):
            export_onnx(folder)


def test_a_measure_no_engine_has_is_refused(folder: Path) -> None:
    _change(folder / "config_sentence_transformers.json", similarity_fn_name="euclidean")
    with pytest.raises(UnsafeModelError, match="euclidean"):
        export_onnx(folder)


def test_serving_imports_neither_torch_nor_transformers(exported_bert: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from desireline.trainer.registry import Registry
from desireline.trainer.forms.import_model import import_model
from desireline.trainer.encoders.onnx import OnnxEncoder
OnnxEncoder(Path({str(exported_bert)!r})).encode_queries(["red shoe"])
heavy = {{"torch", "transformers", "sentence_transformers", "huggingface_hub"}} & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) or None)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", ["encoder.onnx", "encoder.json", "tokenizer.json"])
def test_a_broken_file_of_an_export_is_named(
    exported_bert: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(exported_bert, tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(b"broken")
    with pytest.raises(UnsafeModelError, match=name):
        OnnxEncoder(tmp_path / "model")


def test_a_graph_that_does_not_fit_its_settings_is_named(
    exported_bert: Path, exported_static: Path, tmp_path: Path
) -> None:
    shutil.copytree(exported_bert, tmp_path / "model")
    shutil.copyfile(exported_static / "encoder.onnx", tmp_path / "model" / "encoder.onnx")
    with pytest.raises(UnsafeModelError, match=r"encoder\.onnx cannot be used"):
        OnnxEncoder(tmp_path / "model")


def test_a_graph_that_reads_another_file_is_refused(exported_bert: Path, tmp_path: Path) -> None:
    """An ONNX weight may lie in another file: one outside the folder must not be read."""
    onnx = pytest.importorskip("onnx")
    shutil.copytree(exported_bert, tmp_path / "model")
    (tmp_path / "secret").write_bytes(b"\x00" * 16)
    weight = onnx.TensorProto(
        name="w", data_type=onnx.TensorProto.FLOAT, dims=[4], data_location="EXTERNAL"
    )
    weight.external_data.add(key="location", value="../secret")
    output = onnx.helper.make_tensor_value_info("o", onnx.TensorProto.FLOAT, [4])
    identity = onnx.helper.make_node("Identity", ["w"], ["o"])
    graph = onnx.helper.make_graph([identity], "g", [], [output], [weight])
    model = onnx.helper.make_model(
        graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)]
    )
    (tmp_path / "model" / "encoder.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UnsafeModelError, match="escapes"):
        OnnxEncoder(tmp_path / "model")
