"""An API process that is told to stop lets its clients go, and goes."""

import asyncio
from contextlib import aclosing

import pytest
from websockets.exceptions import ConnectionClosed

from tests.installation import Installation, held, tell_to_stop
from tests.journeys.acts import WATCH_JOB, pause
from tests.story import project_of


async def test_an_api_told_to_stop_sends_its_clients_elsewhere_and_ends_in_order(installation: Installation) -> None:
    api = await installation.api()
    ada = await installation.person()
    job = await pause(ada, await project_of(ada), 60)
    async with (
        ada.socket() as socket,
        aclosing(socket.subscribe(WATCH_JOB, id=job)) as over_socket,
        aclosing(ada.events(WATCH_JOB, id=job)) as over_events,
    ):
        for watching in (over_socket, over_events):
            await anext(watching)
        with held([api.pid]) as gone:
            tell_to_stop(api)
            async with asyncio.timeout(5):
                assert await socket.closed() == 1012
            with pytest.raises(ConnectionClosed):
                await anext(over_socket)
            with pytest.raises(AssertionError, match="broke off"):  # no `complete`: come again
                await anext(over_events)
            assert await gone.end_within(5)
    assert api.ended == 0
