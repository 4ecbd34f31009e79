"""Whether clients find the API where it says it is."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx

from persistence.settings import Settings
from reelgraph.doctor.finding import Finding, ok, warning
from reelgraph.reach import line


async def public_url(settings: Settings) -> AsyncIterator[Finding]:
    """Ask there as a client would. Only ever a warning: perhaps no API runs yet, or this machine is not let out."""
    url = settings.public_url
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            answer = await client.get(f"{url}/healthz")
    except httpx.HTTPError as error:
        yield warning("PUBLIC_URL", f"nobody answers at {url}: {line(error)}; start the API, or correct PUBLIC_URL")
        return
    if not answer.is_success or '"ok"' not in answer.text:
        yield warning(
            "PUBLIC_URL", f"{url}/healthz answers {answer.status_code}: not our API; correct PUBLIC_URL or the proxy"
        )
        return
    yield ok("PUBLIC_URL", f"the API answers at {url}")
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        yield warning("PUBLIC_URL", f"{url} is not encrypted; put a proxy with TLS in front, and say https://")
