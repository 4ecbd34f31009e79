"""Looking through the timelines that a project has had, and bringing one back."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from domain import timeline_version
from domain.project import Project
from domain.timeline_version import MOST_VERSIONS, TimelineVersion
from persistence import work
from tests import media
from tests.story import Person, Stage, project_of, ready

HISTORY = """query($id: ID!, $first: Int, $after: String) { project(id: $id) { timelineVersion
  timelineVersions(first: $first, after: $after) { totalCount pageInfo { endCursor hasNextPage }
    nodes { version restoredFrom user { id } timeline { background } } } } }"""
RESTORED = """... on Project { timelineVersion timeline { background } }
  ... on TimelineInvalid { problems { path } } ... on StaleVersion { expected actual }"""
TITLE = {"text": {"text": "Hello", "length": 25, "size": 40}}


async def _set(person: Person, project: str, background: str, content: dict[str, Any] = TITLE) -> None:
    canvas = {"width": 320, "height": 180, "frameRate": "25"}
    timeline = {"canvas": canvas, "background": background, "tracks": [{"clips": [{"content": content}]}]}
    answer = await person.do("setTimeline", "", projectId=project, timeline=timeline)
    assert answer["__typename"] == "Project", answer


async def _history(person: Person, project: str, **page: Any) -> list[tuple[int, int | None, str]]:
    versions = (await person.ask(HISTORY, id=project, **page))["timelineVersions"]["nodes"]
    return [(each["version"], each["restoredFrom"], each["timeline"]["background"]) for each in versions]


async def test_every_timeline_is_remembered_with_who_set_it_and_can_be_brought_back(stage: Stage) -> None:
    owner, editor = await stage.person(), await stage.person()
    project = await project_of(owner)
    assert await _history(owner, project) == []
    await owner.do("addMember", "", projectId=project, email=editor.email, role="EDITOR")
    await _set(owner, project, "#000001")
    await _set(editor, project, "#000002")
    restored = await owner.do("restoreTimeline", RESTORED, projectId=project, version=1, expectedVersion=2)
    assert restored == {"__typename": "Project", "timelineVersion": 3, "timeline": {"background": "#000001"}}
    assert await _history(owner, project) == [(3, 1, "#000001"), (2, None, "#000002"), (1, None, "#000001")]
    versions = (await editor.ask(HISTORY, id=project))["timelineVersions"]
    assert [each["user"] for each in versions["nodes"]] == [{"id": owner.id}, {"id": editor.id}, {"id": owner.id}]
    assert versions["totalCount"] == 3


async def test_history_comes_in_pages(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    for number in range(1, 6):
        await _set(person, project, f"#00000{number}")
    first = (await person.ask(HISTORY, id=project, first=3))["timelineVersions"]
    assert [each["version"] for each in first["nodes"]] == [5, 4, 3]
    assert first["pageInfo"]["hasNextPage"] is True
    rest = (await person.ask(HISTORY, id=project, after=first["pageInfo"]["endCursor"]))["timelineVersions"]
    assert [each["version"] for each in rest["nodes"]] == [2, 1]
    assert rest["pageInfo"]["hasNextPage"] is False


async def test_a_timeline_whose_asset_is_gone_is_not_brought_back_and_nothing_changes(
    stage: Stage, tmp_path: Path
) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker():
        image = await ready(person, project, media.still(tmp_path / "i.png", "red"), "image/png")
    await _set(person, project, "#000001", {"image": {"assetId": image, "length": 25}})
    await _set(person, project, "#000002")
    assert (await person.do("deleteAsset", "", id=image))["__typename"] == "Deleted"
    answer = await person.do("restoreTimeline", RESTORED, projectId=project, version=1)
    assert answer["__typename"] == "TimelineInvalid"
    assert answer["problems"] == [{"path": "tracks.0.clips.0.content.image.assetId"}]
    assert await _history(person, project) == [(2, None, "#000002"), (1, None, "#000001")]


async def test_nothing_is_brought_back_over_a_change_or_by_whoever_may_not_or_from_nowhere(stage: Stage) -> None:
    person, viewer, stranger = await stage.person(), await stage.person(), await stage.person()
    project, other = await project_of(person), await project_of(person)
    await person.do("addMember", "", projectId=project, email=viewer.email, role="VIEWER")
    await _set(person, project, "#000001")
    await _set(person, project, "#000002")
    stale = await person.do("restoreTimeline", RESTORED, projectId=project, version=1, expectedVersion=1)
    assert (stale["code"], stale["expected"], stale["actual"]) == ("STALE_VERSION", 1, 2)
    for number in (0, -1, 3, 2**31 - 1):
        answer = await person.do("restoreTimeline", "", projectId=project, version=number)
        assert (answer["code"], answer["message"]) == (
            "NOT_FOUND",
            f"There is no timeline version '{number}', or you may not see it.",
        )
    assert (await person.do("restoreTimeline", "", projectId=other, version=1))["code"] == "NOT_FOUND"
    assert (await viewer.do("restoreTimeline", "", projectId=project, version=1))["code"] == "FORBIDDEN"
    assert (await stranger.do("restoreTimeline", "", projectId=project, version=1))["code"] == "NOT_FOUND"
    assert len(await _history(viewer, project)) == 2
    assert (await person.ask(HISTORY, id=project))["timelineVersion"] == 2


async def test_only_so_many_are_remembered_and_the_oldest_go(stage: Stage) -> None:
    person = await stage.person()
    project, other = await project_of(person), await project_of(person)
    await _set(person, other, "#00000a")
    for number in range(1, 4):
        await _set(person, project, f"#00000{number}")
    async with stage.resources.database.sessions() as session, session.begin():
        # As if hundreds had been set between the second and the third.
        later = MOST_VERSIONS - 1
        of_it = (TimelineVersion.project_id == project, TimelineVersion.number == 3)
        await session.execute(update(TimelineVersion).where(*of_it).values(number=3 + later))
        await session.execute(update(Project).where(Project.id == project).values(timeline_version=3 + later))
    await _set(person, project, "#000004")
    async with stage.resources.database.sessions() as session:
        numbers = select(TimelineVersion.number).where(TimelineVersion.project_id == project)
        assert sorted((await session.scalars(numbers)).all()) == [MOST_VERSIONS + 2, MOST_VERSIONS + 3]
    assert await _history(person, other) == [(1, None, "#00000a")]
    assert timeline_version.MOST_VERSIONS == 1000  # as docs/timeline.md says


async def test_large_ones_are_forgotten_sooner_but_never_the_present_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await stage.person()
    project, other = await project_of(person), await project_of(person)
    await _set(person, other, "#00000a")
    for number in range(1, 4):
        await _set(person, project, f"#00000{number}")
    async with stage.resources.database.sessions() as session:
        size = await session.scalar(select(func.max(func.pg_column_size(TimelineVersion.timeline_json))))
    assert timeline_version.MOST_BYTES == 200 * 2**20  # as docs/timeline.md says
    monkeypatch.setattr(work, "MOST_BYTES", 2 * size)
    await _set(person, project, "#000004")
    assert await _history(person, project) == [(4, None, "#000004"), (3, None, "#000003")]
    monkeypatch.setattr(work, "MOST_BYTES", 1)
    await _set(person, project, "#000005")
    assert await _history(person, project) == [(5, None, "#000005")]
    assert await _history(person, other) == [(1, None, "#00000a")]


async def test_history_goes_with_its_project_and_stays_without_its_author(stage: Stage) -> None:
    owner, editor = await stage.person(), await stage.person()
    project = await project_of(owner)
    await owner.do("addMember", "", projectId=project, email=editor.email, role="EDITOR")
    await _set(editor, project, "#000001")
    assert (await editor.do("deleteUser", "", id=editor.id))["__typename"] == "Deleted"
    (version,) = (await owner.ask(HISTORY, id=project))["timelineVersions"]["nodes"]
    assert version["user"] is None
    assert (await owner.do("deleteProject", "", id=project))["__typename"] == "Deleted"
    async with stage.resources.database.sessions() as session:
        assert (await session.scalars(select(TimelineVersion.id))).all() == []
