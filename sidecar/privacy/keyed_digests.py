"""Digests that only this data folder can make: to know a text again without keeping it.

The key stays for as long as the data folder does. Who holds both the key and a digest can try
texts on it, so neither leaves the folder.
"""

import os
import secrets
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from desireline.sidecar.errors import SidecarError

DIGEST_BYTES = 16
_KEY_BYTES = 32


class KeyedDigests:
    """Digests under the key in a file, which is made when it is first needed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._key = b""

    def of(self, what: str, text: str) -> bytes:
        """Return the digest of a text among others of its sort: "client", "query"."""
        if not self._key:
            self._key = self._read_or_make()
        hashed = blake2b(what.encode(), key=self._key, digest_size=DIGEST_BYTES)
        hashed.update(b"\0" + text.encode("utf-8", "surrogatepass"))
        return hashed.digest()

    def _read_or_make(self) -> bytes:
        try:
            with suppress(FileNotFoundError):
                return self._read()
            self._make()
            return self._read()
        except (OSError, ValueError) as error:
            raise SidecarError(
                f"the key {self._file} can be neither read nor made: {error}; nothing was kept",
                next_step="mend the folder; without the key nobody can say what was erased or"
                " which models learned from it",
            ) from error

    def _read(self) -> bytes:
        key = bytes.fromhex(self._file.read_text(encoding="ascii"))
        if len(key) != _KEY_BYTES:
            raise ValueError(f"{len(key)} bytes, expected {_KEY_BYTES}")
        return key

    def _make(self) -> None:
        """Write the key whole under another name first: whoever comes second takes the first's."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._file.with_suffix(f".{secrets.token_hex(8)}")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(beside, self._file)
        beside.unlink()
