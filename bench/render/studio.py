"""A running deployment and somebody who edits in it: upload, cut, render, look, over the wire only."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import func, select

from bench.jobs.people import Person, people
from bench.jobs.processor import Meter
from bench.render.reel import Reel
from bench.render.scenario import Encoder
from domain.job import ENDED, Job, JobState
from domain.piece import Piece
from persistence.database import Database
from reelgraph.demo.client import Client
from reelgraph.demo.documents import SET_TIMELINE, START_RENDER
from reelgraph.demo.failure import DemoFailed
from reelgraph.demo.transfer import Uploads

LOOK_AGAIN = 0.2  # seconds between two looks at a job's row
PREVIEW = """query($project: ID!, $frame: Int!, $width: Int!) {
  previewFrame(projectId: $project, frame: $frame, width: $width) { url }
}"""
WHY = "query($id: ID!) { job(id: $id) { error { message } } }"
TYPES = {".mp4": "video/mp4", ".m4a": "audio/mp4"}


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What a render took."""

    used: dict[str, float]
    """Processor seconds by process, those of its children with it."""
    wall_seconds: float
    strangers: float
    """Which share of the machine others had meanwhile."""
    spans: int
    """How many were encoded."""
    spans_seconds: float
    """Processor seconds of the FFmpegs that did."""
    sounds: int
    sounds_seconds: float
    """The same for pieces of sound."""

    @property
    def cpu_seconds(self) -> float:
        """In all."""
        return sum(self.used.values())

    def lines(self, name: str) -> Iterator[str]:
        """What it took, and what for."""
        used = ", ".join(f"{who} {seconds:.1f}" for who, seconds in self.used.items())
        rest = self.cpu_seconds - self.spans_seconds - self.sounds_seconds
        yield f"  {name}: {self.cpu_seconds:.1f} s of processor time in {self.wall_seconds:.1f} s ({used})"
        yield (
            f"    {self.spans} spans {self.spans_seconds:.1f} s, {self.sounds} sounds {self.sounds_seconds:.1f} s,"
            f" planning, joining, checking, storing {rest:.1f} s; others had {self.strangers:.0%} of the machine"
        )


@dataclass
class Studio:
    """A project with its footage, ready to be cut."""

    database: Database
    http: httpx.AsyncClient
    url: str
    person: Person
    project: str
    assets: Mapping[str, str]

    async def render(self, reel: Reel, encoder: Encoder, pids: Mapping[str, int]) -> Rendered:
        """Set the timeline and render it, to the end. Raises DemoFailed."""
        client = await self._client()
        await client.do(SET_TIMELINE, projectId=self.project, timeline=reel.timeline(self.assets))
        before = await self._pieces()
        meter, started = Meter(pids), time.monotonic()
        custom = {"codec": "H264", "width": reel.width, "height": reel.height, "crf": encoder.crf}
        job = await client.do(START_RENDER, projectId=self.project, output={"custom": custom})
        await self._ended(job["id"])
        seconds, used, strangers = time.monotonic() - started, meter.used(), meter.strangers()
        made = {key: piece for key, piece in (await self._pieces()).items() if key not in before}
        spans = [piece.cpu_seconds for piece in made.values() if piece.frames]
        sounds = [piece.cpu_seconds for piece in made.values() if not piece.frames]
        return Rendered(
            used=used,
            wall_seconds=seconds,
            strangers=strangers,
            spans=len(spans),
            spans_seconds=sum(spans),
            sounds=len(sounds),
            sounds_seconds=sum(sounds),
        )

    async def edit(self, reel: Reel) -> None:
        """Set the timeline."""
        await (await self._client()).do(SET_TIMELINE, projectId=self.project, timeline=reel.timeline(self.assets))

    async def previews(self, frames: Sequence[int], width: int) -> list[float]:
        """Ask for pictures of frames, one after the other; milliseconds from question to answer. Raises DemoFailed."""
        client, times = await self._client(), list[float]()
        for frame in frames:
            started = time.monotonic()
            answer = await client.ask(PREVIEW, project=self.project, frame=frame, width=width)
            times.append((time.monotonic() - started) * 1000)
            if answer["previewFrame"]["url"] is None:
                raise DemoFailed(f"frame {frame} was not there within {times[-1]:.0f} ms")
        return times

    async def settled(self) -> None:
        """Wait until nothing is under way any more."""
        while True:
            async with self.database.statements() as session:
                left = await session.scalar(select(func.count()).select_from(Job).where(Job.state.not_in(ENDED)))
            if not left:
                return
            await asyncio.sleep(LOOK_AGAIN)

    async def _client(self) -> Client:
        return Client(self.http, await self.person.token(self.url))

    async def _ended(self, job_id: str) -> None:
        while True:
            async with self.database.statements() as session:
                job = await session.get_one(Job, job_id)
            if job.state == JobState.COMPLETED:
                return
            if job.state in ENDED:
                told = await (await self._client()).ask(WHY, id=job_id)
                raise DemoFailed(f"the render ended as {job.state}: {told['job']['error']}")
            await asyncio.sleep(LOOK_AGAIN)

    async def _pieces(self) -> dict[str, Piece]:
        async with self.database.statements() as session:
            found = await session.scalars(select(Piece).where(Piece.project_id == self.project))
            return {piece.key: piece for piece in found}


@asynccontextmanager
async def studio(database: Database, url: str, footage: Sequence[Path]) -> AsyncGenerator[Studio]:
    """A new user's new project, with all of the footage uploaded, examined and made ready. Raises DemoFailed."""
    (person,) = await people(database, users=1, projects_of_each=1)
    (project,) = person.projects
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        uploads = Uploads(Client(http, await person.token(url)), http, project, lambda _: None)
        assets = {path.name: await uploads.send(path, TYPES[path.suffix]) for path in footage}
        made = Studio(database=database, http=http, url=url, person=person, project=project, assets=assets)
        await made.settled()
        yield made
