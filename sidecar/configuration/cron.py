"""Five-field cron expressions, read the way cron reads them."""

from apscheduler.triggers.cron import CronTrigger

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def cron_trigger(expression: str, timezone: str) -> CronTrigger:
    """Return the trigger of a crontab line such as ``0 2 * * 1-5``.

    APScheduler 3 counts weekdays from Monday = 0 where cron counts from Sunday = 0, so they are
    turned into names first; otherwise every schedule by number runs a day late. A line that
    restricts the day of the month and the weekday is refused: cron takes either, APScheduler both.

    Raises:
        ValueError: not five fields, a field outside its range, or both kinds of day.

    """
    fields = expression.split()
    if len(fields) != 5:  # noqa: PLR2004 - minute, hour, day, month, weekday
        raise ValueError(f"it has {len(fields)} fields")
    if fields[2] != "*" and fields[4] != "*":
        raise ValueError("it names days of the month and weekdays; use one of them")
    if fields[4] != "*":
        fields[4] = ",".join(_names(fields[4]))
    return CronTrigger.from_crontab(" ".join(fields), timezone=timezone)


def _names(field: str) -> list[str]:
    chosen = {number for part in field.split(",") for number in _numbers(part)}
    return [_WEEKDAYS[number] for number in sorted(chosen)]


def _numbers(part: str) -> list[int]:
    """Expand ``1-5``, ``*/2``, ``sun`` or ``0`` to weekday numbers, 0 and 7 both Sunday."""
    days, _, step = part.partition("/")
    first, dash, last = ("0", "-", "6") if days == "*" else days.partition("-")
    start, end = _number(first), _number(last if dash else first)
    if dash and end == 0:
        end = 7
    if start > end:
        raise ValueError(f"the weekdays {part!r} run backwards")
    every = int(step) if step.isdecimal() else 0 if step else 1
    if every == 0:
        raise ValueError(f"{part!r} has no step")
    return [day % 7 for day in range(start, end + 1, every)]


def _number(day: str) -> int:
    if day.lower() in _WEEKDAYS:
        return _WEEKDAYS.index(day.lower())
    if day.isdecimal() and int(day) < len(_WEEKDAYS):
        return int(day)
    raise ValueError(f"there is no weekday {day!r}")
