"""Administrators, made from the command line: nobody can become the first one over the network."""

from persistence.accounts import Passwords, create_user, ensure_first_admin, random_password
from persistence.database import Database
from persistence.settings import Settings


async def create_administrator(settings: Settings, *, email: str, name: str, only_if_none: bool) -> str | None:
    """Make an administrator and return the random password; None if there is one already and that is enough."""
    async with Database.opened(settings) as database, database.sessions.begin() as session:
        passwords = Passwords()
        if only_if_none:
            return await ensure_first_admin(session, passwords, email=email, name=name)
        password = random_password()
        await create_user(session, passwords, name=name, email=email, password=password, is_admin=True)
        return password
