"""Who belongs to a project, and as what."""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base, Entity
from domain.refusals import OwnerStays
from domain.viewer import Role


class Membership(Entity, Base):
    """One user in one project. A project has exactly one owner."""

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("project_id", "user_id"),)

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    role: Mapped[Role]

    def leave(self) -> None:
        """Refuse the owner's leaving; anybody else's membership may be deleted."""
        if self.role == Role.OWNER:
            raise OwnerStays


def hand_over(owner: Membership, successor: Membership) -> None:
    """Make the successor the owner; the former owner stays as an editor."""
    owner.role, successor.role = Role.EDITOR, Role.OWNER
