import numpy as np
import pytest

from desireline.trainer.errors import TrainerError
from desireline.trainer.jobs import FitConfig

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")
TEXTS = ["red", "blue shoe running", "the garden of 42 nurses"]


@pytest.fixture
def on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    from desireline.trainer.training.devices import training_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (training_device(), training_device("auto"), training_device("cpu")) == ("cpu",) * 3
    with pytest.raises(TrainerError, match="'cuda', and this machine trains on cpu"):
        training_device("cuda")


@pytest.mark.usefixtures("on_a_gpu")
def test_a_gpu_is_taken_unless_the_processor_is_asked_for():
    from desireline.trainer.training.devices import half_precision, training_device

    assert (training_device(), training_device("cpu")) == ("cuda", "cpu")
    assert half_precision(FitConfig())
    assert not half_precision(FitConfig(precision="float32"))


@pytest.mark.parametrize(
    ("able", "expected"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False)],
)
def test_a_processor_takes_bfloat16_only_where_it_is_built_for_it(monkeypatch, able, expected):
    from desireline.trainer.training.devices import half_precision

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert half_precision(FitConfig(device="cpu")) is expected
    assert half_precision(FitConfig(device="cpu", precision="bfloat16"))


@pytest.mark.usefixtures("on_a_gpu")
def test_matrices_are_in_tf32_on_a_gpu_for_a_while_unless_float32_is_asked_for():
    from desireline.trainer.training.devices import fast_hardware

    before = torch.backends.cuda.matmul.allow_tf32
    with fast_hardware(FitConfig()):
        assert torch.backends.cuda.matmul.allow_tf32
    with fast_hardware(FitConfig(precision="float32")):
        assert torch.backends.cuda.matmul.allow_tf32 == before
    assert torch.backends.cuda.matmul.allow_tf32 == before


@pytest.mark.usefixtures("on_a_gpu")
def test_a_gpu_has_fused_attention_and_a_processor_the_plain_one():
    from desireline.trainer.training import devices

    assert devices.attentions(FitConfig()) == ("sdpa", "eager")
    assert devices.attentions(FitConfig(device="cpu")) == ("eager",)


@pytest.mark.parametrize("attentions", [("sdpa", "eager"), ("flash_attention_2", "eager")])
def test_an_encoder_gives_the_same_vectors_by_every_attention_and_takes_what_there_is(
    tiny_bert, attentions
):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer

    plain = load_sentence_transformer(tiny_bert).encode(TEXTS)
    found = load_sentence_transformer(tiny_bert, attentions=attentions).encode(TEXTS)
    np.testing.assert_allclose(found, plain, atol=1e-5)
