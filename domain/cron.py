"""When a schedule is due: a cron expression, read on the clock of a time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import cache
from typing import Self
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from domain.refusals import InvalidInput

CRON_LENGTH = 100
ZONE_LENGTH = 64
FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
"""Of an expression, in order. There are no seconds: nothing is due more often than once a minute."""
LONGEST_WAIT = timedelta(days=3660)
"""What does not come within ten years is taken for a mistake."""
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Cron:
    """A cron expression and the zone whose clock it is read on.

    When clocks change it is taken as Debian's cron takes it. A time of day (neither minute nor hour begins with `*`)
    comes once: one that is skipped comes when the clocks have skipped it, one that is repeated comes the first time.
    What comes "every so often" goes by the clock as it runs, so an hour that is repeated counts twice.
    """

    expression: str
    time_zone: str

    @classmethod
    def read(cls, expression: str, time_zone: str, now: datetime) -> Self:
        """Return what a client gave, tidied; refuse what cannot be read, and what never comes."""
        cron = cls(expression=" ".join(expression.split()), time_zone=time_zone.strip())
        _check_expression(cron.expression)
        _check_zone(cron.time_zone)
        try:
            first = next(cron.times(now), None)
        except CronSimError:  # a 31st of February: each field may be good, but not all together
            first = None
        if first is None or first > now + LONGEST_WAIT:
            raise InvalidInput(path="cron", problem="no such day comes within ten years")
        return cron

    def times(self, after: datetime) -> Iterator[datetime]:
        """When it is due, from the first time behind this moment on, in UTC."""
        zone = UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)
        minute, hour, *_ = self.expression.split()
        if minute.startswith("*") or hour.startswith("*"):
            return self._by_the_running_clock(zone, after)
        # cronsim does not know which of two equal hours `after` lies in, and so may begin before it.
        found = (each.astimezone(UTC) for each in CronSim(self.expression, after.astimezone(zone)))
        return (each for each in found if each > after)

    def _by_the_running_clock(self, zone: tzinfo, after: datetime) -> Iterator[datetime]:
        """Each stretch in which the clocks don't change by itself.

        cronsim would take them together, but never returns where they change within an hour (Chatham, at 2:45).
        """
        after = after.astimezone(UTC).replace(microsecond=0)
        while True:
            start = after + _SECOND
            offset = _offset(zone, start)
            local = next(CronSim(self.expression, (after + offset).replace(tzinfo=None)), None)
            if local is None:
                return
            due = local.replace(tzinfo=UTC) - offset
            change = _change(zone, start, due)
            if change is None:
                yield due
            after = (change - _SECOND) if change else due


def _check_expression(expression: str) -> None:
    if len(expression) > CRON_LENGTH:
        raise InvalidInput(path="cron", problem=f"it may have {CRON_LENGTH} characters at most")
    parts = expression.split()
    if len(parts) != len(FIELDS):
        raise InvalidInput(path="cron", problem=f"it needs five fields ({', '.join(FIELDS)}), as 30 6 * * 1-5 has")
    for index, part in enumerate(parts):
        alone = ["*"] * len(FIELDS)
        alone[index] = part
        try:
            CronSim(" ".join(alone), datetime.min)  # noqa: DTZ901 - no moment is asked for
        except CronSimError:
            raise InvalidInput(path="cron", problem=f"{part} is no {FIELDS[index]}") from None


def _check_zone(name: str) -> None:
    known = _zones()
    if name == "UTC" or name in known:
        return
    if not known:
        problem = "this installation knows no zone but UTC; its administrator has to install tzdata"
    elif close := get_close_matches(name[:ZONE_LENGTH], known, n=1):
        problem = f"there is no such zone; did you mean {close[0]}?"
    else:
        problem = "there is no such zone; it must be a name such as Europe/Berlin or UTC"
    raise InvalidInput(path="timeZone", problem=problem)


@cache
def _zones() -> frozenset[str]:
    """The zones that Python finds on this machine. It takes a walk over some 600 files."""
    return frozenset(name for name in available_timezones() if len(name) <= ZONE_LENGTH)


def _offset(zone: tzinfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101 - a zone always has one
    return offset


def _change(zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """The first moment behind `start`, up to `end`, at which the clocks are changed. They are not twice in a day."""
    offset = _offset(zone, start)
    while start < end:
        until = min(start + _DAY, end)
        if _offset(zone, until) != offset:
            return _bisected(zone, start, until)
        start = until
    return None


def _bisected(zone: tzinfo, before: datetime, behind: datetime) -> datetime:
    offset = _offset(zone, before)
    while behind - before > _SECOND:
        middle = before + timedelta(seconds=(behind - before) // _SECOND // 2)
        before, behind = (middle, behind) if _offset(zone, middle) == offset else (before, middle)
    return behind
