"""Where log files are: on disk, or anywhere fsspec reaches (s3://, gs://, abfs://, https:// …)."""

import glob
import gzip
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import fsspec

from desireline.connectors.errors import LogFormatError, PluginMissingError

#: In an address, ? begins a query.
_ANY_OF = "*["


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file that can be read from any byte."""

    #: Path on disk, or an address.
    place: str
    #: Of fsspec; None for this machine's disk.
    system: Any = None

    def __str__(self) -> str:
        return self.place

    @property
    def name(self) -> str:
        """Last part of the place."""
        return self.place.rsplit("/", maxsplit=1)[-1]

    @property
    def is_packed(self) -> bool:
        """Whether it is packed by gzip."""
        return self.name.endswith(".gz")

    def size(self) -> int:
        """Bytes as it lies there."""
        if self.system is None:
            return Path(self.place).stat().st_size
        return int(self.system.size(self.place) or 0)

    def open_unpacked(self) -> IO[bytes]:
        """Open for reading, unpacked where the name ends with .gz."""
        file = self._open()
        return cast("IO[bytes]", _Unpacked(file)) if self.is_packed else file

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """Lend the file as one of this machine's disk, fetched for that long if it is not."""
        if self.system is None:
            yield Path(self.place)
            return
        with tempfile.TemporaryDirectory(prefix="desireline-log-") as folder:
            here = Path(folder, "log")
            self.system.get_file(self.place, str(here))
            yield here

    def _open(self) -> IO[bytes]:
        if self.system is None:
            return Path(self.place).open("rb")
        return cast("IO[bytes]", self.system.open(self.place, "rb"))


class _Unpacked(gzip.GzipFile):
    """An unpacked file that closes the packed one with itself."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        super().__init__(fileobj=packed, mode="rb")

    def close(self) -> None:
        super().close()
        self._packed.close()


def find_files(patterns: Iterable[str]) -> list[LogFile]:
    """Return the files that match, by name. Raises LogFormatError where none does.

    Raises:
        PluginMissingError: an address needs a package that is not installed.

    """
    patterns = tuple(patterns)
    found = {str(file): file for pattern in patterns for file in _matching(pattern)}
    if not found:
        raise LogFormatError(
            f"no log file matches {', '.join(patterns)}; nothing was read",
            next_step="correct `path` under logs in desireline.toml",
        )
    return [found[place] for place in sorted(found)]


def _matching(pattern: str) -> list[LogFile]:
    if "://" not in pattern:
        paths = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [LogFile(path) for path in paths if Path(path).is_file()]
    protocol = pattern.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(pattern)
        some = system.glob(path) if any(sign in path for sign in _ANY_OF) else [path]
        files = [each for each in some if system.isfile(each)]
    except (ImportError, ValueError) as error:
        raise PluginMissingError(
            f"logs at {protocol}:// cannot be read here: {error}; nothing was read",
            next_step=f"install the fsspec package for {protocol} (s3fs, gcsfs, adlfs, aiohttp …)",
        ) from error
    except Exception as error:  # each system of fsspec raises errors of its own
        raise LogFormatError(
            f"logs at {protocol}:// cannot be reached: {type(error).__name__}; nothing was read",
            next_step=f"see that the address and the credentials of {protocol} are right",
        ) from error
    return [LogFile(system.unstrip_protocol(each), system) for each in files]
