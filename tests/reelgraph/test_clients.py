"""OAuth clients from the command line."""

import pytest

from domain.oauth_client import OAuthClient
from domain.refusals import InvalidInput, NotFound
from domain.user import User
from domain.viewer import Scope
from persistence.resources import Resources
from reelgraph.clients import create_client


async def test_a_script_is_registered_for_its_owner_with_a_secret(resources: Resources) -> None:
    async with resources.work() as work:
        owner = User(email="owner@example.org", name="Owner")
        work.add(owner)
    client_id, secret = await create_client(
        resources.settings,
        name="Nightly",
        redirect_uris=(),
        scopes=[Scope.RENDERS_WRITE],
        public=False,
        owner_email="Owner@example.org",
    )
    assert secret
    async with resources.work() as work:
        client = await work.session.get_one(OAuthClient, client_id)
        assert (client.owner_id, client.scope, client.knows(secret)) == (owner.id, "renders:write", True)


async def test_an_unknown_owner_and_a_client_without_purpose_are_refused(resources: Resources) -> None:
    nothing = {"name": "X", "redirect_uris": (), "scopes": (), "public": False}
    with pytest.raises(NotFound):
        await create_client(resources.settings, owner_email="nobody@example.org", **nothing)
    with pytest.raises(InvalidInput):
        await create_client(resources.settings, owner_email=None, **nothing)
