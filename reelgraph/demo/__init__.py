"""`reelgraph demo`: start everything, act as a client from registration to a finished video, and check the video."""

import asyncio
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import cast

import httpx
from websockets.exceptions import WebSocketException

from reelgraph.demo import story
from reelgraph.demo.display import Display
from reelgraph.demo.failure import DemoFailed
from reelgraph.demo.sign_in import Person
from reelgraph.home import AlreadyRunningError, Home
from reelgraph.stack import stack
from tasks.ffmpeg import FfmpegFailed, FfmpegMissing

_EXPECTED = (DemoFailed, FfmpegFailed, FfmpegMissing, httpx.HTTPError, WebSocketException, OSError)
"""What can go wrong without a fault of the demo's own: told in a sentence instead of a traceback."""


def run(home: Home) -> None:
    """Run the demo on the data of this home, or against the installation that already runs there.

    Returns only if the video is right. Otherwise says why and raises SystemExit(1), with everything stopped.
    """
    started = perf_counter()
    person = Person.new()
    try:
        with Display() as display, _running(home, display) as url:
            video = asyncio.run(story.tell(url, home.path / "demo", display, person))
            display.say(
                f"\n  {video.path}\n"
                f"  is right in every frame, {perf_counter() - started:.1f} s after the start.\n\n"
                "  While Reelgraph runs (make up):\n"
                f"  Download    {video.url}\n"
                f"  GraphQL     {url}/graphql\n"
                f"  Sign in     {url}/oauth/sign-in as {person.email} with {person.password}\n"
            )
    except Exception as error:
        reason = _first(error)
        if not isinstance(reason, _EXPECTED):
            raise
        print(f"reelgraph: the demo failed: {str(reason) or type(reason).__name__}", file=sys.stderr)
        print(f"The logs are in {home.log('api').parent}", file=sys.stderr)
        raise SystemExit(1) from None


@contextmanager
def _running(home: Home, display: Display) -> Generator[str]:
    """The URL of the installation on this home: one that runs already, else one that lasts as long as the block."""
    with ExitStack() as opened:
        with display.stage("Start everything") as stage:
            try:
                url = opened.enter_context(stack(home)).url
                stage.tell("PostgreSQL, Redis, API, worker")
            except AlreadyRunningError as running:
                if running.url is None:
                    raise
                url = running.url
                stage.tell(f"it runs already, at {url}")
        yield url


def _first(error: Exception) -> Exception:
    """What went wrong first, where things were done at once."""
    return (
        _first(cast("ExceptionGroup[Exception]", error).exceptions[0]) if isinstance(error, ExceptionGroup) else error
    )
