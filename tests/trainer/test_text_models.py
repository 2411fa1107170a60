"""Tiny random models of the real architectures: that the code runs them, not that they are good."""

import json
import pickle

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    set_seed,
)

from desireline.trainer.errors import UnsafeModelError
from desireline.trainer.jobs import RerankJob, WriteQueriesJob
from desireline.trainer.text_models.cross_encoder import rerank
from desireline.trainer.text_models.query_writer import write_queries

WORDS = ["<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(40))]


def write_tokenizer(folder):
    words = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("writer")
    set_seed(1)
    config = T5Config(
        vocab_size=len(WORDS),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder, safe_serialization=True)
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    set_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=1,
        pad_token_id=0,
    )
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    write_tokenizer(folder)
    return folder


def test_queries_are_written_for_every_text_in_order_and_alike_each_time(writer):
    texts = tuple(f"w{n} w{n + 1} w{n + 2}" for n in range(20))
    told = []
    job = WriteQueriesJob(folder=writer, texts=texts, most=3, query_tokens=6)
    written = write_queries(job, lambda done, total: told.append((done, total)))
    assert len(written) == 20
    assert all(len(queries) <= 3 and len(set(queries)) == len(queries) for queries in written)
    assert any(written)
    assert told == [(16, 20), (20, 20)]
    assert write_queries(job) == written


def test_a_pair_is_read_the_same_in_whatever_company(reader):
    pairs = tuple((f"w{n}", f"w{n} w{n + 1} w3") for n in range(30))
    right = rerank(RerankJob(folder=reader, pairs=pairs))
    assert len(right) == 30
    assert all(0 < each < 1 for each in right)
    assert rerank(RerankJob(folder=reader, pairs=pairs[7:8])) == pytest.approx(right[7:8], abs=1e-5)
    assert len(set(right)) > 20


@pytest.mark.parametrize(
    ("use", "job"),
    [
        (write_queries, lambda folder: WriteQueriesJob(folder=folder, texts=("w1",))),
        (rerank, lambda folder: RerankJob(folder=folder, pairs=(("w1", "w2"),))),
    ],
)
def test_a_folder_without_a_model_is_refused_by_name(tmp_path, use, job):
    with pytest.raises(UnsafeModelError, match="cannot be loaded as a") as refused:
        use(job(tmp_path))
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        (
            "model.safetensors.index.json",
            {"weight_map": {"classifier.weight": "vocab.txt"}},
            "sends weights to 'vocab.txt'",
        ),
        ("config.json", {"auto_map": {"AutoModel": "x--y.Z"}}, "auto_map"),
        ("config.json", {"_attn_implementation": "someone/kernel"}, "_attn_implementation"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["x", "y"]}}, "auto_map"),
        ("generation_config.json", {"custom_generate": "someone/code"}, "custom_generate"),
    ],
)
def test_a_folder_whose_settings_would_run_code_is_refused_by_name(
    reader, tmp_path, name, settings, named
):
    for file in reader.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "vocab.txt").write_bytes(pickle.dumps({"classifier.weight": 1}))
    if name.startswith("model"):
        (tmp_path / "model.safetensors").unlink()
    old = json.loads((tmp_path / name).read_text()) if (tmp_path / name).exists() else {}
    (tmp_path / name).write_text(json.dumps(old | settings))
    with pytest.raises(UnsafeModelError, match="was not loaded") as refused:
        rerank(RerankJob(folder=tmp_path, pairs=(("w1", "w2"),)))
    assert name in str(refused.value)
    assert named in str(refused.value)


def test_an_encoder_that_never_learned_to_read_pairs_is_refused_by_name(reader, tmp_path):
    """Its last layer would be drawn by chance, and what it says would be noise."""
    BertModel.from_pretrained(reader).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    with pytest.raises(UnsafeModelError, match="no trained cross-encoder") as refused:
        rerank(RerankJob(folder=tmp_path, pairs=(("w1", "w2"),)))
    assert "classifier" in str(refused.value)


def test_a_cross_encoder_whose_weights_are_no_numbers_says_nothing(reader, tmp_path):
    broken = BertForSequenceClassification.from_pretrained(reader)
    broken.classifier.bias.data.fill_(float("nan"))
    broken.save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    with pytest.raises(UnsafeModelError, match="no number") as refused:
        rerank(RerankJob(folder=tmp_path, pairs=(("w1", "w2"),)))
    assert str(tmp_path) in str(refused.value)


def test_pickled_weights_are_never_opened(writer, tmp_path):
    for file in writer.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"not weights")
    with pytest.raises(UnsafeModelError):
        write_queries(WriteQueriesJob(folder=tmp_path, texts=("w1",)))
