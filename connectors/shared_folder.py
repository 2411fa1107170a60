"""A folder that several machines share, wherever fsspec reaches: a bucket, a network disk.

It is far away and may be dead. An operation that does not move for a while is given up, and what
an error of some library says is not repeated: it may hold an address with credentials.
"""

import errno
import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import fsspec

from desireline.connectors.errors import PluginMissingError, SharedFolderError

_T = TypeVar("_T")
_Beat = Callable[[], None]
_BLOCK = 1 << 20
_ON_DISK = {"file", "local"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What was in a file."""

    sha256: str
    bytes: int


class SharedFolder:
    """Files below one address; every path is relative to it, with / between its parts."""

    def __init__(
        self, url: str, *, options: Mapping[str, Any] | None = None, limit_s: float = 60.0
    ) -> None:
        """Know the address; nothing is asked yet.

        Args:
            url: an address of fsspec, or a folder of this machine.
            options: of fsspec's file system; may hold secrets.
            limit_s: longest that nothing may move.

        Raises:
            PluginMissingError: the package for such addresses is not installed.

        """
        self.name = shown(url)
        self._url = url
        self._options = dict(options or {})
        self._limit_s = limit_s
        self._stuck: threading.Thread | None = None
        protocol = urlsplit(url).scheme or "file"
        try:
            fsspec.get_filesystem_class(protocol)
        except (ImportError, ValueError):
            raise PluginMissingError(
                f"{self.name} cannot be reached here: fsspec's package for {protocol}:// is not"
                " installed",
                next_step=f"install it (s3fs, gcsfs, adlfs, …); {protocol} must be one that fsspec"
                " knows",
            ) from None

    def names(self, path: str = "") -> list[str]:
        """Names in a folder, sorted; none where it does not exist."""

        def listed(system: Any, root: str, beat: _Beat) -> list[str]:
            beat()
            system.invalidate_cache()
            try:
                found = system.ls(_join(root, path), detail=False)
            except FileNotFoundError:
                return []
            return sorted({str(each).rstrip("/").rsplit("/", maxsplit=1)[-1] for each in found})

        return self._ask("listed", listed)

    def read(self, path: str, most: int) -> bytes | None:
        """Read a small file; None where there is none, or more than so many bytes."""

        def content(system: Any, root: str, beat: _Beat) -> bytes | None:
            beat()
            try:
                with system.open(_join(root, path), "rb") as file:
                    data = cast("bytes", file.read(most + 1))
            except FileNotFoundError:
                return None
            return data if len(data) <= most else None

        return self._ask("read", content)

    def fetch(self, path: str, target: Path, *, most: int) -> Content | None:
        """Copy a file here, hashed as it arrives; not one byte more than `most` + 1.

        Returns None where there is none.

        Raises:
            OSError: this machine cannot write it, which is not the shared folder's fault.
            SharedFolderError: it could not be read.

        """
        with target.open("wb") as here:
            return self._read_through(path, most + 1, _OwnFile(here))

    def content(self, path: str, *, most: int) -> Content | None:
        """Read a file there and keep nothing but its digest; None where there is none."""
        return self._read_through(path, most + 1, _Nowhere())

    def _read_through(self, path: str, most: int, target: "_Writable") -> Content | None:
        def read(system: Any, root: str, beat: _Beat) -> Content | None:
            try:
                with system.open(_join(root, path), "rb") as source:
                    return _copied(source, target, beat, most=most)
            except FileNotFoundError:
                return None

        return self._ask("read", read)

    def send(self, source: Path, path: str) -> Content:
        """Copy a file there, hashed as it leaves."""

        def sent(system: Any, root: str, beat: _Beat) -> Content:
            with source.open("rb") as here:
                return _written(system, root, path, here, beat)

        return self._ask("written", sent)

    def _ask(self, what: str, work: Callable[[Any, str, _Beat], _T]) -> _T:
        """Do something there, in a thread that can be left behind when nothing moves."""
        if self._stuck is not None and self._stuck.is_alive():
            raise self._refusal(what, "it does not answer")
        attempt = _Attempt(lambda beat: work(*self._system(), beat))
        if not attempt.ends(self._limit_s):
            self._stuck = attempt.thread
            raise self._refusal(what, f"nothing moved for {self._limit_s:g} s")
        if isinstance(attempt.error, _OwnDiskError):
            raise attempt.error.cause
        if attempt.error is not None:
            raise self._refusal(what, _said(attempt.error)) from None
        return cast("_T", attempt.result)

    def _system(self) -> tuple[Any, str]:
        system, root = fsspec.core.url_to_fs(self._url, **self._options)
        return system, str(root).rstrip("/")

    def _refusal(self, what: str, why: str) -> SharedFolderError:
        return SharedFolderError(
            f"{self.name} could not be {what}: {why}",
            next_step="see that its address, its credentials and the network are right",
        )


class _Writable(Protocol):
    """Takes the blocks of a file, one after the other."""

    def write(self, block: bytes, /) -> object: ...


class _OwnDiskError(Exception):
    """A file of this machine could not be written."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _OwnFile:
    """A file of this machine; what fails with it is told apart from what fails there."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, block: bytes, /) -> None:
        """Write a block down to the system, so that a full disk is met here."""
        try:
            self._file.write(block)
            self._file.flush()
        except OSError as error:
            raise _OwnDiskError(error) from error


class _Nowhere:
    """Takes blocks that are only to be counted and hashed."""

    def write(self, block: bytes, /) -> None:
        """Forget a block."""


class _Attempt:
    """One piece of work in a thread of its own."""

    def __init__(self, work: Callable[[_Beat], Any]) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self._work = work
        self._beats = 0
        self._done = threading.Event()
        self.thread = threading.Thread(target=self._run, name="shared folder", daemon=True)

    def ends(self, limit_s: float) -> bool:
        """Wait for the end; False when nothing has moved for so long."""
        self.thread.start()
        seen = -1
        while not self._done.wait(limit_s):
            if self._beats == seen:
                return False
            seen = self._beats
        return True

    def _run(self) -> None:
        try:
            self.result = self._work(self._beat)
        except Exception as error:  # noqa: BLE001 - each system of fsspec raises errors of its own
            self.error = error
        finally:
            self._done.set()

    def _beat(self) -> None:
        self._beats += 1


def shown(url: str) -> str:
    """Return an address without what may be a secret in it."""
    parts = urlsplit(url)
    if not parts.scheme:
        return url
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def _join(root: str, path: str) -> str:
    return f"{root}/{path}" if path else root


def _written(system: Any, root: str, path: str, source: IO[bytes], beat: _Beat) -> Content:
    """Write a file that appears whole; on a disk, by a rename."""
    whole = _join(root, path)
    protocol = system.protocol
    on_disk = not _ON_DISK.isdisjoint({protocol} if isinstance(protocol, str) else protocol)
    if on_disk:
        _refuse_links(Path(root), Path(whole))
    first = f"{whole}.{uuid.uuid4().hex[:8]}.part" if on_disk else whole
    with _opened_to_write(system, first) as there:
        content = _copied(source, there, beat)
    if on_disk:
        system.mv(first, whole)
    return content


def _refuse_links(root: Path, file: Path) -> None:
    """Refuse to write where a link leads out: others put files into the folder, too."""
    if not file.parent.resolve().is_relative_to(root.resolve()):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _opened_to_write(system: Any, path: str) -> IO[bytes]:
    """Open for writing, making the folder only where the system has folders."""
    try:
        return cast("IO[bytes]", system.open(path, "wb"))
    except FileNotFoundError:
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        return cast("IO[bytes]", system.open(path, "wb"))


def _copied(
    source: IO[bytes], target: _Writable, beat: _Beat, *, most: int | None = None
) -> Content:
    digest, count = hashlib.sha256(), 0
    while block := source.read(_BLOCK if most is None else min(_BLOCK, most - count)):
        digest.update(block)
        target.write(block)
        count += len(block)
        beat()
    return Content(sha256=digest.hexdigest(), bytes=count)


def _said(error: Exception) -> str:
    """Name an error without what it says."""
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""
    return f"{type(error).__name__}{f' ({reason})' if reason else ''}"
