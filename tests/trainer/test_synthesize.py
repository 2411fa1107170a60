"""`synthesize` as users call it, with tiny random models of the real architectures."""

import json
import math
import subprocess
import sys

import pytest

from desireline.trainer.errors import ModelMissingError, SynthesisError, UnsafeModelError

torch = pytest.importorskip("torch", reason="needs desireline[trainer]")

WORDS = [
    "the",
    "a",
    "red",
    "blue",
    "shoe",
    "running",
    "garden",
    "nurse",
    "software",
    "engineer",
    "42",
    "cm",
    "in",
    "of",
    "and",
    "for",
]
DOCUMENTS = [f"the {one} {two} of 42" for one in WORDS[2:8] for two in WORDS[7:10]]
QUERIES = ["red shoe", "garden nurse", "software engineer", "running in the garden", "a blue"]


def write_tokenizer(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    return len(vocabulary)


def reader_folder(folder, labels):
    from transformers import BertConfig, BertForSequenceClassification, set_seed

    size = write_tokenizer(folder)
    set_seed(1)
    config = BertConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=labels,
        pad_token_id=0,
        initializer_range=0.5,
    )
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return reader_folder(tmp_path_factory.mktemp("reader"), 1)


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    from transformers import T5Config, T5ForConditionalGeneration, set_seed

    folder = tmp_path_factory.mktemp("writer")
    size = write_tokenizer(folder)
    set_seed(1)
    config = T5Config(
        vocab_size=size,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder, safe_serialization=True)
    return folder


def synthesize(queries, documents, **more):
    from desireline.trainer import SynthesisModels
    from desireline.trainer import synthesize as real

    models = SynthesisModels(
        **{name: more.pop(name) for name in list(more) if name in SynthesisModels.__slots__}
    )
    return real(queries, documents, models, threads=1, **more)


def rows_of(run):
    return [json.loads(line) for line in run.file.read_text().splitlines()]


def test_what_it_makes_is_what_fit_learns_from(tiny_static, reader, tmp_path):
    from desireline.trainer import fit

    run = synthesize(
        QUERIES,
        DOCUMENTS,
        relation_miner=[tiny_static, "bm25"],
        cross_encoder=reader,
        num_relations=4,
        out=tmp_path / "rows",
    )
    assert run.rows == len(QUERIES) * 3
    assert [miner["name"] for miner in run.card["relation_miners"]] == [tiny_static.name, "bm25"]
    tuned = fit(
        tiny_static,
        run.file,
        loss="MarginMSELoss",
        out=tmp_path / "tuned",
        epochs=30,
        learning_rate=0.05,
        threads=1,
    )
    assert tuned.losses[-1] < tuned.losses[0] / 2


def test_margins_are_those_of_the_cross_encoder_read_one_by_one(tiny_static, reader, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run = synthesize(
        QUERIES,
        DOCUMENTS,
        relation_miner=tiny_static,
        cross_encoder=reader,
        scores="logit",
        out=tmp_path / "rows",
    )
    tokenizer = AutoTokenizer.from_pretrained(reader)
    model = AutoModelForSequenceClassification.from_pretrained(reader).eval()

    def score(query, text):
        with torch.no_grad():
            return float(model(**tokenizer(query, text, return_tensors="pt")).logits[0, 0])

    for row in rows_of(run):
        expected = score(row["query"], row["document"]) - score(row["query"], row["negative"])
        assert row["margin"] == pytest.approx(expected, abs=1e-4)
        assert row["margin"] >= 0


def test_of_several_outputs_the_last_is_right(tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from desireline.trainer.text_models.cross_encoder import CrossEncoder

    folder = reader_folder(tmp_path, 3)
    pairs = [("red shoe", text) for text in DOCUMENTS[:5]]
    odds = CrossEncoder(folder)(pairs)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    for (query, text), told in zip(pairs, odds, strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(query, text, return_tensors="pt")).logits[0]
        right = float(torch.softmax(logits, dim=0)[-1])
        assert 1 / (1 + math.exp(-told)) == pytest.approx(right, abs=1e-5)


def test_a_model_writes_the_same_queries_wherever_it_was_killed(
    tiny_static, reader, writer, tmp_path
):
    documents = [f"{text} {n}" for n, text in enumerate(DOCUMENTS * 3)]
    models = {"relation_miner": tiny_static, "cross_encoder": reader, "query_writer": writer}
    whole = synthesize(None, documents, out=tmp_path / "whole", **models)
    assert whole.card["query_writer"]["name"] == "a model"

    class Killed(BaseException):
        pass

    def progress(name, _done, _total):
        raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            synthesize(None, documents, out=tmp_path / "out", progress=progress, **models)
    again = synthesize(None, documents, out=tmp_path / "out", **models)
    assert again.file.read_bytes() == whole.file.read_bytes()


def test_an_encoder_can_be_the_teacher_of_a_smaller_one(tiny_bert, tiny_static, tmp_path):
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder

    run = synthesize(
        QUERIES,
        DOCUMENTS,
        relation_miner=tiny_static,
        cross_encoder=tiny_bert,
        out=tmp_path / "rows",
    )
    teacher = SentenceTransformerEncoder(tiny_bert)
    assert run.card["cross_encoder"]["fingerprint"] == teacher.fingerprint
    for row in rows_of(run):
        query, right, wrong = (
            teacher.encode_documents([row[name]])[0] for name in ("query", "document", "negative")
        )
        assert row["margin"] == pytest.approx(float(query @ right - query @ wrong), abs=1e-5)


def test_a_registered_encoder_is_named_by_its_first_digits(exported_static, reader, tmp_path):
    from desireline.connectors.documents import TextTemplate
    from desireline.trainer.models.manifest import Provenance
    from desireline.trainer.registry import Registry

    manifest = Registry(tmp_path / "models").add(
        exported_static,
        template=TextTemplate(fields=("text",)),
        similarity="cosine",
        provenance=Provenance(base_model="tiny"),
    )
    models = {"cross_encoder": reader, "registry": tmp_path / "models"}
    name = manifest.fingerprint[:12]
    run = synthesize(QUERIES, DOCUMENTS, relation_miner=name, out=tmp_path / "rows", **models)
    assert run.card["relation_miners"][0]["fingerprint"] == manifest.fingerprint
    with pytest.raises(ModelMissingError):
        synthesize(QUERIES, DOCUMENTS, relation_miner="0" * 12, out=tmp_path / "no", **models)


@pytest.mark.parametrize(
    ("models", "error", "said"),
    [
        ({"cross_encoder": "missing"}, UnsafeModelError, "cannot be loaded as a cross-encoder"),
        ({"relation_miner": []}, SynthesisError, "no relation miner"),
        ({"relation_miner": "missing"}, UnsafeModelError, "missing"),
        ({"query_writer": "missing"}, UnsafeModelError, "cannot be loaded as a sequence"),
    ],
)
def test_a_model_that_cannot_be_had_starts_nothing(reader, tmp_path, models, error, said):
    asked = {"relation_miner": "bm25", "cross_encoder": reader, **models}
    queries = None if "query_writer" in models else QUERIES
    with pytest.raises(error, match=said):
        synthesize(queries, DOCUMENTS, out=tmp_path / "rows", **asked)
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"num_relations": 1}, "num_relations is 1"),
        ({"scores": "odds", "max_pairs": 0}, "scores is 'odds'.*max_pairs is 0"),
        ({"query_writer": "folder"}, "and a query writer as well"),
    ],
)
def test_what_is_asked_wrongly_is_told_and_leaves_nothing(reader, tmp_path, more, said):
    asked = {"relation_miner": "bm25", "cross_encoder": reader, **more}
    with pytest.raises(SynthesisError, match=said):
        synthesize(QUERIES, DOCUMENTS, out=tmp_path / "rows", **asked)
    assert list(tmp_path.iterdir()) == []


def test_no_torch_comes_before_it_is_asked_for():
    code = (
        "import sys, desireline.trainer.synthesis.run;"
        "from desireline.trainer import SynthesisModels; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
