"""What the serving encoder counts, and that a very long text costs no more than its beginning."""

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from desireline.trainer.encoders.base import CountingEncoder, EncodeStats
from desireline.trainer.encoders.onnx import OnnxEncoder


def test_padding_is_counted_for_documents_and_not_for_queries(exported_bert: Path) -> None:
    encoder = OnnxEncoder(exported_bert, threads=1, token_budget=64)
    assert isinstance(encoder, CountingEncoder)
    encoder.encode_queries(["red shoe"])
    assert encoder.stats == EncodeStats()
    encoder.encode_documents(["red", "the red shoe running"])
    stats = encoder.stats
    # [CLS] and [SEP] included: 3 and 6 tokens in one batch of two rows of 6.
    assert (stats.texts, stats.tokens, stats.computed_tokens) == (2, 9, 12)
    assert stats.padding == 12 / 9
    assert stats.tokenise_s > 0


def test_many_texts_are_batched_with_hardly_any_padding(exported_bert: Path) -> None:
    encoder = OnnxEncoder(exported_bert, threads=1)
    drawn = np.random.default_rng(3)
    words = ["the", "a", "red", "blue", "shoe", "running", "garden", "nurse"]
    lengths = drawn.integers(1, 40, size=2048)
    encoder.encode_documents([" ".join(drawn.choice(words, size=n)) for n in lengths])
    assert encoder.stats.padding <= 1.02


def test_no_documents_need_no_padding() -> None:
    assert EncodeStats().padding == 1.0


def test_a_very_long_text_is_encoded_by_its_beginning_alone(exported_bert: Path) -> None:
    encoder = OnnxEncoder(exported_bert, threads=1)
    beginning = "the red shoe of a nurse " * 20
    short = encoder.encode_documents([beginning])
    began = time.process_time()
    long = encoder.encode_documents([beginning + "blue garden " * 400_000])
    assert time.process_time() - began < 2.0  # 5 MB take many seconds to tokenise whole
    np.testing.assert_allclose(long, short, atol=1e-6)


def test_a_long_text_of_few_tokens_is_read_to_its_end(exported_bert: Path) -> None:
    """Words of hundreds of letters are one unknown token each: the beginning is too little."""
    encoder = OnnxEncoder(exported_bert, threads=1)
    strange = ("x" * 300 + " ") * 12
    unlike = encoder.encode_documents([strange, strange + "red shoe"])
    assert not np.allclose(unlike[0], unlike[1], atol=1e-4)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have their own priority on Linux")
def test_encoding_many_texts_steps_back_and_one_query_does_not(
    exported_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = OnnxEncoder(exported_bert, threads=2, token_budget=16)
    lowered: list[int] = []
    monkeypatch.setattr(os, "setpriority", lambda _kind, thread, nice: lowered.append(thread))
    encoder.encode_queries(["red shoe"])
    assert lowered == []
    encoder.encode_documents(["red shoe running", "blue garden"] * 20)
    assert 1 <= len(set(lowered)) <= 2
    assert threading.get_native_id() not in lowered
