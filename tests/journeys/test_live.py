"""Over the wire: whose rights end is gone within two seconds, and nobody else."""

import asyncio
from contextlib import aclosing

import pytest
from sqlalchemy import delete, update
from websockets.exceptions import ConnectionClosed

from domain.membership import Membership
from domain.oauth_client import OAuthClient
from domain.sign_in import Grant, SignInSession
from domain.user import User
from persistence.database import Database
from reelgraph.demo import sign_in
from tests.installation import Installation
from tests.journeys.acts import WATCH_JOB, WATCH_PROJECT, pause
from tests.story import project_of
from tests.wire import Caller

NOT_FOUND = r"'code': 'NOT_FOUND'"
UNAUTHENTICATED = r"'code': 'UNAUTHENTICATED'"
ENDINGS = {
    "signed out": lambda user: (
        update(SignInSession).where(SignInSession.user_id == user).values(ended_at=SignInSession.created_at)
    ),
    "grant revoked": lambda user: update(Grant).where(Grant.user_id == user).values(revoked_at=Grant.created_at),
    "user deleted": lambda user: delete(User).where(User.id == user),
}


@pytest.fixture
async def bob(site: Installation, ada: Caller) -> Caller:
    """Somebody who signed in with a browser."""
    person = sign_in.Person.new()
    await sign_in.register(ada.url, person)
    token = await sign_in.sign_in(ada.url, person)
    caller = Caller(ada.url, User(email=person.email, name=person.name), frozenset(), token)
    caller.viewer = type(caller.viewer)(user_id=(await caller.ask("{ viewer { id } }"))["id"], scopes=frozenset())
    return caller


async def _change(site: Installation, statement: object) -> None:
    async with Database.opened(site.settings) as database, database.sessions.begin() as session:
        await session.execute(statement)


@pytest.mark.parametrize("how", ENDINGS)
async def test_an_ended_sign_in_ends_all_that_came_from_it(
    site: Installation, ada: Caller, bob: Caller, how: str
) -> None:
    project = await project_of(ada)
    await ada.do("addMember", "... on Membership { id }", projectId=project, email=bob.email, role="VIEWER")
    job = await pause(ada, project, 30)
    there = bob.at(site.urls[1])
    async with (
        bob.socket() as socket,
        there.socket() as elsewhere,
        ada.socket() as adas,
        aclosing(socket.subscribe(WATCH_JOB, id=job)) as states,
        aclosing(adas.subscribe(WATCH_JOB, id=job)) as stays,
        aclosing(bob.events(WATCH_JOB, id=job)) as events,
    ):
        for watching in (states, stays, events):
            await anext(watching)
        await _change(site, ENDINGS[how](bob.id))
        async with asyncio.timeout(2):
            assert await socket.closed() == 4403
            assert await elsewhere.closed() == 4403
            with pytest.raises(AssertionError, match=UNAUTHENTICATED):
                [each async for each in events]
        with pytest.raises(ConnectionClosed):
            [each async for each in states]
        await ada.do("cancelJob", "", id=job)
        assert [each["data"]["job"]["state"] async for each in stays][-1] == "CANCELLED"


async def test_a_deleted_program_is_gone_within_two_seconds(site: Installation, ada: Caller) -> None:
    async with ada.socket() as socket:
        await _change(site, delete(OAuthClient).where(OAuthClient.owner_id == ada.id))
        async with asyncio.timeout(2):
            assert await socket.closed() == 4403


async def test_a_lost_membership_ends_subscriptions_and_leaves_the_socket(
    site: Installation, ada: Caller, bob: Caller
) -> None:
    project = await project_of(ada)
    await ada.do("addMember", "... on Membership { id }", projectId=project, email=bob.email, role="VIEWER")
    job = await pause(ada, project, 30)
    async with (
        bob.socket() as socket,
        aclosing(socket.subscribe(WATCH_JOB, id=job)) as states,
        aclosing(socket.subscribe(WATCH_PROJECT, id=project, after="0")) as log,
        aclosing(bob.events(WATCH_JOB, id=job)) as events,
        aclosing(bob.events(WATCH_PROJECT, id=project, after="0")) as log_events,
    ):
        for watching in (states, log, events, log_events):
            await anext(watching)
        await _change(site, delete(Membership).where(Membership.user_id == bob.id))
        async with asyncio.timeout(2):
            for watching in (states, log):
                [error] = [each async for each in watching][-1]["errors"]
                assert error["extensions"] == {"code": "NOT_FOUND"}
            for watching in (events, log_events):
                with pytest.raises(AssertionError, match=NOT_FOUND):
                    [each async for each in watching]
        async with aclosing(socket.subscribe("{ viewer { id } }")) as still:
            assert (await anext(still))["data"] == {"viewer": {"id": bob.id}}
