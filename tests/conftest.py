"""Fixtures every test may use: one real OpenSearch for the session, a prefix for each test."""

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
from opensearchpy import OpenSearch

from desireline.connectors.errors import EngineUnavailableError
from desireline.sidecar.demo.opensearch_home import VERSION
from desireline.sidecar.demo.opensearch_node import acquire_node

# A busy machine is no counterexample.
hypothesis.settings.register_profile("desireline", deadline=None)
hypothesis.settings.load_profile("desireline")


@pytest.fixture(autouse=True)
def _logs_as_they_come() -> Iterator[None]:
    """Undo what a command of an earlier test said about logs: its level would hide ours."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def opensearch_url() -> Iterator[str]:
    """Address of a real node, the same for the whole session.

    CI must have one; elsewhere the tests that need it are skipped with the reason.
    """
    java_home = os.environ.get("OPENSEARCH_JAVA_HOME")
    try:
        node = acquire_node(
            os.environ.get("OPENSEARCH_URL"),
            java_home=Path(java_home) if java_home else None,
            version=os.environ.get("OPENSEARCH_VERSION") or VERSION,
        )
    except EngineUnavailableError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no OpenSearch: {error}")
    yield node.url
    node.close()


@pytest.fixture
def index_prefix(opensearch_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give a prefix no other test has; every index that starts with it is dropped afterwards."""
    word = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:30]
    prefix = f"t-{uuid.uuid4().hex[:8]}-{word}-"
    yield prefix
    client = OpenSearch(opensearch_url, timeout=30)
    for name in client.indices.get(index=f"*{prefix}*", expand_wildcards="all"):
        client.indices.delete(index=name)
    client.close()


_TINY_WORDS = "the a red blue shoe running garden nurse software engineer 42 cm in of and for"


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a sentence-transformers folder of a random two-layer BERT; copy before changing it."""
    pytest.importorskip("sentence_transformers", reason="needs desireline[trainer]")
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-bert")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_TINY_WORDS.split(), *letters]
    tokens += [f"##{letter}" for letter in letters]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {
        f"{kind}_token": f"[{kind.upper()}]" for kind in ("pad", "unk", "cls", "sep", "mask")
    }
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder / "hf")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    BertModel(config).save_pretrained(folder / "hf")
    transformer = Transformer(str(folder / "hf"), max_seq_length=48)
    model = SentenceTransformer(modules=[transformer, Pooling(32, "mean"), Normalize()])
    model.save_pretrained(str(folder / "st"), create_model_card=False)
    return folder / "st"


@pytest.fixture(scope="session")
def tiny_static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a sentence-transformers folder of a random token table; trains in a second."""
    pytest.importorskip("sentence_transformers", reason="needs desireline[trainer]")
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    folder = tmp_path_factory.mktemp("tiny-static")
    vocabulary = {token: number for number, token in enumerate(["[UNK]", *_TINY_WORDS.split()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    table = np.random.default_rng(0).standard_normal((len(vocabulary), 16)).astype(np.float32)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)])
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="session")
def exported_bert(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT with its ONNX graph beside it."""
    return _exported(tiny_bert, tmp_path_factory.mktemp("exported-bert"))


@pytest.fixture(scope="session")
def exported_static(tiny_static: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny static encoder with its ONNX graph beside it."""
    return _exported(tiny_static, tmp_path_factory.mktemp("exported-static"))


def _exported(source: Path, folder: Path) -> Path:
    from desireline.trainer import model_files
    from desireline.trainer.forms.export import export_onnx

    model_files.copy(source, folder)
    export_onnx(folder)
    return folder
