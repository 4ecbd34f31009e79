"""When the checker takes an error for granted."""

import asyncio
import time
from datetime import datetime
from pathlib import Path

from tests.chaos.excuses import GRACE, STALL, Excuses


def test_an_excuse_lasts_as_long_as_its_reason_and_a_moment_longer() -> None:
    excuses = Excuses()
    before = time.time()
    with excuses.given():
        assert excuses.cover(time.time() + 60, time.time() + 61), "who knows how long it will last"
        assert not excuses.cover(before - 2, before - 1)
    after = time.time()
    assert excuses.cover(before - 2, after)
    assert excuses.cover(after + GRACE / 2, after + 60)
    assert not excuses.cover(after + GRACE + 1, after + 60)


def test_the_era_is_even_while_the_database_is_there() -> None:
    excuses = Excuses()
    with excuses.without_database():
        assert excuses.era == 1
    assert excuses.era == 2
    assert excuses.cover(time.time(), time.time() + 1)


async def test_a_machine_that_stands_still_is_an_excuse() -> None:
    excuses = Excuses()
    noticing = asyncio.create_task(excuses.notice_stalls())
    await asyncio.sleep(0)
    before = time.time()
    time.sleep(STALL + 0.1)  # noqa: ASYNC251 - the point
    while not excuses.stalls:
        await asyncio.sleep(0)
    noticing.cancel()
    assert excuses.cover(before, before + 0.1)


def test_errors_in_a_log_are_complaints_unless_there_was_an_excuse(tmp_path: Path) -> None:
    excuses = Excuses()
    with excuses.given():
        excused = datetime.now()  # noqa: DTZ005 - as logs tell it
    lines = [f"{excused:%Y-%m-%d %H:%M:%S},123 ERROR   a: b", "2026-01-01 00:00:00,123 ERROR   c: d", "  File e"]
    lines += ["2026-01-01 00:00:00,123 WARNING f: g"]
    (tmp_path / "api.log").write_text("\n".join(lines))
    assert excuses.complaints(tmp_path) == ["api.log: 2026-01-01 00:00:00,123 ERROR   c: d"]
