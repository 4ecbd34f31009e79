"""GraphiQL, served by us: the built files of console/, under a policy that lets nothing in from elsewhere."""

import gzip
import json
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from persistence.accounts import CONSOLE
from persistence.settings import Settings

_MEDIA_TYPES = {
    "js": "text/javascript",
    "css": "text/css",
    "ttf": "font/ttf",
    "woff": "font/woff",
    "woff2": "font/woff2",
}


@dataclass(frozen=True)
class Build:
    """What `make console` made."""

    script: str
    style: str
    assets: dict[str, bytes]
    """By name: the hash of the content is part of it. Compressed with gzip."""
    licenses: str

    @classmethod
    def read(cls, folder: Traversable) -> "Build":
        """Read the built files: some 2 MB, which every process then holds."""
        manifest = json.loads((folder / "manifest.json").read_text())
        return cls(
            script=manifest["script"],
            style=manifest["style"],
            assets={name: (folder / "assets" / f"{name}.gz").read_bytes() for name in manifest["assets"]},
            licenses=(folder / "licenses.txt").read_text(),
        )


def routes(settings: Settings) -> list[BaseRoute]:
    """The console's page, which is also where its sign-in comes back to, and what the page is made of."""
    build = Build.read(files("graph.console") / "static")
    root = urlsplit(settings.public_url).path
    template = Environment(loader=PackageLoader("graph.console"), autoescape=True, undefined=StrictUndefined)
    html = template.get_template("page.html").render(
        root=root,
        script=build.script,
        style=build.style,
        public_url=settings.public_url,
        client_id=CONSOLE,
    )
    headers = _page_headers(settings.public_url)
    picture = (files("graph.console") / "templates" / "icon.svg").read_bytes()

    async def page(_: Request) -> Response:
        return HTMLResponse(html, headers=headers)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        return _asset(request, name, build.assets.get(name))

    async def icon(_: Request) -> Response:
        return Response(picture, media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})

    async def licenses(_: Request) -> Response:
        return PlainTextResponse(build.licenses)

    return [
        Route("/graphiql", page),
        Route("/graphiql/callback", page),
        Route("/graphiql/assets/{name}", asset),
        Route("/graphiql/icon.svg", icon),
        Route("/graphiql/licenses.txt", licenses),
    ]


def _asset(request: Request, name: str, compressed: bytes | None) -> Response:
    if compressed is None:
        return PlainTextResponse("There is no such file.", 404)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        # A worker obeys the policy that its own script came with: it has nothing to fetch and nothing to evaluate.
        "Content-Security-Policy": "default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(compressed, media_type=media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(gzip.decompress(compressed), media_type=media_type, headers=headers)


def _page_headers(public_url: str) -> dict[str, str]:
    address = urlsplit(public_url)
    # Browsers of some years ago did not count WebSockets of the page's own host as 'self'.
    sockets = f"{'wss' if address.scheme == 'https' else 'ws'}://{address.netloc}"
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        # The editor, Monaco, writes style elements and attributes at run time: positions, colours, font sizes.
        "style-src": "'self' 'unsafe-inline'",
        "font-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": f"'self' {sockets}",
        "worker-src": "'self'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        # The page's address may hold a code.
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
