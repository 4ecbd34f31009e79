"""Media in a project: uploaded or made by a job."""

import unicodedata
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base, Entity, Worded
from domain.media import MediaFacts, MediaKind
from domain.refusals import InvalidInput

NAME_BYTES = 255


class AssetState(Worded):
    """Whether an asset can be used."""

    PROCESSING = "PROCESSING", "Its bytes are here and are being examined."
    READY = "READY", "Examined and ready to use."
    REJECTED = "REJECTED", "Not usable; `rejection` says why."


class Asset(Entity, Base):
    """A file of media in a project, with what was found in it."""

    __tablename__ = "assets"
    __table_args__ = (Index("ix_assets_project_id_created_at", "project_id", "created_at", "id"),)

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    object_id: Mapped[str] = mapped_column(ForeignKey("stored_objects.id"), index=True)
    name: Mapped[str] = mapped_column(String(NAME_BYTES))
    content_type: Mapped[str] = mapped_column(String(200))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[AssetState] = mapped_column(default=AssetState.PROCESSING)
    rejection: Mapped[str | None] = mapped_column(String(1000), default=None)
    media: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    poster_id: Mapped[str | None] = mapped_column(ForeignKey("stored_objects.id"), index=True, default=None)
    """A JPEG of one of its frames."""
    version: Mapped[int] = mapped_column(init=False)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own spelling

    @property
    def facts(self) -> MediaFacts | None:
        """What was found in the file; None until it is READY."""
        return MediaFacts.from_json(self.media) if self.media else None

    @property
    def kind(self) -> MediaKind | None:
        """What it is to an edit; None until it is READY."""
        facts = self.facts
        return facts.kind if facts else None

    def accept(self, facts: MediaFacts) -> None:
        """The file is what it should be."""
        self.state, self.rejection, self.media = AssetState.READY, None, facts.to_json()

    def reject(self, reason: str) -> None:
        """The file cannot be used."""
        self.state, self.rejection, self.media = AssetState.REJECTED, reason.replace("\0", "")[:1000], None

    def examine_again(self) -> None:
        """A retried ingest starts over."""
        self.state, self.rejection = AssetState.PROCESSING, None


def clean_filename(filename: str) -> str:
    """Return the name as it is kept; refuse one that no file can have."""
    name = unicodedata.normalize("NFC", filename).strip()
    if not name or name in {".", ".."}:
        raise InvalidInput(path="filename", problem="it must not be empty")
    if len(name.encode()) > NAME_BYTES:
        raise InvalidInput(path="filename", problem=f"it is longer than {NAME_BYTES} bytes")
    if not name.isprintable() or "/" in name or "\\" in name:
        raise InvalidInput(path="filename", problem="it contains slashes or control characters")
    return name
