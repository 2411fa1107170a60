"""What was encoded is kept, whoever else reads, writes or deletes the cache meanwhile."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from desireline.connectors.documents import digest
from desireline.sidecar.errors import SidecarError
from desireline.sidecar.writing.embedding_cache import CachedEncoder, EmbeddingCache, EncodingCosts
from desireline.trainer.encoders.fake import FakeEncoder

ONE = "1" * 64
VECTORS = {digest(str(n)): np.full(4, n, np.float32) for n in range(1200)}


def test_what_was_put_is_found_again_also_by_another_that_opens_the_folder(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache")
    cache.put(ONE, VECTORS)
    for reader in (cache, EmbeddingCache(tmp_path / "cache")):
        found = reader.get(ONE, [*VECTORS, digest("never put")])
        assert found.keys() == VECTORS.keys()
        assert all((found[key] == VECTORS[key]).all() for key in VECTORS)


def test_vectors_of_two_encoders_are_kept_apart(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    cache.put(ONE, VECTORS)
    assert cache.get("2" * 64, list(VECTORS)) == {}


def test_threads_share_one_cache(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    keys = list(VECTORS)

    def put_and_get(start: int) -> int:
        some = {key: VECTORS[key] for key in keys[start : start + 100]}
        cache.put(ONE, some)
        return len(cache.get(ONE, list(some)))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(put_and_get, range(0, 1200, 100))) == [100] * 12
    assert len(cache.get(ONE, keys)) == 1200


def test_processes_share_one_folder(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
import sys, numpy as np
from desireline.sidecar.writing.embedding_cache import EmbeddingCache
cache = EmbeddingCache(Path({str(tmp_path)!r}))
for n in range(50):
    cache.put({ONE!r}, {{f"{{sys.argv[1]}}-{{n}}": np.ones(4, np.float32)}})
"""
    cache = EmbeddingCache(tmp_path)
    cache.put(ONE, {"own": np.ones(4, np.float32)})
    children = [subprocess.Popen([sys.executable, "-c", program, str(n)]) for n in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    assert len(cache.get(ONE, [f"{a}-{n}" for a in range(2) for n in range(50)])) == 100


def test_a_cache_deleted_under_an_open_file_begins_anew(tmp_path: Path) -> None:
    """The operator may delete it at any time; what is put then must not go to a ghost."""
    cache = EmbeddingCache(tmp_path)
    cache.put(ONE, VECTORS)
    for path in tmp_path.iterdir():
        path.unlink()
    assert cache.get(ONE, list(VECTORS)) == {}
    cache.put(ONE, VECTORS)
    assert len(EmbeddingCache(tmp_path).get(ONE, list(VECTORS))) == 1200


def test_another_process_forgets_an_encoder_and_this_one_begins_anew(tmp_path: Path) -> None:
    ours, theirs = EmbeddingCache(tmp_path), EmbeddingCache(tmp_path)
    ours.put(ONE, VECTORS)
    theirs.forget(ONE)
    assert ours.get(ONE, list(VECTORS)) == {}
    ours.put(ONE, VECTORS)
    assert len(theirs.get(ONE, list(VECTORS))) == 1200


def test_a_closed_cache_opens_what_it_needs(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    cache.put(ONE, VECTORS)
    cache.close()
    assert len(cache.get(ONE, list(VECTORS))) == 1200


def test_a_cache_that_cannot_be_used_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / f"{ONE}.sqlite").mkdir(parents=True)
    cache = EmbeddingCache(tmp_path)
    for use in (lambda: cache.put(ONE, VECTORS), lambda: cache.get(ONE, list(VECTORS))):
        with pytest.raises(SidecarError, match="cannot be used") as raised:
            use()
        assert raised.value.next_step


def test_costs_count_what_was_encoded_and_can_be_taken_as_a_difference(tmp_path: Path) -> None:
    encoder = CachedEncoder(FakeEncoder(), EmbeddingCache(tmp_path))
    encoder.embed(["a", "b", "a"])
    before = encoder.costs
    assert (before.encoded, encoder.encoded) == (2, 2)
    encoder.embed(["a", "b", "c"])
    since = encoder.costs - before
    assert since.encoded == 1
    assert encoder.costs.encoding_s >= before.encoding_s > 0
    assert since.cache_s > 0
    assert before - before == EncodingCosts()
