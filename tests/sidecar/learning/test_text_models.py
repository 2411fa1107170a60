"""The configured models are asked in a process of their own."""

from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from desireline.sidecar.config import child_environment
from desireline.sidecar.configuration.errors import ConfigError
from desireline.sidecar.configuration.tune import TuneConfig
from desireline.sidecar.errors import WorkerError
from desireline.sidecar.learning.query_endpoint import QueryEndpoint
from desireline.sidecar.learning.text_models import cross_encoder_of, writer_of
from desireline.sidecar.worker_process import WorkerProcess

WORDS = ["<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(20))]


def target(**tune):
    return SimpleNamespace(
        config=SimpleNamespace(tune=TuneConfig(**tune)),
        worker=WorkerProcess(environment=child_environment()),
    )


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """Write a tiny sequence-to-sequence model that knows nothing."""
    folder = tmp_path_factory.mktemp("writer")
    config = T5Config(
        vocab_size=len(WORDS),
        d_model=8,
        d_kv=4,
        d_ff=8,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder, safe_serialization=True)
    words = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def test_without_configuration_nobody_is_asked():
    assert writer_of(target()) is None
    assert cross_encoder_of(target()) is None


def test_a_local_model_writes_in_the_training_process(writer):
    write = writer_of(target(query_writer={"kind": "local", "folder": str(writer)}))
    written = write(["w1 w2", "w3 w4"], 2)
    assert len(written) == 2
    assert all(len(queries) <= 2 for queries in written)


def test_a_cross_encoder_that_is_not_there_is_named(tmp_path):
    rerank = cross_encoder_of(target(cross_encoder=str(tmp_path / "missing")))
    with pytest.raises(WorkerError, match="cannot be loaded as a cross-encoder"):
        rerank([("w1", "w2")])


def test_an_endpoint_gets_its_key_from_the_environment(monkeypatch):
    settings = {
        "kind": "endpoint",
        "url": "https://llm.example.org/v1",
        "model": "m",
        "key_env": "KEY_1",
    }
    monkeypatch.delenv("KEY_1", raising=False)
    with pytest.raises(ConfigError, match="KEY_1 is not set"):
        writer_of(target(query_writer=settings))
    monkeypatch.setenv("KEY_1", "open sesame")
    write = writer_of(target(query_writer=settings))
    assert isinstance(write, QueryEndpoint)
    assert write.key == "open sesame"
    assert "open sesame" not in repr(write)
