"""OAuth clients, registered from the command line."""

from collections.abc import Sequence

from domain.refusals import NotFound
from domain.viewer import Scope
from persistence.accounts import register_client, user_with_email
from persistence.database import Database
from persistence.settings import Settings


async def create_client(
    settings: Settings,
    *,
    name: str,
    redirect_uris: Sequence[str],
    scopes: Sequence[Scope],
    public: bool,
    owner_email: str | None,
) -> tuple[str, str | None]:
    """Register a program; return its client_id and its secret, which is kept nowhere (None for a public one)."""
    async with Database.opened(settings) as database, database.sessions.begin() as session:
        owner = await user_with_email(session, owner_email) if owner_email else None
        if owner_email and owner is None:
            raise NotFound(what="user", id=owner_email)
        client, secret = await register_client(
            session,
            name=name,
            redirect_uris=redirect_uris,
            scopes=scopes or None,
            public=public,
            owner=owner,
        )
    return client.id, secret
