"""Texts by their number, on the disk: a catalogue need not fit into memory."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from desireline.trainer.models.disk_sync import sync
from desireline.trainer.synthesis.pieces import not_writable

Fill = Callable[..., dict[str, object]]
"""Adds texts to the writers it is given, and says what is to be known of them."""

_TEXTS, _ENDS, _META = "texts.bin", "ends.bin", "store.json"


class TextStore:
    """Reads texts by number; in memory are eight bytes of each."""

    def __init__(self, folder: Path) -> None:
        self._texts = folder / _TEXTS
        ends = np.fromfile(folder / _ENDS, dtype=np.int64)
        self._bounds = np.concatenate(([0], ends))

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def texts(self, numbers: Iterable[int]) -> list[str]:
        """Return the texts of these numbers, in their order."""
        found = []
        with self._texts.open("rb") as file:
            for number in numbers:
                start, end = self._bounds[number : number + 2]
                file.seek(int(start))
                found.append(file.read(int(end - start)).decode("utf-8"))
        return found


class TextWriter:
    """Takes texts one after another; `finish` makes a `TextStore` of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._texts = (folder / _TEXTS).open("wb")
        self._ends = (folder / _ENDS).open("wb")
        self._end = 0
        self.count = 0

    def add(self, text: str) -> None:
        """Take the next text."""
        body = text.encode("utf-8")
        self._texts.write(body)
        self._end += len(body)
        self._ends.write(np.int64(self._end).tobytes())
        self.count += 1

    def finish(self) -> None:
        """Close the files."""
        self._texts.close()
        self._ends.close()


def stored(folder: Path, of: str, names: Sequence[str], fill: Fill) -> dict[str, object]:
    """Return what `fill` said of the stores in a folder, filled now if they are not there.

    Args:
        folder: appears whole or not at all.
        of: names what they are filled with; others' are thrown away.
        names: of the stores.
        fill: adds texts to the writers, which are in the order of the names.

    """
    found = _meta(folder)
    if found is None or found["of"] != of or found["digest"] != _digest(folder, names):
        shutil.rmtree(folder, ignore_errors=True)
        found = _filled(folder, of, names, fill)
    said = found["said"]
    assert isinstance(said, dict)
    return said


def _filled(folder: Path, of: str, names: Sequence[str], fill: Fill) -> dict[str, object]:
    partial = folder.with_name(f"{folder.name}.partial")
    found: dict[str, object]
    shutil.rmtree(partial, ignore_errors=True)
    try:
        writers = [TextWriter(partial / name) for name in names]
        said = fill(*writers)
        for writer in writers:
            writer.finish()
        found = {"of": of, "digest": _digest(partial, names), "said": said}
        (partial / _META).write_text(json.dumps(found), encoding="utf-8")
        sync(partial)
        partial.rename(folder)
    except OSError as error:
        raise not_writable(folder, error) from error
    return found


def _meta(folder: Path) -> dict[str, object] | None:
    try:
        found: dict[str, object] = json.loads((folder / _META).read_bytes())
    except (OSError, ValueError):
        return None
    return found


def _digest(folder: Path, names: Sequence[str]) -> str:
    total = sha256()
    for name in names:
        for part in (_TEXTS, _ENDS):
            total.update(_file_digest(folder / name / part))
    return total.hexdigest()


def _file_digest(path: Path) -> bytes:
    total = sha256()
    try:
        with path.open("rb") as file:
            while some := file.read(1 << 20):
                total.update(some)
    except FileNotFoundError:
        return b"missing"
    return total.digest()
