"""GraphQL over HTTP: POST, GET for queries, and the event streams asked for over either."""

import asyncio
import re
import secrets
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from urllib.parse import parse_qsl

from graphql import GraphQLFormattedError, OperationType
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from domain.viewer import Viewer
from graph.transport.engine import Engine, InvalidToken, Operation
from graph.transport.errors import Rejected, formatted, presented
from graph.transport.request import BadRequest, Request, encode, read_json
from graph.transport.sse import EventStream, rejected

_JSON = "application/json"
_GRAPHQL = "application/graphql-response+json"
_EVENTS = "text/event-stream"

_QUALITY = re.compile(r";\s*q\s*=\s*([01](?:\.\d*)?)", re.IGNORECASE)
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]*)", re.IGNORECASE)
_PARAMETERS = 16
"""The most parameters of a GET; GraphQL has four."""


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.response = _errors([formatted(message, code)], status)
        for name, value in headers.items():
            self.response.headers[name.replace("_", "-")] = value


class HttpTransport:
    """Answers HTTP requests. Nothing a client sends ends in a 500; only our own faults do."""

    def __init__(self, engine: Engine, draining: asyncio.Event) -> None:
        """Take the event that is set when the server shuts down: open event streams end then."""
        self._engine = engine
        self._limits = engine.limits
        self._draining = draining

    async def answer(self, http: HttpRequest) -> Response:
        """Execute the request's operation and answer with its result, or with what is wrong with the request."""
        request_id = secrets.token_hex(8)
        try:
            response = await self._answer(http, request_id)
        except _Refused as refused:
            response = refused.response
        except BadRequest as bad:
            response = _errors([formatted(str(bad), "BAD_REQUEST")], 400)
        except ClientDisconnect:
            response = Response(status_code=400)  # nobody will read it
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets JSON and a request id
            response = _errors(presented([error], request_id), 500)
        response.headers["x-request-id"] = request_id
        return response

    async def _answer(self, http: HttpRequest, request_id: str) -> Response:
        if http.method == "HEAD":  # Starlette routes it wherever it routes GET
            raise _Refused(405, "METHOD_NOT_ALLOWED", "Ask by GET or POST.", allow="GET, POST")
        accepted = _accepted(",".join(http.headers.getlist("accept")))
        media_type = accepted[0]
        viewer = await self._viewer(http)
        request = await self._request(http)
        try:
            operation = self._engine.prepare(request, request_id)
            media_type = _media_type(http, operation, accepted)
            answers = self._engine.run(operation, viewer, request_id)
            if media_type == _EVENTS:
                stays = partial(self._engine.stays, viewer) if viewer else None
                return EventStream(answers, self._limits, self._draining, stays)
            async with aclosing(answers):
                return _body(await anext(answers), media_type=media_type)
        except Rejected as rejection:
            if media_type == _EVENTS:
                return EventStream(rejected(rejection), self._limits, self._draining)
            # Who asks for plain JSON gets 200 for every well-formed request, whatever became of the operation.
            status = 200 if media_type == _JSON and rejection.status == 400 else rejection.status  # noqa: PLR2004 - HTTP
            return _errors(rejection.errors, status, media_type=media_type)

    async def _viewer(self, http: HttpRequest) -> Viewer | None:
        # Two headers make one value that is no bearer token: it is not for us to choose.
        given = http.headers.getlist("authorization")
        try:
            return await self._engine.viewer(",".join(given) if given else None)
        except InvalidToken:
            message = "The access token is not valid: it may have expired."
            challenge = 'Bearer error="invalid_token"'
            raise _Refused(401, "UNAUTHENTICATED", message, www_authenticate=challenge) from None

    async def _request(self, http: HttpRequest) -> Request:
        if http.method != "POST":
            return Request.parse(_parameters(http.scope["query_string"]))
        # No content type that a form can send: a page elsewhere cannot post here without asking first (CORS).
        content_type = http.headers.get("content-type", "")
        charset = _CHARSET.search(content_type)
        if content_type.partition(";")[0].strip().lower() != _JSON or (charset and charset[1].lower() != "utf-8"):
            raise _Refused(415, "UNSUPPORTED_MEDIA_TYPE", f"Send the request as {_JSON} in UTF-8.")
        if http.headers.get("content-encoding", "identity").lower() != "identity":
            raise _Refused(415, "UNSUPPORTED_MEDIA_TYPE", "Send the request without a content encoding.")
        return Request.parse(read_json(await self._received(http)))

    async def _received(self, http: HttpRequest) -> bytes:
        most = self._limits.body_bytes
        announced = http.headers.get("content-length", "")
        length = int(announced) if re.fullmatch("[0-9]{1,18}", announced) else 0
        received = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                if length <= most:
                    async for chunk in http.stream():  # counted, whatever was announced
                        received += chunk
                        length = len(received)
                        if length > most:
                            break
        except TimeoutError:
            raise _Refused(408, "TIMEOUT", "The request took too long to arrive.") from None
        if length > most:
            raise _Refused(413, "TOO_LARGE", f"The request has more than {most} bytes.")
        return bytes(received)


def _accepted(header: str) -> list[str]:
    """What we speak that the client accepts, best first; without an Accept header that is anything."""
    qualities: dict[str, float] = {}
    for each in (header.strip(" ,") or "*/*").lower().split(","):
        quality = _QUALITY.search(each)
        qualities.setdefault(each.partition(";")[0].strip(), float(quality[1]) if quality else 1.0)
    asked = list(qualities)

    def rank(media_type: str) -> tuple[float, int]:
        ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
        return next(((qualities[each], -asked.index(each)) for each in ranges if each in qualities), (0.0, 0))

    accepted = [each for each in (_JSON, _GRAPHQL, _EVENTS) if rank(each)[0] > 0]
    if not accepted:
        raise _Refused(406, "NOT_ACCEPTABLE", f"We answer with {_JSON}, {_GRAPHQL} or {_EVENTS}.")
    return sorted(accepted, key=rank, reverse=True)


def _media_type(http: HttpRequest, operation: Operation, accepted: Sequence[str]) -> str:
    """How this operation is answered: a subscription as events, others as JSON where the client takes that."""
    if operation.kind is OperationType.SUBSCRIPTION:
        if _EVENTS in accepted:
            return _EVENTS
        raise _Refused(406, "NOT_ACCEPTABLE", f"Subscriptions are answered as {_EVENTS}, or over WebSocket.")
    if operation.kind is OperationType.MUTATION and http.method != "POST":
        raise _Refused(405, "METHOD_NOT_ALLOWED", "Mutations are sent by POST.", allow="POST")
    return next((each for each in accepted if each != _EVENTS), _EVENTS)


def _parameters(query_string: bytes) -> dict[str, object]:
    """The members of a request sent by GET."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_PARAMETERS
        )
    except ValueError:  # bytes that are not UTF-8, or too many parameters
        raise BadRequest("The query string is not valid.") from None
    members: dict[str, object] = dict(pairs)
    if len(members) != len(pairs):
        raise BadRequest("The query string has the same parameter twice.")
    for name in ("variables", "extensions"):
        text = members.get(name)
        if isinstance(text, str):
            members[name] = read_json(text) if text else None
    return members


def _errors(errors: Sequence[GraphQLFormattedError], status: int, *, media_type: str = _JSON) -> Response:
    return _body(encode({"errors": errors}), status, media_type=media_type)


def _body(text: str, status: int = 200, *, media_type: str) -> Response:
    headers = {"content-type": f"{media_type}; charset=utf-8", "cache-control": "no-store"}
    return Response(text, status, headers)
