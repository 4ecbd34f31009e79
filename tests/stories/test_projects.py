"""Projects and the people in them."""

import base64

import pytest

from domain.entity import new_id
from domain.viewer import Scope
from tests.story import Stage, project_of

FAR = base64.urlsafe_b64encode(b"0001-01-01T00:00:00+14:00 x").decode()
"""A cursor before the beginning of the calendar."""
PROJECT = (
    "query($id: ID!) { project(id: $id) { name version myRole members { totalCount nodes { role user { id } } } } }"
)
PROJECTS = """query($first: Int, $after: String, $last: Int, $before: String) {
  projects(first: $first, after: $after, last: $last, before: $before) {
    totalCount nodes { name } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


async def test_whoever_founds_a_project_owns_it(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person, "  Holiday ")
    assert await person.ask(PROJECT, id=project) == {
        "name": "Holiday",
        "version": 1,
        "myRole": "OWNER",
        "members": {"totalCount": 1, "nodes": [{"role": "OWNER", "user": {"id": person.id}}]},
    }


@pytest.mark.parametrize("name", ["", "   ", "x" * 10_000, "a\nb", "a\x07b"])
async def test_a_name_that_is_none_is_refused_and_nothing_is_founded(stage: Stage, name: str) -> None:
    person = await stage.person()
    answer = await person.do("createProject", "... on InvalidInput { path }", name=name)
    assert (answer["code"], answer["path"]) == ("INVALID_INPUT", "name")
    assert (await person.ask(PROJECTS))["totalCount"] == 0


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
async def test_text_that_no_database_keeps_is_an_error_not_a_crash(stage: Stage, name: str) -> None:
    person = await stage.person()
    response = await person.send("query($id: ID!) { project(id: $id) { id } }", id=name)
    assert [error["extensions"]["code"] for error in response["errors"]] == ["BAD_REQUEST"]
    deep = await person.send("mutation($n: String!) { createProject(input: {name: $n}) { __typename } }", n=name)
    assert [error["extensions"]["code"] for error in deep["errors"]] == ["BAD_REQUEST"]


async def test_a_stranger_does_not_learn_that_a_project_exists(stage: Stage) -> None:
    owner, stranger = await stage.person(), await stage.person()
    project = await project_of(owner)
    for query in ("project(id: $id) { id }", "node(id: $id) { id }", "assets(projectId: $id) { totalCount }"):
        assert await stranger.error(f"query($id: ID!) {{ {query} }}", id=project) == "NOT_FOUND"
    for mutation, input in {
        "updateProject": {"id": project, "name": "Mine"},
        "deleteProject": {"id": project},
        "startPause": {"projectId": project, "seconds": 1},
        "addMember": {"projectId": project, "email": stranger.email, "role": "EDITOR"},
        "removeMember": {"projectId": project, "userId": owner.id},
        "transferProject": {"projectId": project, "userId": stranger.id},
        "createUpload": {"projectId": project, "filename": "a.mp4", "size": 1, "contentType": "video/mp4"},
    }.items():
        assert (await stranger.do(mutation, "", **input))["code"] == "NOT_FOUND", mutation
    assert (await owner.ask(PROJECT, id=project))["version"] == 1


async def test_nobody_at_all_is_told_to_sign_in(stage: Stage) -> None:
    assert await stage.stranger.ask("{ viewer { id } }") is None
    assert await stage.stranger.error("{ projects { totalCount } }") == "UNAUTHENTICATED"
    mutation = 'mutation { createProject(input: {name: "x"}) { __typename } }'
    assert await stage.stranger.error(mutation) == "UNAUTHENTICATED"


async def test_a_token_without_the_scope_is_forbidden_to_write_but_may_read(stage: Stage) -> None:
    reader = await stage.person(scopes=frozenset({Scope.UPLOADS_WRITE}))
    answer = await reader.do("createProject", "... on Forbidden { needs }", name="x")
    assert (answer["code"], answer["needs"]) == ("FORBIDDEN", "an access token with the scope projects:write")
    assert (await reader.ask(PROJECTS))["totalCount"] == 0


async def test_a_viewer_may_look_an_editor_may_change_only_the_owner_may_end(stage: Stage) -> None:
    owner, editor, viewer = await stage.person(), await stage.person(), await stage.person()
    project = await project_of(owner)
    for person, role in ((editor, "EDITOR"), (viewer, "VIEWER")):
        added = await owner.do(
            "addMember", "... on Membership { role }", projectId=project, email=person.email, role=role
        )
        assert added["role"] == role
    assert (await viewer.ask(PROJECT, id=project))["myRole"] == "VIEWER"
    assert (await viewer.do("updateProject", "", id=project, name="No"))["code"] == "FORBIDDEN"
    assert (await editor.do("updateProject", "... on Project { name }", id=project, name="Yes"))["name"] == "Yes"
    assert (await editor.do("deleteProject", "", id=project))["code"] == "FORBIDDEN"
    assert (await editor.do("removeMember", "", projectId=project, userId=viewer.id))["code"] == "FORBIDDEN"


async def test_members_are_added_once_by_address_and_the_owner_stays(stage: Stage) -> None:
    owner, member = await stage.person(), await stage.person()
    project = await project_of(owner)
    add = {"projectId": project, "email": member.email.upper(), "role": "VIEWER"}
    assert (await owner.do("addMember", "", **add))["__typename"] == "Membership"
    again = await owner.do("addMember", "... on AlreadyMember { role }", **add)
    assert (again["code"], again["role"]) == ("ALREADY_MEMBER", "VIEWER")
    assert (await owner.do("addMember", "", **{**add, "email": "nobody@example.org"}))["code"] == "NOT_FOUND"
    assert (await owner.do("addMember", "", **{**add, "role": "OWNER"}))["code"] == "INVALID_INPUT"
    assert (await owner.do("removeMember", "", projectId=project, userId=owner.id))["code"] == "OWNER_STAYS"
    assert (await owner.do("removeMember", "", projectId=project, userId=new_id()))["code"] == "NOT_FOUND"
    assert (await member.do("removeMember", "", projectId=project, userId=member.id))["__typename"] == "Deleted"
    assert await member.error(PROJECT, id=project) == "NOT_FOUND"


async def test_a_project_is_handed_over_to_a_member(stage: Stage) -> None:
    owner, heir, stranger = await stage.person(), await stage.person(), await stage.person()
    project = await project_of(owner)
    await owner.do("addMember", "", projectId=project, email=heir.email, role="VIEWER")
    assert (await owner.do("transferProject", "", projectId=project, userId=stranger.id))["code"] == "NOT_FOUND"
    assert (await owner.do("transferProject", "", projectId=project, userId=heir.id))["__typename"] == "Project"
    assert (await heir.ask(PROJECT, id=project))["myRole"] == "OWNER"
    assert (await owner.ask(PROJECT, id=project))["myRole"] == "EDITOR"


async def test_a_change_for_another_version_is_refused_with_both_versions(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    change = {"id": project, "name": "New", "expectedVersion": 1}
    assert (await person.do("updateProject", "... on Project { version }", **change))["version"] == 2
    stale = await person.do("updateProject", "... on StaleVersion { expected actual }", **change)
    assert (stale["code"], stale["expected"], stale["actual"]) == ("STALE_VERSION", 1, 2)


async def test_projects_are_paged_in_both_directions(stage: Stage) -> None:
    person = await stage.person()
    for name in "abcde":
        await project_of(person, name)
    first = await person.ask(PROJECTS, first=2)
    assert first["totalCount"] == 5
    assert [each["name"] for each in first["nodes"]] == ["e", "d"]
    assert (first["pageInfo"]["hasNextPage"], first["pageInfo"]["hasPreviousPage"]) == (True, False)
    rest = await person.ask(PROJECTS, first=9, after=first["pageInfo"]["endCursor"])
    assert [each["name"] for each in rest["nodes"]] == ["c", "b", "a"]
    assert (rest["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasPreviousPage"]) == (False, True)
    last = await person.ask(PROJECTS, last=2)
    assert [each["name"] for each in last["nodes"]] == ["b", "a"]
    assert (last["pageInfo"]["hasNextPage"], last["pageInfo"]["hasPreviousPage"]) == (False, True)
    back = await person.ask(PROJECTS, last=2, before=last["pageInfo"]["startCursor"])
    assert [each["name"] for each in back["nodes"]] == ["d", "c"]
    assert (await person.ask(PROJECTS, first=0))["nodes"] == []


@pytest.mark.parametrize(
    "page",
    [
        {"first": -1},
        {"first": 101},
        {"last": 101},
        {"first": 1, "last": 1},
        {"after": "x"},
        {"before": "é"},
        {"after": FAR},
    ],
)
async def test_a_page_that_cannot_be_is_refused(stage: Stage, page: dict[str, object]) -> None:
    assert await (await stage.person()).error(PROJECTS, **page) == "INVALID_INPUT"


async def test_deleting_a_project_cancels_its_jobs_and_leaves_nothing(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    job = await person.do("startPause", "... on Job { id }", projectId=project, seconds=600)
    watching = person.watch("subscription($id: ID!) { job(id: $id) { state } }", id=job["id"])
    assert (await anext(watching))["state"] == "QUEUED"
    log = person.watch('subscription($id: ID!) { projectEvents(projectId: $id, after: "0") { kind } }', id=project)
    assert (await anext(log))["kind"] == "MEMBER_ADDED"
    assert (await person.do("deleteProject", "... on Deleted { id }", id=project))["id"] == project
    assert [each["state"] async for each in watching] == ["CANCELLED"]
    assert [each["kind"] async for each in log] in ([], ["JOB_QUEUED"])
    for kind in ("project", "job"):
        id = {"project": project, "job": job["id"]}[kind]
        assert await person.error(f"query($id: ID!) {{ {kind}(id: $id) {{ id }} }}", id=id) == "NOT_FOUND"
    assert (await person.do("deleteProject", "", id=project))["code"] == "NOT_FOUND"


async def test_a_user_who_owns_shared_projects_hands_them_over_before_leaving(stage: Stage) -> None:
    owner, member = await stage.person(), await stage.person()
    shared, alone = await project_of(owner), await project_of(owner)
    await owner.do("addMember", "", projectId=shared, email=member.email, role="EDITOR")
    refused = await owner.do("deleteUser", "... on OwnsSharedProjects { projectIds }", id=owner.id)
    assert (refused["code"], refused["projectIds"]) == ("OWNS_SHARED_PROJECTS", [shared])
    await owner.do("transferProject", "", projectId=shared, userId=member.id)
    assert (await owner.do("deleteUser", "", id=owner.id))["__typename"] == "Deleted"
    assert await stage.stranger.ask("{ viewer { id } }") is None
    assert await member.error("query($id: ID!) { node(id: $id) { id } }", id=alone) == "NOT_FOUND"
    assert (await member.ask(PROJECT, id=shared))["members"]["totalCount"] == 1


async def test_only_an_administrator_deletes_other_users(stage: Stage) -> None:
    person, other = await stage.person(), await stage.person()
    assert (await person.do("deleteUser", "", id=other.id))["code"] == "NOT_FOUND"
    admin = await stage.person(is_admin=True)
    assert (await admin.do("deleteUser", "", id=other.id))["__typename"] == "Deleted"


async def test_the_log_tells_everything_in_order_and_goes_on_from_a_cursor(stage: Stage) -> None:
    owner, member = await stage.person(), await stage.person()
    project = await project_of(owner)
    await owner.do("updateProject", "", id=project, name="New")
    await owner.do("addMember", "", projectId=project, email=member.email, role="VIEWER")
    query = """subscription($id: ID!, $after: String) {
      projectEvents(projectId: $id, after: $after) { cursor kind subjectId } }"""
    log = owner.watch(query, id=project, after="0")
    seen = [await anext(log) for _ in range(3)]
    await log.aclose()
    assert [(each["cursor"], each["kind"], each["subjectId"]) for each in seen] == [
        ("1", "MEMBER_ADDED", owner.id),
        ("2", "PROJECT_CHANGED", project),
        ("3", "MEMBER_ADDED", member.id),
    ]
    log = member.watch(query, id=project, after="2")
    assert (await anext(log))["cursor"] == "3"
    await owner.do("updateProject", "", id=project, name="Newer")
    assert (await anext(log))["kind"] == "PROJECT_CHANGED"
    await log.aclose()


async def test_anything_is_found_by_its_global_id_by_those_who_may_see_it(stage: Stage) -> None:
    person, other = await stage.person(), await stage.person()
    project = await project_of(person)
    query = "query($id: ID!) { node(id: $id) { __typename id } }"
    assert await person.ask(query, id=project) == {"__typename": "Project", "id": project}
    assert await person.ask(query, id=person.id) == {"__typename": "User", "id": person.id}
    assert await other.error(query, id=person.id) == "NOT_FOUND"
    assert await person.error(query, id="unknown") == "NOT_FOUND"


async def test_the_end_of_a_deleted_projects_job_is_seen_without_the_project(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    job = await person.do("startPause", "... on Job { id }", projectId=project, seconds=600)
    watching = person.watch("subscription($id: ID!) { job(id: $id) { state project { id } } }", id=job["id"])
    await anext(watching)
    await person.do("deleteProject", "", id=project)
    assert [each async for each in watching] == [{"state": "CANCELLED", "project": None}]


async def test_the_end_of_a_log_can_be_asked_for_so_that_nothing_is_missed_from_there(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    end = (await person.ask("query($id: ID!) { project(id: $id) { eventCursor } }", id=project))["eventCursor"]
    await person.do("updateProject", "", id=project, name="New")
    query = "subscription($id: ID!, $after: String) { projectEvents(projectId: $id, after: $after) { kind } }"
    log = person.watch(query, id=project, after=end)
    assert await anext(log) == {"kind": "PROJECT_CHANGED"}
    await log.aclose()


async def test_lists_within_lists_have_an_end(stage: Stage) -> None:
    person = await stage.person()
    for _ in range(7):
        await project_of(person)
    lists = " ".join(f"m{each}: members {{ totalCount }}" for each in range(40))
    assert await person.error(f"{{ projects {{ nodes {{ {lists} }} }} }}") == "OPERATION_TOO_LARGE"
