"""The seal: every root field has a policy, and a schema with one that has none refuses to start.

Which rows somebody may see or change is asked where rows are loaded; here it is only who may ask at all.
"""

import logging
from collections.abc import Callable
from inspect import isawaitable
from typing import Annotated, Any, Union

import strawberry
from graphql import GraphQLObjectType
from sqlalchemy.exc import DBAPIError
from strawberry.extensions import FieldExtension
from strawberry.types import Info as AnyInfo

from domain.refusals import Forbidden, NotFound, Refusal
from domain.viewer import Scope, Viewer
from graph.context import Context, Unauthenticated
from graph.refusals import face_of

logger = logging.getLogger(__name__)

_BROKEN_UP = frozenset({"40P01", "40001"})
"""SQLSTATE of a deadlock and of a transaction that could not be put in order with another."""

Policy = Callable[[Viewer | None], None]
"""Raises when this viewer may not ask."""


def anyone(_viewer: Viewer | None) -> None:
    """Open to all, signed in or not."""


def signed_in(viewer: Viewer | None) -> None:
    """Any valid token will do."""
    if viewer is None:
        raise Unauthenticated


def scoped(scope: Scope) -> Policy:
    """The token must carry the scope; for `admin` the user must be an administrator, too, at this moment."""

    def policy(viewer: Viewer | None) -> None:
        signed_in(viewer)
        if viewer and scope not in viewer.scopes:
            raise Forbidden(needs=f"an access token with the scope {scope}")
        if viewer and scope is Scope.ADMIN and not viewer.is_admin:
            raise Forbidden(needs="an administrator")

    return policy


class Seal(FieldExtension):
    """Asks the policy before the field is resolved or subscribed to."""

    def __init__(self, policy: Policy) -> None:
        """Keep the policy where `unsealed` finds it."""
        self.policy = policy

    def resolve(self, next_: Callable[..., Any], source: Any, info: AnyInfo[Context, None], **kwargs: Any) -> Any:
        """For what is resolved at once."""
        self.policy(info.context.viewer)
        return next_(source, info, **kwargs)

    async def resolve_async(
        self, next_: Callable[..., Any], source: Any, info: AnyInfo[Context, None], **kwargs: Any
    ) -> Any:
        """For whatever Strawberry takes for asynchronous: subscriptions too, whose generators are not awaited."""
        self.policy(info.context.viewer)
        result = next_(source, info, **kwargs)
        return await result if isawaitable(result) else result


class Again(FieldExtension):
    """Runs a mutation once more when PostgreSQL has broken up a deadlock by failing it: nothing of it was kept."""

    async def resolve_async(
        self, next_: Callable[..., Any], source: Any, info: AnyInfo[Context, None], **kwargs: Any
    ) -> Any:
        """Only once: a second time is no coincidence."""
        try:
            return await next_(source, info, **kwargs)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _BROKEN_UP:
                raise
            logger.warning("%s runs again: %s", info.field_name, error.orig)
            return await next_(source, info, **kwargs)


def query(policy: Policy, answers: Any) -> Callable[[Callable[..., Any]], Any]:
    """A sealed field of Query; its docstring is what a client reads."""
    return lambda resolver: strawberry.field(
        resolver, graphql_type=answers, description=_sentence(resolver), extensions=[Seal(policy)]
    )


def subscription(policy: Policy, answers: Any) -> Callable[[Callable[..., Any]], Any]:
    """A sealed field of Subscription, resolved by an async generator."""

    def made(resolver: Callable[..., Any]) -> Any:
        field: Any = strawberry.subscription(
            resolver, graphql_type=answers, description=_sentence(resolver), extensions=[Seal(policy)]
        )
        return field

    return made


def mutation(
    policy: Policy, answers: Any, *, refuses: tuple[type[Refusal], ...] = ()
) -> Callable[[Callable[..., Any]], Any]:
    """A sealed field of Mutation. It answers with the thing, or with one of the refusals it names.

    Every mutation may refuse with NotFound and Forbidden.
    """

    def made(resolver: Callable[..., Any]) -> Any:
        name = "".join(word.capitalize() for word in resolver.__name__.split("_"))
        members = (answers, *(face_of(refusal) for refusal in (NotFound, Forbidden, *refuses)))
        union = strawberry.union(f"{name}Result", description=f"What `{_camel(name)}` answers.")
        return strawberry.mutation(
            resolver,
            graphql_type=Annotated[Union[members], union],  # noqa: UP007 - the members are known at run time only
            description=_sentence(resolver),
            extensions=[Seal(policy), Again()],
        )

    return made


def unsealed(schema: strawberry.Schema) -> list[str]:
    """The root fields without a policy, as Type.field."""
    found: list[str] = []
    for root in (schema.query, schema.mutation, schema.subscription):
        if root is None:
            continue
        definition: Any = root.__strawberry_definition__  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # Strawberry's own
        found += [
            f"{definition.name}.{field.python_name}"
            for field in definition.fields
            if not any(isinstance(each, Seal) for each in field.extensions)
        ]
    return found


def undescribed(schema: strawberry.Schema) -> list[str]:
    """The types, fields, arguments and enum values that say nothing of themselves."""
    found: list[str] = []
    for name, kind in schema._schema.type_map.items():  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # the only way to graphql-core's schema
        if name.startswith("__") or name in {"String", "Int", "Float", "Boolean", "ID"}:
            continue
        if not kind.description:
            found.append(name)
        for part, value in {**getattr(kind, "fields", {}), **getattr(kind, "values", {})}.items():
            if not value.description:
                found.append(f"{name}.{part}")
            if isinstance(kind, GraphQLObjectType):
                found += [f"{name}.{part}({each})" for each, arg in value.args.items() if not arg.description]
    return found


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _sentence(resolver: Callable[..., Any]) -> str:
    if not resolver.__doc__:
        raise TypeError(f"{resolver.__name__} has no docstring for clients to read")
    return " ".join(resolver.__doc__.split())
