"""The names that clients go by in everything we keep: digests under a salt that is thrown away.

A salt serves the events of its own days, by the events' time, so that a client keeps one name
through a period however late or often its events are pulled. Two days after its period has
ended a salt is overwritten and deleted; from then on the names it made are nobody's.

Salts are files below the data folder, because that is where the names are: processes that share
the folder agree on them, and no other machine needs them. The folder is marked as a cache
(CACHEDIR.TAG), which programs for backups can leave out: a backup that holds a salt keeps it.
"""

import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

import structlog

from desireline.sidecar.errors import SidecarError
from desireline.trainer.logs.k_anonymity import SALT_MARK

log = structlog.get_logger(__name__)

_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# Salts of clients' names. Leave this folder out of backups: a salt that is kept anywhere
# undoes the hashing of the names it made.
"""
#: Events come later than this only by accident; they then make a salt, and a name, of their own.
_LATE = timedelta(days=2)
#: All that is older goes by the salt of one period, however wrong its clock.
_OLDEST = timedelta(days=400)
_NAME_BYTES = 12
_MAKING, _GONE = ".making", ".gone"
_MAKING_TAKES = timedelta(hours=1)
#: Names of one period, and days, that are kept at hand; the rest is hashed again.
_REMEMBERED = 100_000
_DAYS_REMEMBERED = 2_000
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class _Salt:
    """The days it serves, from and to (since 1970, the last one not included), and its bytes."""

    first: int
    end: int
    secret: bytes

    def key(self, target: str) -> bytes:
        """Return what a target's clients are hashed with; targets cannot be linked."""
        return blake2b(target.encode(), key=self.secret, digest_size=32).digest()

    @property
    def mark(self) -> str:
        """What tells names of this salt from others; says nothing of the salt."""
        return SALT_MARK + blake2b(b"mark", key=self.secret, digest_size=4).hexdigest()


class ClientNames:
    """Names for the clients of one target."""

    def __init__(
        self,
        folder: Path,
        *,
        target: str,
        days: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._folder = folder
        self._target = target
        self._days = days
        self._clock = clock
        #: By day, as `date.toordinal` counts: the names given to the clients of its period.
        self._of_day: dict[int, dict[str, str]] = {}
        self._of_period: dict[int, dict[str, str]] = {}
        self._salts: dict[int, tuple[str, bytes]] = {}

    def name(self, client: str, at: datetime) -> str:
        """Return the name of a client at a time; a client that is not named stays so."""
        if not client:
            return ""
        day = (at if at.tzinfo is UTC else _in_utc(at)).toordinal()
        try:
            return self._of_day[day][client]
        except KeyError:
            return self._named(client, day)

    def all_names(self, client: str) -> frozenset[str]:
        """Return every name that a client has had under the salts that still exist."""
        return frozenset(_hashed(client, salt.mark, salt.key(self._target)) for salt in self._all())

    def rotate(self) -> int:
        """Delete the salts whose period is over; return how many went."""
        now = self._clock()
        over = [
            path
            for path in self._folder.glob("*.salt")
            if _end(path) + _LATE <= now and _made(path) + _LATE <= now
        ]
        for path in over:
            path.replace(path.with_suffix(_GONE))
        for path in self._folder.glob(f"*{_GONE}"):
            _destroy(path)
        self._sweep(now)
        if over:
            log.info("salts of clients' names deleted", salts=len(over))
        self._of_day.clear()
        self._of_period.clear()
        self._salts.clear()
        return len(over)

    def _named(self, client: str, day: int) -> str:
        """Hash a client that has no name yet on this day; its whole period has it then."""
        if len(self._of_day) >= _DAYS_REMEMBERED:
            self._of_day.clear()
        first = self._period(day)
        names = self._of_day.setdefault(day, self._of_period.setdefault(first, {}))
        if first not in self._salts:
            salt = self._salt(first)
            self._salts[first] = (salt.mark, salt.key(self._target))
        if client not in names:
            if len(names) >= _REMEMBERED:
                names.clear()
            names[client] = _hashed(client, *self._salts[first])
        return names[client]

    def _period(self, day: int) -> int:
        now = _since_1970(self._clock())
        known = min(max(day - _EPOCH, now - _OLDEST.days), now)
        return known - known % self._days

    def _salt(self, first: int) -> _Salt:
        path = self._folder / f"{first}-{first + self._days}.salt"
        try:
            with suppress(FileNotFoundError):
                return _read(path)
            self._make(path)
            return _read(path)
        except (OSError, ValueError, KeyError) as error:
            raise SidecarError(
                f"the salt {path} can be neither read nor made: {error}; no event was kept",
                next_step="mend the folder; a salt that cannot be read may be removed, and its"
                " clients then count as new ones",
            ) from error

    def _make(self, path: Path) -> None:
        """Write a salt whole under another name first: whoever comes second takes the first's."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        with suppress(FileExistsError), (self._folder / "CACHEDIR.TAG").open("x") as tag:
            tag.write(_TAG)
        beside = path.with_suffix(f".{secrets.token_hex(8)}{_MAKING}")
        body = {"salt": secrets.token_hex(32), "made_at": self._clock().isoformat()}
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(body, file)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(beside, path)
        beside.unlink()

    def _sweep(self, now: datetime) -> None:
        """Remove second names of salts that a killed process left."""
        for path in self._folder.glob(f"*{_MAKING}"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < (now - _MAKING_TAKES).timestamp():
                    path.unlink()

    def _all(self) -> list[_Salt]:
        return [_read(path) for path in sorted(self._folder.glob("*.salt"))]


def _hashed(client: str, mark: str, key: bytes) -> str:
    secret = client.encode("utf-8", "surrogatepass")
    return f"{mark}~{blake2b(secret, key=key, digest_size=_NAME_BYTES).hexdigest()}"


def _since_1970(at: datetime) -> int:
    return _in_utc(at).toordinal() - _EPOCH


def _in_utc(at: datetime) -> datetime:
    """Return a time in UTC, as which one without a zone is read."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _read(path: Path) -> _Salt:
    first, _, end = path.stem.partition("-")
    secret = bytes.fromhex(json.loads(path.read_text(encoding="ascii"))["salt"])
    return _Salt(first=int(first), end=int(end), secret=secret)


def _end(path: Path) -> datetime:
    return datetime.fromtimestamp(int(path.stem.partition("-")[2]) * 86_400, UTC)


def _made(path: Path) -> datetime:
    """When a salt was made; long ago where that cannot be read, for then it serves nobody."""
    try:
        return datetime.fromisoformat(json.loads(path.read_text(encoding="ascii"))["made_at"])
    except (OSError, ValueError, KeyError):
        return datetime.fromtimestamp(0, UTC)


def _destroy(path: Path) -> None:
    """Overwrite and delete. What a disk keeps of overwritten blocks is beyond us."""
    with suppress(FileNotFoundError):
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(secrets.token_bytes(size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
