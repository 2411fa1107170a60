"""What a long benchmark has measured already, so that a killed run goes on where it was."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any


class Cells:
    """Finished cells in a file, a JSON line each; without a path they are not kept.

    A cell says what was measured, not by which code: a file serves the commit that began it. A
    line that a kill cut short is dropped, and measured again. Several threads may ask at once, each
    for cells of its own.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._writing = Lock()
        self._found: dict[str, Any] = {}
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path and path.exists():
            whole, end, _ = path.read_text(encoding="utf-8").rpartition("\n")
            path.write_text(whole + end, encoding="utf-8")
            for cell in map(json.loads, whole.splitlines()):
                self._found[_key(cell["of"])] = cell["found"]

    def __contains__(self, of: Mapping[str, Any]) -> bool:
        return _key(of) in self._found

    def get(self, of: Mapping[str, Any], measure: Callable[[], Any]) -> Any:
        """Return what was found for this cell; measure and keep it if nothing was."""
        key = _key(of)
        if key not in self._found:
            self._found[key] = measure()
            if self._path:
                with self._writing, self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"of": dict(of), "found": self._found[key]}) + "\n")
        return self._found[key]


def _key(of: Mapping[str, Any]) -> str:
    return json.dumps(dict(of), sort_keys=True)
