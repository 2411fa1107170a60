"""The serving encoder: ONNX Runtime and a tokenizer, no torch."""

import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from desireline.connectors.documents import Vectors
from desireline.connectors.search_engine import Similarity
from desireline.trainer.encoders.base import EncodeStats
from desireline.trainer.encoders.settings import EncoderSettings
from desireline.trainer.encoders.word_tokens import WordTokens
from desireline.trainer.errors import UnsafeModelError
from desireline.trainer.model_files import GRAPH, SETTINGS
from desireline.trainer.model_settings import TOKENIZER

#: Padded tokens per run of the graph. Small batches stay in the CPU's cache: on MiniLM, 256
#: encoded 1.05 to 1.1 times as fast as 512 and 1.15 to 1.25 times as fast as 1,024.
TOKEN_BUDGET = 256

#: Nice value of the threads that encode many texts: they take what nobody else wants.
_STEPPED_BACK = 10

#: Characters of a text's beginning that are tokenised first for each token that is read of it: far
#: more than words have, so that the rest of a very long text need not be tokenised to be cut off.
_CHARACTERS_A_TOKEN = 64

Ids = list[int]
"""Tokens of a text, by number."""


class OnnxEncoder:
    """Encodes texts with an exported folder: `encoder.onnx`, `encoder.json`, `tokenizer.json`.

    Texts are sorted by token count, so a batch holds texts of nearly equal length and hardly any
    padding. Each batch runs on one thread and `threads` batches run at a time: cores never wait
    for each other inside a layer, which matters most when a search engine shares them. Those
    threads step back for all else on the machine, searches first; a single query does not.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fingerprint: str | None = None,
        similarity: Similarity | None = None,
        threads: int | None = None,
        token_budget: int = TOKEN_BUDGET,
    ) -> None:
        self._folder = folder
        self._settings = EncoderSettings.read(folder)
        self._known_fingerprint = fingerprint
        self._token_budget = token_budget
        self._tokenizer = _open_tokenizer(folder / TOKENIZER, self._settings)
        # Those that cut texts off or add their own tokens spend their time elsewhere.
        whole = self._settings.max_seq_length is None and not self._settings.special_tokens
        self._words = WordTokens.of(self._tokenizer) if whole else None
        self._session = _open_session(folder / GRAPH)
        self._threads = max(1, threads or os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(
            self._threads, thread_name_prefix="encoder", initializer=_step_back
        )
        self._stats = EncodeStats()
        self._stats_lock = threading.Lock()
        self.dimension = self._settings.dimension
        self.similarity: Similarity = similarity or self._settings.similarity
        self._try_out()

    @cached_property
    def fingerprint(self) -> str:
        """As registered; of an unregistered folder, SHA-256 over its three files."""
        return self._known_fingerprint or _hash_files(self._folder, (GRAPH, SETTINGS, TOKENIZER))

    @property
    def space(self) -> str:
        """Its own: it encodes documents, too."""
        return self.fingerprint

    @property
    def stats(self) -> EncodeStats:
        """Count of the documents encoded so far; queries are not in it."""
        return self._stats

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode what users typed; shape (len(texts), dimension)."""
        return self._encode(self._tokenise(texts, self._settings.prompts.query))

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode rendered documents; shape (len(texts), dimension)."""
        began = time.monotonic()
        tokens = self._tokenise(texts, self._settings.prompts.document)
        self._count(tokens, time.monotonic() - began)
        return self._encode(tokens)

    def _tokenise(self, texts: Sequence[str], prompt: str) -> list[Ids]:
        whole = [_storable(prompt + text) for text in texts]
        if self._words is not None:
            return self._word_by_word(whole, self._words)
        limit = self._settings.max_seq_length
        if limit is None:
            return self._to_tokens(whole)
        begun = [_beginning(text, limit * _CHARACTERS_A_TOKEN) for text in whole]
        tokens = self._to_tokens(begun)
        for row, ids in enumerate(tokens):
            if len(ids) < limit and len(begun[row]) < len(whole[row]):
                tokens[row] = self._to_tokens([whole[row]])[0]
        return tokens

    def _word_by_word(self, texts: list[str], words: WordTokens) -> list[Ids]:
        found = [words.ids(text) for text in texts]
        others = [text for text, ids in zip(texts, found, strict=True) if ids is None]
        slower = iter(self._to_tokens(others) if others else [])
        return [next(slower) if ids is None else ids for ids in found]

    def _to_tokens(self, texts: list[str]) -> list[Ids]:
        special = self._settings.special_tokens
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=special)
        return [encoding.ids for encoding in encodings]

    def _count(self, tokens: Sequence[Ids], tokenise_s: float) -> None:
        lengths = [len(ids) for ids in tokens]
        computed = sum(len(b) * lengths[b[0]] for b in _batches(lengths, self._token_budget))
        with self._stats_lock:
            before = self._stats
            self._stats = EncodeStats(
                texts=before.texts + len(lengths),
                tokens=before.tokens + sum(lengths),
                computed_tokens=before.computed_tokens + computed,
                tokenise_s=before.tokenise_s + tokenise_s,
            )

    def _encode(self, tokens: Sequence[Ids]) -> Vectors:
        if len(tokens) == 1:
            vectors = self._run(tokens)
            return _normalised(vectors) if self.similarity == "cosine" else vectors
        vectors = np.empty((len(tokens), self.dimension), dtype=np.float32)

        def run(batch: NDArray[np.intp]) -> None:
            vectors[batch] = self._run([tokens[row] for row in batch])

        batches = list(_batches([len(ids) for ids in tokens], self._token_budget))
        if len(batches) == 1:
            run(batches[0])
        else:
            list(self._pool.map(run, batches))
        return _normalised(vectors) if self.similarity == "cosine" else vectors

    def _try_out(self) -> None:
        """Encode one text: a graph that does not fit its settings fails here, by name."""
        try:
            vectors = self._run(self._to_tokens(["a"]))
        except Exception as error:  # the runtime's own classes have no common, public base
            raise _unfit(self._folder / GRAPH, str(error)) from error
        if vectors.shape != (1, self.dimension):
            raise _unfit(
                self._folder / GRAPH,
                f"it gives {vectors.shape} numbers for one text where {SETTINGS} says"
                f" {self.dimension}",
            )
        if not np.isfinite(vectors).all():
            raise _unfit(self._folder / GRAPH, "what it gives for a text are no numbers")

    def _run(self, tokens: Sequence[Ids]) -> Vectors:
        longest = max(1, *map(len, tokens))
        padded = np.full((len(tokens), longest), self._settings.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(padded)
        for row, ids in enumerate(tokens):
            padded[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        outputs = self._session.run(None, {"input_ids": padded, "attention_mask": mask})
        return np.asarray(outputs[0], dtype=np.float32)


def _step_back() -> None:
    """Lower the priority of the calling thread, where the system has priorities for threads."""
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with suppress(OSError):  # a sandbox may forbid it; encoding works without
        nice = max(_STEPPED_BACK, os.getpriority(os.PRIO_PROCESS, thread))
        os.setpriority(os.PRIO_PROCESS, thread, nice)


def _open_tokenizer(path: Path, settings: EncoderSettings) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust library raises nothing narrower
        raise UnsafeModelError(
            f"{path} cannot be read as a tokenizer: {error}",
            next_step="import the model again from its sentence-transformers folder",
        ) from error
    tokenizer.no_padding()
    if settings.max_seq_length is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(settings.max_seq_length)
    return tokenizer


def _open_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning thread takes the core from the search engine beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the runtime's own classes have no common, public base
        raise _unfit(path, str(error)) from error


def _unfit(path: Path, reason: str) -> UnsafeModelError:
    return UnsafeModelError(
        f"{path} cannot be used as an encoder's ONNX graph: {reason.strip().splitlines()[0]}",
        next_step="import the model again from its sentence-transformers folder",
    )


def _batches(lengths: Sequence[int], token_budget: int) -> Iterator[NDArray[np.intp]]:
    """Rows, longest first, cut so that rows times longest stays within the budget."""
    order = np.argsort(-np.asarray(lengths, dtype=np.intp), kind="stable")
    start = 0
    while start < len(order):
        size = max(1, token_budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def _beginning(text: str, characters: int) -> str:
    """Cut a text at a space, before that many characters; whole where there is none."""
    if len(text) <= characters:
        return text
    end = text.rfind(" ", 0, characters)
    return text[:end] if end > 0 else text


def _storable(text: str) -> str:
    """Replace half surrogate pairs, which JSON can carry and no tokenizer takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _normalised(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32, copy=False)


def _hash_files(folder: Path, names: Sequence[str]) -> str:
    total = hashlib.sha256()
    for name in names:
        with (folder / name).open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
