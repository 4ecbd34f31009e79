"""The composition root of the web: what an API process opens, and what answers where."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from domain.viewer import Viewer
from graph import console, health, media, transport
from graph.context import Context
from graph.hub import Hub
from graph.oauth.keys import SigningKeys
from graph.oauth.routes import routes as oauth_routes
from graph.oauth.tokens import TokenVerifier
from graph.schema import build
from persistence.accounts import Passwords, ensure_first_party_client
from persistence.resources import Resources, opened
from persistence.settings import Settings
from persistence.storage.local import LocalStorage

EXPOSED_HEADERS = ("ETag", "Content-Range", "Accept-Ranges", "Content-Disposition", "X-Request-Id")


class State(TypedDict):
    """What the lifespan hands to requests."""

    resources: Resources


def create_app(settings: Settings, *, draining: asyncio.Event | None = None) -> Starlette:
    """Put the web application together. Nothing is opened before its lifespan begins.

    Set `draining` when the server is told to stop: live connections then end, telling clients to come again.
    """
    draining = draining or asyncio.Event()
    routes: list[BaseRoute] = [health.alive(), Route("/", _welcome)]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[Mapping[str, object]]:
        async with opened(settings) as resources:
            hub = Hub(resources.database, resources.doorbells)
            keys = SigningKeys(resources.database, settings)
            async with resources.database.sessions() as session, session.begin():
                await ensure_first_party_client(session, settings)
            await keys.ensure()
            verifier = TokenVerifier(resources.database, settings, keys)
            app.router.routes[:] = [
                *routes,
                health.ready(resources, draining),
                *_graphql(resources, hub, verifier, draining),
                *oauth_routes(resources.database, settings, keys, Passwords()),
                *console.routes(settings),
                *(media.routes(resources.storage) if isinstance(resources.storage, LocalStorage) else ()),
            ]
            async with hub.running():
                yield {"resources": resources}

    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.allowed_origins),
                allow_methods=["GET", "HEAD", "POST", "PUT"],
                allow_headers=["Authorization", "Content-Type", "Range", "If-Range", "If-None-Match"],
                expose_headers=list(EXPOSED_HEADERS),
                max_age=3600,
            )
        ],
    )


def _graphql(resources: Resources, hub: Hub, verifier: TokenVerifier, draining: asyncio.Event) -> list[BaseRoute]:
    def context(viewer: Viewer | None, request_id: str) -> Context:
        return Context(viewer=viewer, resources=resources, hub=hub, request_id=request_id)

    engine = transport.Engine(build(), authenticate=verifier.viewer, context=context, stays=verifier.stays)
    return transport.routes(engine, draining=draining, allowed_origins=resources.settings.allowed_origins)


async def _welcome(_request: Request) -> Response:
    """Tell a person who opens the root where things are."""
    return JSONResponse(
        {
            "name": "Reelgraph",
            "graphql": "/graphql",
            "graphiql": "/graphiql",
            "signIn": "/oauth/sign-in",
            "health": "/readyz",
        }
    )
