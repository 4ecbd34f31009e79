"""The base of every entity: a dataclass and a table at once."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from cuid2 import Cuid
from sqlalchemy import JSON, DateTime, Enum, MetaData, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

_cuid = Cuid()


def new_id() -> str:
    """A fresh opaque id: 24 lower-case letters and digits (cuid2)."""
    return _cuid.generate()


class Worded(StrEnum):
    """An enum whose every value carries the sentence a client reads about it."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        """Make the member; its value is the plain string, the sentence rides along."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member


def _values(enum: type[StrEnum]) -> list[str]:
    return [member.value for member in enum]


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True, eq=False, repr=False):
    """The declared tables. Not hashable by value on purpose: two rows are never "equal", only the same."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        # Kept as plain text with no constraint: a new value is no migration.
        Worded: Enum(Worded, native_enum=False, length=32, values_callable=_values),
        dict[str, Any]: JSON().with_variant(JSONB(), "postgresql"),
    }


class Entity(MappedAsDataclass, kw_only=True, eq=False, repr=False):
    """What every entity has: an id of its own and the moment it was made."""

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default_factory=new_id)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), init=False)
