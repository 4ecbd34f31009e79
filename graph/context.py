"""What one operation has at hand. One for each operation, on every transport; never a session in it."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import strawberry
from graphql import GraphQLError

from domain.refusals import NotFound
from domain.viewer import Role, Viewer
from graph.hub import Hub
from graph.loaders import Loaders
from persistence.resources import Resources

MOST_PAGES = 250


class Unauthenticated(GraphQLError):
    """Nobody is signed in, and somebody must be."""

    def __init__(self) -> None:
        """Say what to do about it."""
        super().__init__(
            "Sign in first: send an access token as `Authorization: Bearer …`.",
            extensions={"code": "UNAUTHENTICATED"},
        )


@dataclass(kw_only=True)
class Context:
    """One operation: who asks, and through what it reaches the rest."""

    viewer: Viewer | None
    resources: Resources
    hub: Hub
    request_id: str

    pages_left: int = MOST_PAGES
    """How many more pages of lists this operation may read: nested lists multiply."""

    @property
    def me(self) -> Viewer:
        """The viewer, who must be signed in."""
        if self.viewer is None:
            raise Unauthenticated
        return self.viewer

    @cached_property
    def loaders(self) -> Loaders:
        """Batched look-ups; what they found is remembered for this operation."""
        return Loaders(self.resources.reads())

    def beside(self) -> Self:
        """The context of another event of the same moment: what the two look up is looked up together."""
        other = replace(self, pages_left=MOST_PAGES)
        other.__dict__["loaders"] = self.loaders
        return other

    def look_afresh(self) -> None:
        """Forget what was looked up: a subscription's next event must not show old rows."""
        self.__dict__.pop("loaders", None)
        self.pages_left = MOST_PAGES

    async def role_in(self, project_id: str) -> Role | None:
        """What the viewer is in a project."""
        return await self.loaders.role(self.me.user_id, project_id)

    async def sees(self, project_id: str) -> bool:
        """Whether the viewer may know of the project."""
        return self.me.sees(await self.role_in(project_id))

    async def must_see(self, project_id: str) -> None:
        """Refuse a stranger, as if there were no such project."""
        if not await self.sees(project_id):
            raise NotFound(what="project", id=project_id)


Info = strawberry.Info[Context, None]
