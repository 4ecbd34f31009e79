"""A client program as it should be: when a connection breaks, or the server is not well, it tries again, elsewhere."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, Self

import httpx

from tests.chaos.answers import BROKEN, Broken, Patience, Unexpected, Unwell, data_of
from tests.chaos.excuses import Excuses
from tests.installation import Installation
from tests.wire import Caller, Socket, http, token_for

PAGES = 3
"""WebSockets of one client."""
OPERATIONS = 45
"""On one WebSocket; the server takes 50."""
_TOKEN_SECONDS = 240
"""An access token is good for five minutes."""
_SILENCE_SECONDS = 30
"""Of an event stream, which has something to say every 12 s."""


class Channel(Protocol):
    """A way to subscribe."""

    name: str

    def responses(self, query: str, **variables: Any) -> AsyncGenerator[Any]:
        """The values of a subscription's only root field; raises Broken or Unexpected, else it has completed."""
        ...


class Client:
    """Somebody's program, with access to every API process."""

    def __init__(self, urls: Sequence[str], caller: Caller, client_id: str, secret: str, excuses: Excuses) -> None:
        self.did = Counter[str]()
        self.failures: list[str] = []
        """Answers that say that the server was not well, at times when it had no excuse."""
        self._excuses = excuses
        self.pages = [Page(self, number) for number in range(PAGES)]
        self.streams = [Stream(self, number) for number in range(len(urls))]
        self._urls = urls
        self._caller = caller
        self._program = client_id, secret
        self._token_at = float("-inf")
        self._signing_in = asyncio.Lock()
        self._http = http()
        self._streams = httpx.AsyncClient(
            trust_env=False, verify=False, timeout=httpx.Timeout(10, read=_SILENCE_SECONDS), limits=httpx.Limits()
        )

    @classmethod
    @asynccontextmanager
    async def running(cls, installation: Installation, name: str, excuses: Excuses) -> AsyncGenerator[Self]:
        """Somebody new, whose pages are open until the end of the block."""
        user, client_id, secret = await installation.registered(name)
        caller = Caller(installation.urls[0], user, frozenset(), "")
        client = cls(installation.urls, caller, client_id, secret, excuses)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client._http)
            await stack.enter_async_context(client._streams)
            pages = [asyncio.create_task(page.keep_open()) for page in client.pages]
            try:
                yield client
            finally:
                for page in pages:
                    page.cancel()
                await asyncio.gather(*pages, return_exceptions=True)

    async def do(self, mutation: str, selection: str, /, *, at: int = 0, **input: Any) -> Any:
        """A mutation's answer, be it a refusal; sent again, to the next API, until there is one."""
        return (await self.ask(*_mutation(mutation, selection, input), at=at))[mutation]

    async def do_twice(self, mutation: str, selection: str, /, **input: Any) -> list[Any]:
        """Send the same mutation to two API processes at once."""
        return await asyncio.gather(*(self.do(mutation, selection, at=at, **input) for at in range(2)))

    async def do_unheard(self, mutation: str, selection: str, /, **input: Any) -> None:
        """Send a mutation and hang up before the answer, if there was time for one."""
        query, variables = _mutation(mutation, selection, input)
        with suppress(TimeoutError, Broken):
            async with asyncio.timeout(random.uniform(0.001, 0.03)):
                await self._post(self._urls[0], query, variables)
        self.did["answers lost"] += 1

    async def ask(self, query: str, variables: dict[str, Any], *, at: int = 0) -> Any:
        """The data of an operation."""
        patience = Patience()
        while True:
            since = time.time()
            try:
                return data_of(await self._post(self._urls[at % len(self._urls)], query, variables))
            except Broken as broken:
                self.complain(broken, since, query)
                self.did[f"requests sent again ({broken})"] += 1
                at += 1
                await patience.wait()

    async def put(self, url: str, content: bytes) -> None:
        """Send bytes to a signed URL, whichever process it names: each of them takes it."""
        at, patience = 0, Patience()
        path = url.removeprefix(self._urls[0])
        while True:
            try:
                answer = await self._http.put(self._urls[at % len(self._urls)] + path, content=content)
            except BROKEN:
                answer = None
            if answer and answer.is_success:
                return
            if answer and not answer.is_server_error:
                raise Unexpected(f"PUT: {answer.status_code} {answer.text}")
            at += 1
            await patience.wait()

    async def caller(self, at: int) -> Caller:
        """The person, signed in, at one of the API processes."""
        async with self._signing_in:
            if time.monotonic() - self._token_at > _TOKEN_SECONDS:
                try:
                    self._caller.token = await token_for(self._urls[at % len(self._urls)], *self._program)
                except (*BROKEN, AssertionError) as error:
                    raise Broken("no token") from error
                self._token_at = time.monotonic()
        return self._caller.at(self._urls[at % len(self._urls)])

    def complain(self, broken: Broken, since: float, query: str) -> None:
        """Note what a server answered, unless it has an excuse."""
        if isinstance(broken, Unwell) and not self._excuses.cover(since, time.time()):
            self.failures.append(f"{datetime.now(UTC):%H:%M:%S} {broken}: {query}")

    def sign_in_again(self) -> None:
        """Take the token for used up."""
        self._token_at = float("-inf")

    async def _post(self, url: str, query: str, variables: dict[str, Any]) -> Any:
        caller = await self.caller(self._urls.index(url))
        request = {"query": query, "variables": variables}
        try:
            answer = await self._http.post(f"{url}/graphql", json=request, headers=caller.authorization)
        except BROKEN as error:
            raise Broken(type(error).__name__) from error
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self.sign_in_again()
            raise Broken("401")
        if answer.is_server_error:
            raise Unwell(str(answer.status_code))
        return answer.json()

    @asynccontextmanager
    async def stream(self, at: int, query: str, variables: dict[str, Any]) -> AsyncGenerator[httpx.Response]:
        """An open event stream."""
        caller = await self.caller(at)
        headers = {**caller.authorization, "Accept": "text/event-stream"}
        request = {"query": query, "variables": variables}
        try:
            async with self._streams.stream("POST", f"{caller.url}/graphql", json=request, headers=headers) as answer:
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    self.sign_in_again()
                    raise Broken("401")
                if not answer.is_success:
                    raise Unwell(str(answer.status_code))
                yield answer
        except BROKEN as error:
            raise Broken(type(error).__name__) from error


@dataclass
class Stream:
    """Server-sent events, first from one API process, then from another."""

    client: Client
    at: int
    name: str = "event streams"

    async def responses(self, query: str, **variables: Any) -> AsyncGenerator[Any]:
        """As Channel."""
        self.at += 1
        event = ""
        async with self.client.stream(self.at, query, variables) as answer:
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "next":
                    (found,) = data_of(json.loads(value)).values()
                    yield found
        if event != "complete":
            raise Broken("the stream ended")


class Page:
    """A page with a WebSocket, which is opened again, at another API process, whenever it breaks."""

    name = "WebSockets"

    def __init__(self, client: Client, at: int) -> None:
        self._client = client
        self._at = at
        self._socket: Socket | None = None
        self._open = asyncio.Event()
        self._room = asyncio.Semaphore(OPERATIONS)

    async def keep_open(self) -> None:
        """Go on for ever."""
        patience = Patience()
        while True:
            try:
                caller = await self._client.caller(self._at)
                async with caller.socket() as self._socket:
                    self._open.set()
                    patience.renew()
                    code = await self._socket.closed()
                    self._client.did[f"sockets closed with {code}"] += 1
            except (*BROKEN, AssertionError, Broken) as error:
                if getattr(getattr(error, "rcvd", None), "code", None) == 4403:
                    self._client.sign_in_again()
            finally:
                self._open.clear()
            self._at += 1
            await patience.wait()

    async def responses(self, query: str, **variables: Any) -> AsyncGenerator[Any]:
        """As Channel."""
        async with self._room:
            await self._open.wait()
            assert self._socket
            try:
                async with aclosing(self._socket.subscribe(query, **variables)) as responses:
                    async for response in responses:
                        (found,) = data_of(response).values()
                        yield found
            except BROKEN as error:
                raise Broken(type(error).__name__) from error


def _mutation(mutation: str, selection: str, input: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = mutation[0].upper() + mutation[1:]
    refusal = "__typename ... on Refusal { code message }"
    query = f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ {refusal} {selection} }} }}"
    return query, {"input": input}
