"""Clients keep one name through a period, and nobody can tell whose it was after."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from desireline.sidecar.errors import SidecarError
from desireline.sidecar.privacy.client_names import ClientNames

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def names(tmp_path, clock):
    return ClientNames(tmp_path / "salts", target="shop", days=30, clock=clock)


def salts(tmp_path):
    return sorted((tmp_path / "salts").glob("*.salt"))


def test_a_client_has_one_name_through_a_period_in_every_process(names, tmp_path, clock):
    first = names.name("ann", NOON)
    other = ClientNames(tmp_path / "salts", target="shop", days=30, clock=clock)
    assert first == names.name("ann", NOON - timedelta(hours=5)) == other.name("ann", NOON)
    assert first != names.name("bob", NOON)
    assert "ann" not in first
    assert names.name("", NOON) == ""


def test_targets_and_data_folders_cannot_be_linked(names, tmp_path, clock):
    other_target = ClientNames(tmp_path / "salts", target="blog", days=30, clock=clock)
    other_folder = ClientNames(tmp_path / "other", target="shop", days=30, clock=clock)
    found = {
        each.name("ann", NOON).partition("~")[2] for each in (names, other_target, other_folder)
    }
    assert len(found) == 3


def test_only_the_owner_may_read_a_salt_and_backups_are_told_to_leave_it(names, tmp_path):
    names.name("ann", NOON)
    (salt,) = salts(tmp_path)
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    assert stat.S_IMODE(salt.parent.stat().st_mode) == 0o700
    tag = (tmp_path / "salts" / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert [path.suffix for path in salt.parent.iterdir() if path != salt] == [".TAG"]


def test_a_salt_is_gone_two_days_after_its_period_and_the_name_cannot_be_made_again(
    names, tmp_path, clock
):
    before = names.name("ann", NOON)
    (salt,) = salts(tmp_path)
    secret = json.loads(salt.read_text())["salt"]
    over = datetime.fromtimestamp(int(salt.stem.partition("-")[2]) * 86_400, UTC)
    assert NOON < over <= NOON + timedelta(days=30)
    clock.now = over + timedelta(days=2, seconds=-1)
    assert names.rotate() == 0
    clock.now = over + timedelta(days=2)
    assert names.rotate() == 1
    assert not salts(tmp_path)
    assert not any(secret in path.read_text() for path in (tmp_path / "salts").iterdir())
    assert names.name("ann", NOON) != before
    assert before not in names.all_names("ann")


def test_at_the_boundary_the_event_decides_so_a_late_event_has_the_old_name(names, clock):
    period_ends = datetime.fromtimestamp(
        (int(NOON.timestamp() // 86_400) // 30 + 1) * 30 * 86_400, UTC
    )
    before, after = period_ends - timedelta(minutes=1), period_ends + timedelta(minutes=1)
    clock.now = after
    assert names.name("ann", before) != names.name("ann", after)
    clock.now = after + timedelta(hours=30)
    names.rotate()
    assert names.all_names("ann") == {names.name("ann", before), names.name("ann", after)}


def test_a_long_history_pulled_at_once_keeps_its_salts_until_two_days_after(names, tmp_path, clock):
    old = [names.name("ann", NOON - timedelta(days=back)) for back in (0, 40, 80)]
    assert len(set(old)) == 3
    assert names.rotate() == 0
    assert [names.name("ann", NOON - timedelta(days=back)) for back in (0, 40, 80)] == old
    clock.now = NOON + timedelta(days=3)
    assert names.rotate() >= 2


def test_a_wrong_clock_makes_no_salts_without_end(names, tmp_path):
    for year in (1, 1970, 1980, 2025, 2030, 9999):
        names.name("ann", datetime(year, 6, 1, tzinfo=UTC))
    assert len(salts(tmp_path)) <= 3
    assert names.name("ann", datetime(1970, 6, 1, tzinfo=UTC)) == names.name(
        "ann", datetime(1, 1, 2, tzinfo=UTC)
    )


def test_whoever_comes_first_makes_the_salt(tmp_path, clock):
    def one(_: int) -> str:
        return ClientNames(tmp_path / "salts", target="shop", days=30, clock=clock).name(
            "ann", NOON
        )

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(one, range(32)))) == 1
    assert len(list((tmp_path / "salts").iterdir())) == 2


def test_what_a_killed_process_left_of_a_salt_goes_too(names, tmp_path, clock):
    names.name("ann", NOON)
    left = tmp_path / "salts" / "0-30.abcd.making"
    left.write_text("{}")
    (tmp_path / "salts" / "0-30.gone").write_text("{}")
    clock.now = datetime.fromtimestamp(left.stat().st_mtime, UTC) + timedelta(hours=2)
    names.rotate()
    assert {path.suffix for path in (tmp_path / "salts").iterdir()} <= {".salt", ".TAG"}


def test_a_salt_that_cannot_be_read_stops_the_pull(names, tmp_path):
    names.name("ann", NOON)
    (salt,) = salts(tmp_path)
    salt.write_text("not json")
    names.rotate()
    with pytest.raises(SidecarError, match="can be neither read nor made"):
        names.name("ann", NOON)
