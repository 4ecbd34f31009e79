"""Pieces: what a render has made on the way to its result, kept by a key, so that nothing is made twice.

Equal keys mean equal bytes of meaning: a piece that is there may be used by whoever wants one of that key, and one that
is gone is made again. So a row may go at any time, and nothing but time is lost.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domain.entity import Base, new_id
from domain.stored import StoredObject

TOUCH_AFTER = timedelta(minutes=5)
"""How far behind `used_at` may be: a plan that uses a thousand pieces is not to rewrite them all each time."""
SPARED_FOR = timedelta(minutes=10)
"""A piece that was used so lately stays, however full the cache is: somebody is about to fetch it."""


class Piece(Base):
    """One piece in a project. Of no interest to clients, so it is no entity: nothing rings when it changes."""

    __tablename__ = "pieces"
    __table_args__ = (
        Index("ix_pieces_least_used", "project_id", "used_at", postgresql_where=text("asset_id IS NULL")),
        Index("ix_pieces_pace", "project_id", "signature", "created_at", postgresql_where=text("frames > 0")),
        Index("ix_pieces_asset_id", "asset_id", postgresql_where=text("asset_id IS NOT NULL")),
    )

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """A hash of everything that shapes it."""
    object_id: Mapped[str] = mapped_column(ForeignKey("stored_objects.id"), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    """In bytes."""
    frames: Mapped[int]
    """Of video; 0 for sound."""
    cpu_seconds: Mapped[float]
    """What making it cost."""
    signature: Mapped[str | None] = mapped_column(String(64), default=None)
    """A hash of how it was encoded (settings and size), by which estimates compare like with like."""
    facts: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    """What was measured in it and is needed without fetching it; small."""
    asset_id: Mapped[str | None] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"), default=None)
    """The asset it belongs to: it then counts for no cap, and goes with the asset."""
    used_at: Mapped[datetime] = mapped_column(server_default=func.now(), init=False)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), init=False)

    stored: Mapped[StoredObject] = relationship(lazy="raise", viewonly=True, init=False)
    """Where its bytes are. Every look-up of pieces loads it along."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What pieces of one signature have cost lately, on average."""

    cpu_seconds_per_frame: float
    bytes_per_frame: float


def piece_place(project_id: str) -> str:
    """A fresh key in storage for a piece: two workers that make the same one at once do not write the same object."""
    return f"projects/{project_id}/pieces/{new_id()}"
