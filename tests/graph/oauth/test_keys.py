import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from domain.signing_key import PUBLISHED_AHEAD, SigningKey
from graph.oauth.keys import SigningKeys
from persistence.database import Database
from persistence.settings import SettingError

pytestmark = pytest.mark.anyio


async def rows(database):
    async with database.sessions() as session:
        return (await session.scalars(select(SigningKey).order_by(SigningKey.signs_from))).all()


async def test_processes_that_start_together_make_one_key(settings):
    async with Database.opened(settings) as database:
        keys = [SigningKeys(database, settings) for _ in range(4)]
        await asyncio.gather(*(each.ensure() for each in keys))
        (row,) = await rows(database)
        assert [(await each.signing()).keys[0].kid for each in keys] == [row.id] * 4


async def test_the_private_key_lies_encrypted(settings):
    async with Database.opened(settings) as database:
        await SigningKeys(database, settings).ensure()
        (row,) = await rows(database)
    assert row.pem.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")


async def test_another_secret_key_is_one_clear_line(settings):
    async with Database.opened(settings) as database:
        await SigningKeys(database, settings).ensure()
        with pytest.raises(SettingError, match=r"^SECRET_KEY is not the one that this database was set up with"):
            await SigningKeys(database, replace(settings, secret_key="x" * 40)).ensure()


async def test_a_new_key_is_published_before_it_signs_and_the_old_one_stays_until_its_tokens_are_dead(settings):
    async with Database.opened(settings) as database:
        keys = SigningKeys(database, settings)
        await keys.ensure()
        before = datetime.now(UTC)
        await keys.rotate()
        old, new = await rows(database)
        assert new.signs_from - before >= PUBLISHED_AHEAD
        assert old.retires_at - new.signs_from >= timedelta(minutes=5)
        assert {key["kid"] for key in (await keys.public())["keys"]} == {old.id, new.id}
        assert (await keys.signing()).keys[0].kid == old.id

        async with database.sessions.begin() as session:
            await session.execute(
                update(SigningKey).where(SigningKey.id == new.id).values(signs_from=datetime.now(UTC))
            )
        later = SigningKeys(database, settings)
        await later.ensure()
        assert (await later.signing()).keys[0].kid == new.id

        async with database.sessions.begin() as session:
            await session.execute(
                update(SigningKey).where(SigningKey.id == old.id).values(retires_at=datetime.now(UTC))
            )
        last = SigningKeys(database, settings)
        await last.ensure()
        assert [key["kid"] for key in (await last.public())["keys"]] == [new.id]
