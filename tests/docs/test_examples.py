"""What the documentation shows can be pasted, and does what is said of it."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from anyio import run_process

from domain.asset import Asset, AssetState
from domain.media import MediaFacts, MediaKind
from domain.oauth_client import OAuthClient, scope_text
from domain.project import Project
from domain.stored import StoredObject
from domain.timeline import length, placed
from domain.user import User
from domain.viewer import Scope
from graph.schema import build
from graph.transport import DEFAULT_LIMITS
from graph.transport.documents import Documents
from persistence.resources import Resources
from persistence.settings import Settings
from tests.docs.pages import PAGES, ROOT, blocks, name
from tests.story import EVERY_SCOPE, Person, Stage, project_of

EXAMPLES = [(name(page), index) for page in PAGES for index, _ in enumerate(blocks(name(page), "graphql"))]


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents(build(), DEFAULT_LIMITS)


@pytest.mark.parametrize(("page", "index"), EXAMPLES, ids=str)
def test_every_graphql_example_fits_the_schema(documents: Documents, page: str, index: int) -> None:
    assert len(documents.read(blocks(page, "graphql")[index]).operations) == 1


async def test_the_first_steps_of_the_readme_lead_from_a_query_to_a_finished_job(stage: Stage) -> None:
    person = await stage.person()
    query, create, start, watch = blocks("README.md", "graphql")
    assert (await person.send(query))["data"] == {
        "viewer": {"name": "A. User", "email": person.email},
        "projects": {"totalCount": 0, "nodes": []},
    }
    project = await person.ask(create)
    assert project == {"__typename": "Project", "id": project["id"], "name": "My first film", "version": 1}
    job = await person.ask(start.replace("seconds: 20", "seconds: 0.3"), projectId=project["id"])
    assert job == {"__typename": "Job", "id": job["id"], "state": "QUEUED"}
    async with stage.worker():
        seen = [each async for each in person.watch(watch, jobId=job["id"])]
    assert seen[-1] == {
        "state": "COMPLETED",
        "attempt": 1,
        "progress": {"stage": "done", "fraction": 1.0, "etaSeconds": 0.0},
        "error": None,
    }


def facts(kind: MediaKind, frames: int) -> MediaFacts:
    """Of a file that fills so many frames at 25 a second."""
    seen: dict[str, Any] = {"video_codec": "h264", "width": 320, "height": 180, "frame_rate": "25"}
    heard: dict[str, Any] = {"audio_codec": "aac", "channels": 2, "sample_rate": 48_000}
    what = seen if kind is MediaKind.VIDEO else heard
    return MediaFacts(kind=kind, container="mp4", duration_seconds=frames / 25, **what)


async def asset(stage: Stage, project_id: str, kind: MediaKind, frames: int) -> str:
    """The id of a READY asset, as if it had been uploaded and examined."""
    async with stage.resources.work() as work:
        stored = StoredObject(
            project_id=project_id, key=f"test/{kind}-{frames}", content_type="video/mp4", expires_at=await work.now()
        )
        work.add(stored)
        await work.session.flush()
        made = Asset(
            project_id=project_id,
            object_id=stored.id,
            name="a file",
            content_type="video/mp4",
            size=1,
            sha256="0" * 64,
            state=AssetState.READY,
            media=facts(kind, frames).to_json(),
        )
        work.add(made)
    return made.id


async def assets(stage: Stage, person: Person, *, city: int) -> dict[str, str]:
    """The variables of the timeline's example."""
    project_id = await project_of(person)
    return {
        "projectId": project_id,
        "sea": await asset(stage, project_id, MediaKind.VIDEO, 250),
        "city": await asset(stage, project_id, MediaKind.VIDEO, city),
        "song": await asset(stage, project_id, MediaKind.AUDIO, 1000),
    }


async def test_the_timeline_example_lies_where_its_table_says(stage: Stage) -> None:
    person = await stage.person()
    example = blocks("docs/timeline.md", "graphql")[0]
    variables = await assets(stage, person, city=125)
    assert await person.ask(example, **variables) == {"__typename": "Project", "timelineVersion": 1}
    (project,) = await stage.resources.reads().by_ids(Project, [variables["projectId"]])
    known = {
        variables["sea"]: facts(MediaKind.VIDEO, 250),
        variables["city"]: facts(MediaKind.VIDEO, 125),
        variables["song"]: facts(MediaKind.AUDIO, 1000),
    }
    places = [(clip.length, clip.start, clip.end) for track in placed(project.timeline, known) for clip in track]
    assert places == [(100, 0, 100), (75, 75, 150), (50, 10, 60), (150, 0, 150)]
    rows = [re.findall(r"\d+", row) for row in _table("docs/timeline.md", "clip")]
    assert [(int(row[-1])) for row in rows] == [end for _, _, end in places]
    assert length(project.timeline, known) == 150


def _table(path: str, heading: str) -> list[str]:
    """The rows of the table whose first heading this is."""
    lines = (ROOT / path).read_text().splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith(f"| {heading} |")) + 2
    end = next(index for index, line in enumerate(lines[first:], first) if not line.startswith("|"))
    return lines[first:end]


async def test_a_timeline_with_a_problem_is_refused_in_the_words_of_the_page(stage: Stage) -> None:
    person = await stage.person()
    example, *_ = blocks("docs/timeline.md", "graphql")
    (refusal,) = blocks("docs/timeline.md", "json")
    assert await person.ask(example, **await assets(stage, person, city=120)) == json.loads(refusal)


async def test_a_client_is_registered_as_the_page_on_sign_in_shows(resources: Resources, settings: Settings) -> None:
    async with resources.work() as work:
        work.add(User(email="admin@localhost", name="Administrator", is_admin=True))
    (commands,) = [block for block in blocks("docs/sign-in.md", "sh") if "client create" in block]
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    ran = await run_process(["/bin/sh", "-ec", commands], cwd=ROOT, env=environment)
    words = [line.split() for line in ran.stdout.decode().splitlines()]
    assert [each[0] for each in words] == ["client_id", "client_secret", "client_id"]
    script, secret, app = (each[1] for each in words)
    async with resources.database.sessions() as session:
        of_script = await session.get_one(OAuthClient, script)
        of_app = await session.get_one(OAuthClient, app)
    assert of_script.knows(secret)
    assert of_script.scope == of_app.scope == scope_text(EVERY_SCOPE)
    assert (of_script.owner_id is None, of_app.owner_id is None) == (False, True)
    assert (of_script.is_public, of_app.is_public) == (False, True)
    assert of_app.redirect_uris == ["https://cutter.example.org/callback"]


def test_every_scope_is_told() -> None:
    page = (ROOT / "docs/sign-in.md").read_text()
    assert re.findall(r"^\| `([a-z]+(?::[a-z]+)?)` \|", page, re.MULTILINE) == list(Scope)
