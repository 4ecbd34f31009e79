"""What docs/schedules.md shows can be done, and its clocks go as it says."""

import re
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.cron import FIELDS, Cron
from domain.schedule import MOST_SCHEDULES
from tests.docs.pages import blocks, page, prose
from tests.story import Stage, project_of

PAGE = "docs/schedules.md"
BERLIN = ZoneInfo("Europe/Berlin")
CLOCKS = re.findall(r"^\| `([^`]+)` \| ([^|]*)\| ([^|]*)\|$", prose(PAGE), re.MULTILINE)


async def test_its_examples_make_show_change_and_delete_a_schedule(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    nightly, pause, show, change, delete = blocks(PAGE, "graphql")
    made: dict[str, Any] = await person.ask(nightly, projectId=project)
    assert (made["__typename"], len(made["nextTimes"])) == ("Schedule", 3)
    assert made["nextTimes"][0] == made["nextAt"]
    assert {datetime.fromisoformat(each).astimezone(BERLIN).strftime("%H:%M") for each in made["nextTimes"]} == {
        "06:30"
    }
    assert (await person.ask(pause, projectId=project))["__typename"] == "Schedule"
    schedules = (await person.ask(show, projectId=project))["schedules"]
    assert schedules["totalCount"] == 2
    assert [each["start"] for each in schedules["nodes"]] == [{"seconds": 1.0}, {"preset": "H264_720P", "custom": None}]
    changed = await person.ask(change, id=made["id"])
    assert (changed["version"], changed["cron"], changed["paused"]) == (2, "0 7 * * MON-FRI", False)
    assert (await person.ask(change, id=made["id"]))["__typename"] == "StaleVersion"
    assert await person.ask(delete, id=made["id"]) == {"__typename": "Deleted", "id": made["id"]}


@pytest.mark.parametrize(("cron", "skipped", "repeated"), CLOCKS, ids=str)
def test_its_table_of_changing_clocks_is_true(cron: str, skipped: str, repeated: str) -> None:
    def local(month: int, day: int) -> str:
        """The local times between 1:00 and 4:00."""
        start = datetime(2026, month, day, 1, tzinfo=BERLIN).astimezone(UTC)
        end = datetime(2026, month, day, 4, tzinfo=BERLIN).astimezone(UTC)
        times = Cron(expression=cron, time_zone="Europe/Berlin").times(start)
        return ", ".join(f"{each.astimezone(BERLIN):%-H:%M}" for each in takewhile(lambda at: at < end, times))

    assert (local(3, 29), local(10, 25)) == (skipped.strip(), repeated.replace("(the first)", "").strip())


def test_its_table_was_found() -> None:
    assert len(CLOCKS) == 3


def test_its_fields_and_its_limit_are_the_real_ones() -> None:
    assert tuple(re.findall(r"^\| ((?:minute|hour|day[a-z ]*?|month)) *\|", page(PAGE), re.MULTILINE)) == FIELDS
    assert f"{MOST_SCHEDULES} schedules at most" in page(PAGE)


@pytest.mark.parametrize(
    "expression", ["0,30 9-17 */15 * *", "0 0 LW JAN-DEC SUN-SAT", "0 0 L * 7", "0 0 * * FRI#2,5L"]
)
def test_what_its_fields_take_is_taken(expression: str) -> None:
    Cron.read(expression, "UTC", datetime(2026, 1, 1, tzinfo=UTC))
