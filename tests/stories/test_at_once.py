"""What happens when people do things at the same time: somebody wins, nobody is told that it was our fault."""

import asyncio
import os
from pathlib import Path
from typing import Any

from sqlalchemy import select

from domain.membership import Membership
from domain.viewer import Role
from tests.story import Person, Stage, project_of, uploaded

ROUNDS = 8


async def _codes(*acts: Any) -> list[str]:
    """The codes of all errors; refusals are answers and no errors."""
    return [
        each["extensions"]["code"] for response in await asyncio.gather(*acts) for each in response.get("errors", [])
    ]


def _mutation(person: Person, name: str, /, **input: Any) -> Any:
    kind = name[0].upper() + name[1:]
    return person.send(f"mutation($input: {kind}Input!) {{ {name}(input: $input) {{ __typename }} }}", input=input)


async def _completed(stage: Stage, person: Person, project: str) -> tuple[str, dict[str, Any]]:
    """An upload that became an asset."""
    upload = await person.do(
        "createUpload",
        "... on Upload { id parts { url } }",
        projectId=project,
        filename="a.mp4",
        size=100,
        contentType="video/mp4",
    )
    await stage.web.put(upload["parts"][0]["url"], content=os.urandom(100))
    return upload["id"], await person.do("completeUpload", "... on Asset { id job { id } }", id=upload["id"])


async def test_an_asset_is_deleted_while_its_examination_is_cancelled(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    file = tmp_path / "a.mp4"
    file.write_bytes(os.urandom(100))
    for _ in range(ROUNDS):
        asset = await uploaded(person, project, file, "video/mp4")
        cancel = _mutation(person, "cancelJob", id=asset["job"]["id"])
        assert await _codes(cancel, _mutation(person, "deleteAsset", id=asset["id"])) == []


async def test_an_upload_is_completed_again_while_its_asset_is_deleted(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    for _ in range(ROUNDS):
        upload, asset = await _completed(stage, person, project)
        await person.do("cancelJob", "", id=asset["job"]["id"])
        again = [_mutation(person, "completeUpload", id=upload) for _ in range(3)]
        assert await _codes(_mutation(person, "deleteAsset", id=asset["id"]), *again) == []


async def test_an_upload_is_completed_again_while_its_project_is_deleted(stage: Stage) -> None:
    person = await stage.person()
    for _ in range(ROUNDS):
        project = await project_of(person)
        upload, _ = await _completed(stage, person, project)
        again = [_mutation(person, "completeUpload", id=upload) for _ in range(3)]
        assert await _codes(_mutation(person, "deleteProject", id=project), *again) == []


async def test_a_project_never_loses_its_owner(stage: Stage) -> None:
    for _ in range(ROUNDS):
        owner, heir = await stage.person(), await stage.person()
        project = await project_of(owner)
        await owner.do("addMember", "", projectId=project, email=heir.email, role="EDITOR")
        transfer = _mutation(owner, "transferProject", projectId=project, userId=heir.id)
        assert await _codes(transfer, _mutation(heir, "deleteUser", id=heir.id)) == []
        async with stage.resources.work() as work:
            roles = (await work.session.scalars(select(Membership.role).where(Membership.project_id == project))).all()
        assert list(roles).count(Role.OWNER) == 1


async def test_a_storm_on_one_project_breaks_nothing_and_leaves_the_log_without_a_gap(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker(), stage.worker(), asyncio.timeout(60):
        for _ in range(3):
            started = [
                await person.do("startPause", "... on Job { id }", projectId=project, seconds=0.05) for _ in range(6)
            ]
            acts = [_mutation(person, "cancelJob", id=job["id"]) for job in started]
            acts += [_mutation(person, "retryJob", id=job["id"]) for job in started]
            acts.append(_mutation(person, "updateProject", id=project, name="Stormy"))
            assert await _codes(*acts) == []
        watch = "subscription($id: ID!) { job(id: $id) { state } }"
        jobs = await person.ask("query($id: ID!) { jobs(projectId: $id) { nodes { id } } }", id=project)
        for job in jobs["nodes"]:
            assert [each["state"] async for each in person.watch(watch, id=job["id"])][-1] in {"COMPLETED", "CANCELLED"}
    events = await stage.resources.reads().events(project, 0, 10_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
