"""Stories through the schema: real PostgreSQL, real Redis, real workers; only the wire is left out."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from domain.entity import new_id
from domain.user import User
from domain.viewer import Scope, Viewer
from graph import media
from graph.context import Context
from graph.hub import Hub
from graph.schema import build
from graph.transport import Engine
from graph.transport.errors import Rejected
from graph.transport.request import BadRequest, Request, read_json
from persistence.resources import Resources
from persistence.storage.local import LocalStorage
from tasks.worker import Worker
from tests import s3

EVERY_SCOPE = frozenset({Scope.PROJECTS_WRITE, Scope.UPLOADS_WRITE, Scope.RENDERS_WRITE})
_SCHEMA = build()
WATCH_JOB = """subscription($id: ID!) { job(id: $id) {
  state attempt progress { stage fraction frames totalFrames fps speed etaSeconds } error { code message } asset { id }
} }"""


class Person:
    """A user and what they can do through the API."""

    def __init__(self, stage: "Stage", viewer: Viewer | None, email: str = "") -> None:
        self.viewer = viewer
        self.email = email
        self.stage = stage

    @property
    def id(self) -> str:
        assert self.viewer
        return self.viewer.user_id

    async def send(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole response."""
        (response,) = [each async for each in self._run(query, variables)]
        return response

    async def ask(self, query: str, **variables: Any) -> Any:
        """The value of the operation's only root field; there must be no error."""
        response = await self.send(query, **variables)
        assert "errors" not in response, response["errors"]
        (value,) = response["data"].values()
        return value

    async def error(self, query: str, **variables: Any) -> str:
        """The code of the only error."""
        (error,) = (await self.send(query, **variables))["errors"]
        return error["extensions"]["code"]

    async def do(self, mutation: str, selection: str, /, **input: Any) -> Any:
        """A mutation by its name: the thing it answers, or the refusal."""
        kind = mutation[0].upper() + mutation[1:]
        refusal = "__typename ... on Refusal { code message }"
        query = f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ {refusal} {selection} }} }}"
        return await self.ask(query, input=input)

    async def watch(self, query: str, **variables: Any) -> AsyncGenerator[Any]:
        """The values of a subscription's only root field."""
        async with aclosing(self._run(query, variables)) as responses:
            async for response in responses:
                assert "errors" not in response, response["errors"]
                (value,) = response["data"].values()
                yield value

    async def _run(self, query: str, variables: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        engine = self.stage.engine
        try:
            request = Request.parse(read_json(json.dumps({"query": query, "variables": variables})))
            operation = engine.prepare(request, "test")
            async with aclosing(engine.run(operation, self.viewer, "test")) as responses:
                async for response in responses:
                    yield json.loads(response)
        except Rejected as rejected:
            yield {"errors": rejected.errors}
        except BadRequest as bad:
            yield {"errors": [{"message": str(bad), "extensions": {"code": "BAD_REQUEST"}}]}


class Stage:
    """One API process without its wire, and as many workers as a story needs."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.hub = Hub(resources.database, resources.doorbells)
        self.engine = Engine(_SCHEMA, authenticate=self._nobody, context=self._context)
        self.stranger = Person(self, None)
        local = isinstance(resources.storage, LocalStorage)
        web = httpx.ASGITransport(Starlette(routes=media.routes(resources.storage))) if local else None
        self.web = httpx.AsyncClient(transport=web)
        """Where signed URLs lead."""

    async def person(self, *, scopes: frozenset[Scope] = EVERY_SCOPE, is_admin: bool = False) -> Person:
        """A new registered user."""
        email = f"{new_id()}@example.org"
        async with self.resources.work() as work:
            user = User(email=email, name="A. User", is_admin=is_admin)
            work.add(user)
        return Person(self, Viewer(user_id=user.id, scopes=scopes, is_admin=is_admin), email)

    @asynccontextmanager
    async def worker(self) -> AsyncGenerator[Worker]:
        """A worker in this process."""
        worker = Worker(self.resources)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.draining.set()
            await task

    def _context(self, viewer: Viewer | None, request_id: str) -> Context:
        return Context(viewer=viewer, resources=self.resources, hub=self.hub, request_id=request_id)

    async def _nobody(self, _token: str) -> Viewer | None:
        return None


@asynccontextmanager
async def staged(resources: Resources) -> AsyncGenerator[Stage]:
    """A stage whose hub listens."""
    async with AsyncExitStack() as stack:
        stage = Stage(resources)
        await stack.enter_async_context(stage.web)
        await stack.enter_async_context(stage.hub.running())
        yield stage


async def until(watching: AsyncGenerator[Any], **wanted: Any) -> list[Any]:
    """What was seen up to and with the first value that has these fields; the watching goes on."""
    seen: list[Any] = []
    async for value in watching:
        seen.append(value)
        if all(value[key] == each for key, each in wanted.items()):
            return seen
    raise AssertionError(f"the subscription completed without {wanted}: {seen}")


async def uploaded(person: Person, project: str, path: Path, content_type: str, **announced: Any) -> dict[str, Any]:
    """Upload a file as a client does; the asset that completeUpload answered with, or the refusal."""
    upload = await person.do(
        "createUpload",
        "... on Upload { id parts { offset size url } }",
        projectId=project,
        **{"filename": path.name, "size": path.stat().st_size, "contentType": content_type, **announced},
    )
    content = path.read_bytes()
    for part in upload["parts"]:
        sent = await person.stage.web.put(part["url"], content=content[part["offset"] : part["offset"] + part["size"]])
        assert sent.status_code == 200, sent.text
    return await person.do("completeUpload", "... on Asset { id state job { id kind state } }", id=upload["id"])


async def ready(person: Person, project: str, path: Path, content_type: str) -> str:
    """The id of an asset that was uploaded and examined; a worker must be there."""
    asset = await uploaded(person, project, path, content_type)
    states = [each["state"] async for each in person.watch(WATCH_JOB, id=asset["job"]["id"])]
    assert states[-1] == "COMPLETED"
    return asset["id"]


async def kept(stage: Stage) -> list[str]:
    """What lies in the storage: objects, and uploads in progress with their parts."""
    if not isinstance(stage.resources.storage, LocalStorage):
        return await asyncio.to_thread(s3.kept, stage.resources.settings)
    folder = stage.resources.settings.storage_path
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


async def project_of(person: Person, name: str = "A project") -> str:
    """The id of a new project."""
    return (await person.do("createProject", "... on Project { id }", name=name))["id"]
