"""Who is there: users with projects of their own, each with a signed-in program."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from domain.entity import new_id
from domain.project import Project
from domain.user import User
from persistence.accounts import register_client
from persistence.database import Database


@dataclass(frozen=True, kw_only=True)
class Person:
    """A user, what is theirs, and the token of their program."""

    id: str
    projects: Sequence[str]
    client_id: str
    secret: str

    async def token(self, url: str) -> str:
        """A fresh access token, good for five minutes."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{url}/oauth/token", auth=(self.client_id, self.secret), data={"grant_type": "client_credentials"}
            )
        return answer.raise_for_status().json()["access_token"]


async def people(database: Database, *, users: int, projects_of_each: int) -> list[Person]:
    """Make so many users."""
    return [await _person(database, projects_of_each) for _ in range(users)]


async def _person(database: Database, projects: int) -> Person:
    async with database.sessions() as session, session.begin():
        user = User(email=f"{new_id()}@example.org", name="A. User")
        session.add(user)
        await session.flush()
        founded = [Project.founded(user, f"Film {number}") for number in range(projects)]
        session.add_all(project for project, _ in founded)
        await session.flush()
        session.add_all(membership for _, membership in founded)
        client, secret = await register_client(session, name="The bench", owner=user)
        assert secret is not None
        return Person(id=user.id, projects=[project.id for project, _ in founded], client_id=client.id, secret=secret)
