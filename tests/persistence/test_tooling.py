"""What the API knows of the tools that its workers make things with."""

from domain.kinds import Pool
from domain.render.scene import Tools
from persistence.queues import absent, present
from persistence.resources import Resources
from persistence.tooling import Tooling


async def test_what_a_worker_says_is_known_and_stays_known_when_it_has_left(resources: Resources) -> None:
    database = resources.database
    tooling = Tooling(database)
    assert await tooling.newest() is None
    await present(database, "bare", {Pool.SPEECH: 1})
    assert await tooling.newest() is None
    told = {"ffmpeg": "ffmpeg version 9", "threads": 2, "hardware": False}
    await present(database, "maker", {Pool.RENDER: 1}, tools=told)
    assert await tooling.newest() == Tools(ffmpeg="ffmpeg version 9", threads=2, hardware=False)
    await absent(database, "maker")
    tooling.forget()
    assert await tooling.newest() == Tools(ffmpeg="ffmpeg version 9", threads=2, hardware=False)


async def test_the_worker_that_started_last_has_the_say(resources: Resources) -> None:
    database = resources.database
    for name in ("old", "new"):
        await present(database, name, {Pool.LIGHT: 1}, tools={"ffmpeg": name, "threads": 4, "hardware": False})
    await present(database, "old", {Pool.LIGHT: 1}, tools={"ffmpeg": "old", "threads": 4, "hardware": False})
    known = await Tooling(database).newest()
    assert known is not None
    assert known.ffmpeg == "new"
