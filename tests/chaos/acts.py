"""What clients do with the jobs of a run: start, watch, cancel and retry them, and follow what happens in a project."""

import asyncio
import random
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests import media
from tests.chaos.answers import Broken, Patience, Unexpected
from tests.chaos.client import Channel, Client
from tests.chaos.excuses import Excuses
from tests.chaos.history import JobHistory, Seen, Sitting, Watch
from tests.chaos.scenario import Kind, Plan

WATCH_JOB = "subscription($id: ID!) { job(id: $id) { state version attempt progress { fraction } } }"
WATCH_LOG = """subscription($id: ID!, $after: String) {
  projectEvents(projectId: $id, after: $after) { cursor kind subjectId }
}"""
OUTPUT = {"custom": {"codec": "H264", "width": 64, "height": 36}}
TITLE = {
    "canvas": {"width": 64, "height": 36, "frameRate": "25"},
    "tracks": [{"clips": [{"content": {"text": {"text": "Hello", "length": 25, "size": 20}}}]}],
}
Entry = tuple[str, str]
"""Of a project's log: what happened, and to what."""


@dataclass(kw_only=True)
class Place:
    """A project and its log as it was told."""

    id: str
    log: list[Entry] = field(default_factory=list)
    rendering: asyncio.Lock = field(default_factory=asyncio.Lock)
    """A project renders once at a time."""


@dataclass(kw_only=True)
class Files:
    """What is uploaded."""

    picture: Path
    nonsense: Path

    @classmethod
    def made(cls, folder: Path) -> "Files":
        folder.mkdir()
        nonsense = folder / "nonsense.png"
        nonsense.write_bytes(b"This is no picture.")
        return cls(picture=media.still(folder / "picture.png", "green", size="64x36"), nonsense=nonsense)


@dataclass(kw_only=True)
class Records:
    """What clients asked for, and what they saw."""

    jobs: dict[str, JobHistory] = field(default_factory=dict)
    by_plan: dict[int, str] = field(default_factory=dict)
    """The job that each plan was answered with."""
    errors: list[str] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    excuses: Excuses = field(default_factory=Excuses)


class Act:
    """One plan, carried out."""

    def __init__(self, plan: Plan, client: Client, place: Place, files: Files, records: Records) -> None:
        self._plan = plan
        self._client = client
        self._place = place
        self._files = files
        self._records = records
        self._chance = random.Random(plan.number)

    async def run(self) -> None:
        """From its start to the end that it is to have."""
        plan = self._plan
        try:
            if plan.kind == Kind.RENDER:
                async with self._place.rendering:
                    await self._live(await self._start_render())
            elif plan.kind in {Kind.INGEST, Kind.REJECT}:
                await self._live(await self._upload())
            else:
                await self._live(await self._start_pause())
        except (Unexpected, AssertionError) as error:
            self._records.errors.append(f"plan {plan.number} ({plan.kind}): {error}")

    async def _live(self, job: str) -> None:
        plan = self._plan
        history = self._records.jobs[job] = JobHistory(kind=plan.kind, is_scheduled=plan.not_before > 0)
        self._records.by_plan[plan.number] = job
        history.ends = usual = frozenset({"FAILED" if plan.kind == Kind.REJECT else "COMPLETED"})
        history.errors = frozenset({"MEDIA_REJECTED"}) if plan.kind == Kind.REJECT else frozenset()
        channels = self._chance.sample([*self._client.pages, *self._client.streams], plan.watchers)
        watching = [self._watch(job, history.watched(), each) for each in channels]
        await asyncio.gather(self._cancel(job, history), *watching)
        if plan.retry and history.watches[0].end in {"FAILED", "CANCELLED"}:
            self._records.did["retries"] += 1
            history.retries += 1
            history.ends = usual
            watch = history.watched()
            answer = await self._client.do("retryJob", "... on Job { id }", id=job, at=self._chance.randrange(2))
            # A refusal says that we were heard before: nobody else retries it. The log will tell.
            if answer["__typename"] != "Job" and answer["code"] != "JOB_NOT_RETRYABLE":
                raise Unexpected(f"retryJob: {answer}")
            await self._watch(job, watch, self._chance.choice(channels))

    # Starting

    async def _start_pause(self) -> str:
        plan = self._plan
        wanted: dict[str, Any] = {"seconds": plan.seconds, "pool": plan.pool, "priority": plan.priority}
        if plan.not_before:
            wanted["notBefore"] = (datetime.now(UTC) + timedelta(seconds=plan.not_before)).isoformat()
        return await self._started("startPause", projectId=self._place.id, parts=plan.parts, **wanted)

    async def _start_render(self) -> str:
        return await self._started("startRender", projectId=self._place.id, output=OUTPUT)

    async def _upload(self) -> str:
        file = self._files.nonsense if self._plan.kind == Kind.REJECT else self._files.picture
        content = file.read_bytes()
        upload = await self._answered(
            "createUpload",
            "... on Upload { id parts { offset size url } }",
            "Upload",
            projectId=self._place.id,
            filename=file.name,
            size=len(content),
            contentType="image/png",
        )
        for part in upload["parts"]:
            await self._client.put(part["url"], content[part["offset"] : part["offset"] + part["size"]])
        selection = "... on Asset { job { id } }"
        if self._plan.answer_lost:
            await self._client.do_unheard("completeUpload", selection, id=upload["id"])
        return (await self._answered("completeUpload", selection, "Asset", id=upload["id"]))["job"]["id"]

    async def _started(self, mutation: str, **input: Any) -> str:
        """The job that was made, however often it takes to hear of it."""
        input["idempotencyKey"] = f"plan {self._plan.number}"
        if self._plan.answer_lost:
            await self._client.do_unheard(mutation, "", **input)
        if self._plan.sent_twice:
            answers = await self._client.do_twice(mutation, "... on Job { id }", **input)
            if answers[0] != answers[1]:
                raise Unexpected(f"two answers: {answers}")
        return (await self._answered(mutation, "... on Job { id }", "Job", **input))["id"]

    async def _answered(self, mutation: str, selection: str, wanted: str, /, **input: Any) -> Any:
        answer = await self._client.do(mutation, selection, at=self._chance.randrange(2), **input)
        if answer["__typename"] != wanted:
            raise Unexpected(f"{mutation}: {answer}")
        return answer

    # Then

    async def _cancel(self, job: str, history: JobHistory) -> None:
        if self._plan.cancel_after is None:
            return
        await asyncio.sleep(self._plan.cancel_after)
        self._records.did["cancels"] += 1
        history.cancels += 1
        usual = history.ends
        history.ends = usual | {"CANCELLED"}
        answer = await self._client.do("cancelJob", "... on Job { state }", id=job, at=self._chance.randrange(2))
        if answer.get("state") == "CANCELLED":
            history.ends = frozenset({"CANCELLED"})
        elif answer.get("code") == "JOB_ALREADY_ENDED":
            history.ends = usual
        elif answer["__typename"] != "Job":
            raise Unexpected(f"cancelJob: {answer}")

    async def _watch(self, job: str, watch: Watch, channel: Channel) -> None:
        """Watch a job to its end, over as many connections as it takes."""
        self._records.did[f"watches over {channel.name}"] += 1
        patience = Patience()
        while not watch.completed:
            sitting = Sitting(era=self._records.excuses.era)
            watch.sittings.append(sitting)
            since = time.time()
            try:
                async with aclosing(channel.responses(WATCH_JOB, id=job)) as responses:
                    async for shown in responses:
                        patience.renew()
                        sitting.seen.append(Seen(fraction=shown["progress"]["fraction"], **_stamp(shown)))
                watch.completed = True
            except Broken as broken:
                self._client.complain(broken, since, WATCH_JOB)
                self._records.did[f"subscriptions broken ({broken})"] += 1
                await patience.wait()


async def follow(place: Place, channel: Channel, records: Records) -> None:
    """Follow what happens in a project from its beginning, for ever."""
    cursor, patience = "0", Patience()
    while True:
        try:
            async with aclosing(channel.responses(WATCH_LOG, id=place.id, after=cursor)) as responses:
                async for entry in responses:
                    patience.renew()
                    cursor = entry["cursor"]
                    place.log.append((entry["kind"], entry["subjectId"]))
            records.errors.append(f"the log of project {place.id} completed")
        except Broken:
            await patience.wait()
        except Unexpected as error:
            records.errors.append(f"the log of project {place.id}: {error}")
            await patience.wait()


async def prepared(client: Client) -> Place:
    """A new project with something to render."""
    project = await client.do("createProject", "... on Project { id }", name="A project")
    answer = await client.do("setTimeline", "", projectId=project["id"], timeline=TITLE)
    if answer["__typename"] != "Project":
        raise Unexpected(str(answer))
    return Place(id=project["id"])


def _stamp(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in ("state", "version", "attempt")}
