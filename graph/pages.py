"""Relay connections over keyset pages: newest first, at most 100 a page."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Generic, TypeVar, cast

import strawberry
from graphql import GraphQLError
from sqlalchemy import ColumnElement

from domain.entity import Entity
from graph.context import MOST_PAGES, Info
from graph.face import said
from persistence.reads import Window, cursor_of

T = TypeVar("T")
E = TypeVar("E", bound=Entity)

First = Annotated[int | None, strawberry.argument(description="At most so many, from the newest; 25 if not said.")]
After = Annotated[str | None, strawberry.argument(description="Only those behind (older than) this cursor.")]
Last = Annotated[int | None, strawberry.argument(description="At most so many, from the oldest.")]
Before = Annotated[str | None, strawberry.argument(description="Only those before (newer than) this cursor.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """As Relay has it."""

    has_next_page: bool = said("Whether there are older ones.")
    has_previous_page: bool = said("Whether there are newer ones.")
    start_cursor: str | None = said("The cursor of the page's first item.")
    end_cursor: str | None = said("The cursor of the page's last item.")


@strawberry.type(description="An item of a list, with its place there.")
class Edge(Generic[T]):
    """As Relay has it."""

    cursor: str = said("The item's place: pass it as `after` or `before`.")
    node: T = said("The item.")


@strawberry.type(description="A page of a list, newest first.")
class Connection(Generic[T]):
    """As Relay has it, with the nodes also at hand without their edges."""

    edges: list[Edge[T]] = said("The items with their cursors.")
    nodes: list[T] = said("The items.")
    page_info: PageInfo = said("Where this page stands.")
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="How many there are on all pages.")
    async def total_count(self) -> int:
        """Counted only when asked for."""
        return await self.count()


def take_page(info: Info) -> None:
    """Count one more list; refuse an operation that reads too many."""
    info.context.pages_left -= 1
    if info.context.pages_left < 0:
        raise GraphQLError(
            f"The operation reads more than {MOST_PAGES} pages of lists: nest fewer, or ask for fewer outer items.",
            extensions={"code": "OPERATION_TOO_LARGE"},
        )


async def connection(
    info: Info,
    entity: type[E],
    where: ColumnElement[bool],
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
) -> Connection[E]:
    """One page of the entities for which `where` holds; who may see them is the caller's to ask."""
    take_page(info)
    reads = info.context.loaders.reads
    page = await reads.page(entity, where, Window.of(first, after, last, before))
    cursors = [cursor_of(each) for each in page.items]
    made: Any = Connection(
        edges=[Edge(cursor=cursor, node=each) for cursor, each in zip(cursors, page.items, strict=True)],
        nodes=page.items,
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        count=lambda: reads.count(entity, where),
    )
    return cast("Connection[E]", made)
