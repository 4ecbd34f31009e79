import sys
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import cron as module
from domain.cron import Cron
from domain.refusals import InvalidInput

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday


def times(expression: str, time_zone: str, after: str, count: int) -> list[str]:
    """The next times in UTC, as month-day hour:minute."""
    cron = Cron(expression=expression, time_zone=time_zone)
    found = islice(cron.times(datetime.fromisoformat(after).replace(tzinfo=UTC)), count)
    return [f"{each:%m-%d %H:%M}" for each in found]


def refused(expression: str, time_zone: str = "UTC") -> tuple[str, str]:
    with pytest.raises(InvalidInput) as raised:
        Cron.read(expression, time_zone, NOW)
    return raised.value.path, raised.value.problem


def test_the_next_time_is_always_behind_now_even_when_now_is_one() -> None:
    assert times("30 6 * * *", "UTC", "2026-11-20 06:29:59.999", 1) == ["11-20 06:30"]
    assert times("30 6 * * *", "UTC", "2026-11-20 06:30:00", 1) == ["11-21 06:30"]
    assert times("30 6 * * *", "UTC", "2026-11-20 06:30:00.5", 1) == ["11-21 06:30"]
    assert times("* * * * *", "UTC", "2026-11-20 06:30:00.5", 2) == ["11-20 06:31", "11-20 06:32"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/20 8-9 * * *", ["11-21 08:00", "11-21 08:20", "11-21 08:40", "11-21 09:00"]),
        ("0 9 * * MON-FRI", ["11-23 09:00", "11-24 09:00", "11-25 09:00", "11-26 09:00"]),
        ("0 0 1 */3 *", ["01-01 00:00", "04-01 00:00", "07-01 00:00", "10-01 00:00"]),
        ("15 12 L * *", ["11-30 12:15", "12-31 12:15", "01-31 12:15", "02-28 12:15"]),
        ("0 18 * * FRI#2", ["12-11 18:00", "01-08 18:00", "02-12 18:00", "03-12 18:00"]),
    ],
)
def test_an_expression_is_read_as_cron_reads_it(expression: str, expected: list[str]) -> None:
    assert times(expression, "UTC", "2026-11-20 12:00", 4) == expected


def test_it_is_read_on_the_clock_of_its_zone() -> None:
    assert times("0 9 * * *", "Asia/Kolkata", "2026-11-20 12:00", 1) == ["11-21 03:30"]
    # In winter Berlin is one hour ahead, in summer two.
    assert times("0 9 28,29 3 *", "Europe/Berlin", "2026-03-01 00:00", 2) == ["03-28 08:00", "03-29 07:00"]


def test_a_time_of_day_that_the_clocks_skip_comes_when_they_have_skipped_it() -> None:
    # Berlin, 29 March 2026: 2:00 is followed by 3:00, which is 1:00 UTC.
    assert times("30 2 * * *", "Europe/Berlin", "2026-03-28 00:00", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]
    assert times("30 2 * * *", "Europe/Berlin", "2026-03-29 01:00", 1) == ["03-30 00:30"]


def test_a_time_of_day_that_the_clocks_repeat_comes_the_first_time_only() -> None:
    # Berlin, 25 October 2026: 3:00 is followed by 2:00, so 2:30 is 0:30 UTC and again 1:30 UTC.
    assert times("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", 2) == ["10-25 00:30", "10-26 01:30"]
    # Nor does it begin in the past for who asks in the second of the two hours.
    assert times("40 2 * * *", "Europe/Berlin", "2026-10-25 01:35", 1) == ["10-26 01:40"]


def test_what_comes_every_so_often_skips_a_skipped_hour_and_counts_a_repeated_one_twice() -> None:
    assert times("*/30 * * * *", "Europe/Berlin", "2026-03-29 00:15", 4) == [
        "03-29 00:30",
        "03-29 01:00",
        "03-29 01:30",
        "03-29 02:00",
    ]
    assert times("*/30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", 1) == ["03-30 00:00"]
    assert times("*/30 2 * * *", "Europe/Berlin", "2026-10-25 00:00", 4) == [
        "10-25 00:30",
        "10-25 01:00",
        "10-25 01:30",
        "10-26 01:00",
    ]


def test_zones_that_change_within_an_hour_are_no_trap() -> None:
    # Chatham, 2 April 2028: 3:45 is followed by 2:45. A naive search for "each third hour, at :59" never ends there.
    assert times("59-59 */3 * * SUN", "Pacific/Chatham", "2028-04-01 11:14", 3) == [
        "04-01 15:14",
        "04-01 18:14",
        "04-01 21:14",
    ]
    # Lord Howe, 5 April 2026: 2:00 is followed by 1:30.
    assert times("*/20 1-2 * * *", "Australia/Lord_Howe", "2026-04-04 14:15", 5) == [
        "04-04 14:20",
        "04-04 14:40",
        "04-04 15:10",
        "04-04 15:30",
        "04-04 15:50",
    ]


ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Chatham", "Australia/Lord_Howe", "Africa/Cairo"]
)
FIELD = st.sampled_from(["*", "*/7", "0", "2", "1-3", "*/2", "0,2"])
DAYS = st.sampled_from(["* * *", "* * SUN", "1,15 * *", "* 3,4,10,11 *"])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(minute=FIELD, hour=FIELD, days=DAYS, zone=ZONES, moment=MOMENTS, part=st.floats(0, 0.999))
@settings(max_examples=300, deadline=None)
def test_whoever_asks_on_the_way_to_a_time_is_told_the_same_one(
    minute: str, hour: str, days: str, zone: str, moment: datetime, part: float
) -> None:
    cron = Cron(expression=f"{minute} {hour} {days}", time_zone=zone)
    first, second, third = islice(cron.times(moment), 3)
    assert moment < first < second < third
    assert next(cron.times(moment + (first - moment) * part)) == first
    assert next(cron.times(first)) == second
    assert next(cron.times(first + timedelta(seconds=0.7))) == second


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "it needs five fields (minute, hour, day of the month, month, day of the week), as 30 6 * * 1-5 has"),
        (
            "@daily",
            "it needs five fields (minute, hour, day of the month, month, day of the week), as 30 6 * * 1-5 has",
        ),
        (
            "0 30 6 * * *",
            "it needs five fields (minute, hour, day of the month, month, day of the week), as 30 6 * * 1-5 has",
        ),
        ("60 6 * * *", "60 is no minute"),
        ("30 24 * * *", "24 is no hour"),
        ("30 6 0 * *", "0 is no day of the month"),
        ("30 6 * 13 *", "13 is no month"),
        ("30 6 * * MOND", "MOND is no day of the week"),
        ("*/0 6 * * *", "*/0 is no minute"),
        ("5-1 6 * * *", "5-1 is no minute"),
        ("1," * 50 + "1 * * * *", "it may have 100 characters at most"),
        ("0 0 31 2 *", "no such day comes within ten years"),
        ("0 0 */31 * MON#5", "no such day comes within ten years"),
        ("0 0 */28 2 MON#5", "no such day comes within ten years"),
    ],
)
def test_an_expression_that_cannot_be_meant_is_refused_with_what_is_wrong(expression: str, problem: str) -> None:
    assert refused(expression) == ("cron", problem)


def test_an_expression_is_kept_without_needless_space() -> None:
    assert Cron.read(" 30  6 * * 1-5\t", " UTC ", NOW) == Cron(expression="30 6 * * 1-5", time_zone="UTC")


@pytest.mark.parametrize(
    ("zone", "problem"),
    [
        ("Europe/Berlyn", "there is no such zone; did you mean Europe/Berlin?"),
        ("europe/berlin", "there is no such zone; did you mean Europe/Berlin?"),
        ("nowhere", "there is no such zone; it must be a name such as Europe/Berlin or UTC"),
        ("../../etc/passwd", "there is no such zone; it must be a name such as Europe/Berlin or UTC"),
        ("", "there is no such zone; it must be a name such as Europe/Berlin or UTC"),
        ("\0" * 10_000, "there is no such zone; it must be a name such as Europe/Berlin or UTC"),
    ],
)
def test_an_unknown_zone_is_refused_and_a_similar_one_named(zone: str, problem: str) -> None:
    assert refused("0 0 * * *", zone) == ("timeZone", problem)


@pytest.fixture
def no_zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without time zone data: not the system's, not the wheel's."""
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.reset_tzpath(())
    module._zones.cache_clear()
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    module._zones.cache_clear()


@pytest.mark.usefixtures("no_zones")
def test_where_there_are_no_zones_that_is_said_and_utc_works() -> None:
    problem = "this installation knows no zone but UTC; its administrator has to install tzdata"
    assert refused("0 0 * * *", "Europe/Berlin") == ("timeZone", problem)
    assert next(Cron.read("0 0 * * *", "UTC", NOW).times(NOW)) == datetime(2026, 11, 21, tzinfo=UTC)
