"""A file on its way into a project: announced, sent in parts straight to storage, then completed."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from domain.asset import NAME_BYTES, clean_filename
from domain.entity import Base, Entity, Worded
from domain.refusals import InvalidInput, UploadClosed, UploadTooLarge

MOST_PARTS = 10_000
"""S3 takes no more parts than this for one object, so nobody else does either."""
_CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,99}/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class UploadState(Worded):
    """How far an upload has come."""

    OPEN = "OPEN", "Takes parts."
    COMPLETED = "COMPLETED", "All bytes are here; `asset` is what became of them."
    ABORTED = "ABORTED", "Given up; its parts are removed."
    EXPIRED = "EXPIRED", "Not completed in time; its parts are removed."


@dataclass(frozen=True)
class Part:
    """One piece of the file: bytes [offset, offset + size)."""

    number: int
    offset: int
    size: int


class Upload(Entity, Base):
    """One file on its way into a project."""

    __tablename__ = "uploads"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    object_id: Mapped[str] = mapped_column(String(32))
    filename: Mapped[str] = mapped_column(String(NAME_BYTES))
    content_type: Mapped[str] = mapped_column(String(200))
    size: Mapped[int] = mapped_column(BigInteger)
    part_size: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]
    sha256: Mapped[str | None] = mapped_column(String(64), default=None)
    state: Mapped[UploadState] = mapped_column(default=UploadState.OPEN)
    asset_id: Mapped[str | None] = mapped_column(ForeignKey("assets.id", ondelete="SET NULL"), default=None)
    version: Mapped[int] = mapped_column(init=False)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own spelling

    @property
    def parts(self) -> list[Part]:
        """Every part, in order; all but the last are exactly part_size bytes."""
        offsets = range(0, self.size, self.part_size)
        return [
            Part(number, offset, min(self.part_size, self.size - offset)) for number, offset in enumerate(offsets, 1)
        ]

    def still_open(self, now: datetime) -> None:
        """Refuse when the upload takes no more parts."""
        if self.state != UploadState.OPEN:
            raise UploadClosed(state=self.state)
        if self.expires_at <= now:
            raise UploadClosed(state=UploadState.EXPIRED)

    def complete(self, asset_id: str) -> None:
        """All bytes are here, as this asset."""
        self.state, self.asset_id = UploadState.COMPLETED, asset_id

    def abort(self, now: datetime) -> None:
        """Give up; harmless when repeated."""
        if self.state != UploadState.ABORTED:
            self.still_open(now)
            self.state = UploadState.ABORTED

    def expire(self) -> None:
        """Too late for the rest of it."""
        self.state = UploadState.EXPIRED


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What a client says of a file before it sends it; refused where it cannot be."""

    filename: str
    content_type: str
    size: int
    sha256: str | None

    @classmethod
    def of(cls, *, filename: str, content_type: str, size: int, sha256: str | None, limit: int) -> "Announcement":
        """Check and clean what the client says."""
        content_type = content_type.strip().lower()
        if not _CONTENT_TYPE.fullmatch(content_type):
            raise InvalidInput(path="contentType", problem="it is not a media type such as video/mp4")
        if size < 1:
            raise InvalidInput(path="size", problem="an empty file is not media")
        if size > limit:
            raise UploadTooLarge(size=size, limit=limit)
        if sha256 is not None and not _SHA256.fullmatch(sha256 := sha256.strip().lower()):
            raise InvalidInput(path="sha256", problem="it must be 64 hexadecimal digits")
        return cls(filename=clean_filename(filename), content_type=content_type, size=size, sha256=sha256)

    def part_size(self, preferred: int) -> int:
        """The preferred size of a part, or more where a large file would have too many."""
        least = -(-self.size // MOST_PARTS)
        mebibyte = 2**20
        return preferred if least <= preferred else -(-least // mebibyte) * mebibyte
