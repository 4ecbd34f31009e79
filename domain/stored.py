"""The ledger of objects in storage.

A row is written before its object exists and goes after its object is gone, so that whatever crashes in between, no
object is ever forgotten. It refers to nothing by foreign key: it outlives what it was made for.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base, Entity


class StoredObject(Entity, Base):
    """One object in storage: announced (stored_at is None), stored, or doomed (to be removed by the sweeper)."""

    __tablename__ = "stored_objects"
    __table_args__ = (
        Index("ix_stored_objects_doomed", "doomed_at", postgresql_where=text("doomed_at IS NOT NULL")),
        Index("ix_stored_objects_announced", "expires_at", postgresql_where=text("stored_at IS NULL")),
    )

    project_id: Mapped[str] = mapped_column(String(32), index=True)
    key: Mapped[str] = mapped_column(String(500), unique=True)
    content_type: Mapped[str] = mapped_column(String(200))
    expires_at: Mapped[datetime]
    """When an object that was announced and never stored is given up."""
    upload_handle: Mapped[str | None] = mapped_column(String(1000), default=None)
    """The storage's name for a multipart upload in progress."""
    size: Mapped[int | None] = mapped_column(BigInteger, default=None)
    sha256: Mapped[str | None] = mapped_column(String(64), default=None)
    stored_at: Mapped[datetime | None] = mapped_column(default=None)
    doomed_at: Mapped[datetime | None] = mapped_column(default=None)

    def keep(self, *, size: int, sha256: str, now: datetime) -> None:
        """The object is there, whole."""
        self.size, self.sha256, self.stored_at, self.upload_handle = size, sha256, now, None

    def doom(self, now: datetime) -> None:
        """Let the sweeper remove the object, then this row."""
        self.doomed_at = self.doomed_at or now
