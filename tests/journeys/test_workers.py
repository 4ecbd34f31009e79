"""Workers go away, asked or not: their jobs go on elsewhere, and nothing of theirs stays behind."""

import asyncio
import time
from contextlib import aclosing
from pathlib import Path

import av
import pytest

from tests import media
from tests.installation import Installation, below, encoder, held, kill, tell_to_stop
from tests.journeys.acts import WATCH_JOB, download, encoding, pause, set_video, start_render, upload
from tests.story import project_of, until
from tests.wire import Caller

FRAMES, TIMES = 20, 20
STATE = "query($id: ID!) { job(id: $id) { state attempt failures } }"


@pytest.fixture(scope="session")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.counter(tmp_path_factory.mktemp("counter") / "counter.mp4", frames=FRAMES)


async def long_render(person: Caller, counter: Path, *, times: int = TIMES) -> str:
    """The id of a render that takes some seconds."""
    project = await project_of(person)
    asset = await upload(person, project, counter, "video/mp4")
    await set_video(person, project, asset, frames=FRAMES, times=times)
    return await start_render(person, project)


async def test_the_render_of_a_killed_worker_goes_on_elsewhere_within_its_lease_and_comes_out_right(
    installation: Installation, counter: Path, tmp_path: Path
) -> None:
    _, *workers = await asyncio.gather(installation.api(), installation.worker(), installation.worker())
    ada = await installation.person()
    job = await long_render(ada, counter)
    await encoding(ada, job)
    doomed, _ = await encoder(*workers)
    async with aclosing(ada.watch(WATCH_JOB, id=job)) as watching:
        seen = await until(watching, state="PROCESSING")
        with held([doomed.pid, *below(doomed.pid)]) as family:
            killed = time.monotonic()
            kill(doomed)
            assert await family.end_within(1)
        seen += await until(watching, state="PROCESSING", attempt=2)
        took = time.monotonic() - killed
        assert took < installation.settings.lease_seconds + 2
        seen += [each async for each in watching]
    states = [f"{each['state']} {each['attempt']}" for each in seen]
    assert list(dict.fromkeys(states)) == ["PROCESSING 1", "QUEUED 1", "PROCESSING 2", "COMPLETED 2"]
    assert {each["failures"] for each in seen} == {0}
    made = await download(ada, seen[-1]["asset"]["id"], tmp_path / "made.mp4")
    with av.open(made) as video:
        numbers = [media.Picture(frame).number() for frame in video.decode(video=0)]
    assert numbers == list(range(1, FRAMES + 1)) * TIMES


async def test_cancelling_a_render_stops_its_ffmpeg_within_a_second_and_leaves_no_file(
    installation: Installation, counter: Path
) -> None:
    _, worker = await asyncio.gather(installation.api(), installation.worker())
    ada = await installation.person()
    job = await long_render(ada, counter, times=40)
    stored = [path for path in files(installation.settings.storage_path) if "pieces" not in path.parts]
    assert len(stored) == 1
    async with aclosing(ada.watch(WATCH_JOB, id=job)) as watching:
        await encoding(ada, job)
        assert files(installation.settings.scratch_path) != []
        _, at_work = await encoder(worker)
        with held(at_work) as running:
            asked = time.monotonic()
            await ada.do("cancelJob", "... on Job { state }", id=job)
            assert await running.end_within(1 - (time.monotonic() - asked))
        seen = [each async for each in watching]
    assert seen[-1]["state"] == "CANCELLED"
    await asyncio.to_thread(worker.stop)  # what it had to clear is cleared by now
    assert files(installation.settings.scratch_path) == []
    kept = set(files(installation.settings.storage_path)) - set(stored)
    assert all("pieces" in path.parts for path in kept)  # what was finished is not made again


async def test_a_worker_told_to_stop_hands_its_job_back_and_another_does_it(installation: Installation) -> None:
    _, leaving = await asyncio.gather(installation.api(), installation.worker())
    ada = await installation.person()
    project = await project_of(ada)
    job = await pause(ada, project, 1.5)
    async with aclosing(ada.watch(WATCH_JOB, id=job)) as watching:
        await until(watching, state="PROCESSING")
        tell_to_stop(leaving)
        await until(watching, state="QUEUED")
        with held([leaving.pid]) as gone:
            assert await gone.end_within(5)
        assert leaving.ended == 0
        await installation.worker()
        seen = [each async for each in watching]
    assert seen[-1]["state"] == "COMPLETED"
    assert await ada.ask(STATE, id=job) == {"state": "COMPLETED", "attempt": 2, "failures": 0}


def files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())
