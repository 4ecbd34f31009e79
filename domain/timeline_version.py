"""The timelines that a project has had."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base, Entity
from domain.timeline import Timeline

MOST_VERSIONS = 1000
"""A project remembers so many of its timelines, the newest; the present one among them."""
MOST_BYTES = 200 * 2**20
"""And so many bytes of them, as they lie in the database; the present one in any case."""


class TimelineVersion(Entity, Base):
    """A timeline as it was set once. It never changes."""

    __tablename__ = "timeline_versions"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        Index("ix_timeline_versions_project_id_created_at", "project_id", "created_at", "id"),
    )

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    number: Mapped[int]
    """The project's `timeline_version` when it was the present one."""
    timeline_json: Mapped[dict[str, Any]] = mapped_column("timeline", deferred=True, deferred_raiseload=True)
    """Large; a page of versions is listed without it."""
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    """Who set it."""
    restored_from: Mapped[int | None] = mapped_column(default=None)
    """The number of the version that it brought back."""

    @classmethod
    def of(
        cls,
        *,
        project_id: str,
        number: int,
        timeline: dict[str, Any],
        user_id: str | None,
        now: datetime,
        restored_from: int | None = None,
    ) -> "TimelineVersion":
        """The version that the locked project has from now on."""
        made = cls(
            project_id=project_id, number=number, timeline_json=timeline, user_id=user_id, restored_from=restored_from
        )
        made.created_at = now  # not when the transaction began: then their times would not be in their order
        return made

    @property
    def timeline(self) -> Timeline:
        """The edit as it stood."""
        return Timeline.from_json(self.timeline_json)
