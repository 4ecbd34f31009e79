"""Who asks, and the one place of rules on who may do what."""

from dataclasses import dataclass
from datetime import datetime

from domain.entity import Worded
from domain.refusals import Forbidden


class Scope(Worded):
    """What an access token may be used for. Reading needs no scope beyond a valid token."""

    PROJECTS_WRITE = "projects:write", "Create, change and delete projects, timelines and members."
    UPLOADS_WRITE = "uploads:write", "Upload and delete assets."
    RENDERS_WRITE = "renders:write", "Start, schedule, cancel and retry jobs."
    ADMIN = "admin", "Act for the whole installation; only administrators are granted it."


class Role(Worded):
    """What a member may do in a project."""

    OWNER = "OWNER", "Everything, and the project is theirs to delete or to hand over."
    EDITOR = "EDITOR", "Change the timeline, upload, render."
    VIEWER = "VIEWER", "Look and download."


class Right(Worded):
    """What is asked of a project."""

    SEE = "see", "See the project and what is in it."
    EDIT = "edit", "Change what is in the project."
    OWN = "own", "Delete the project, hand it over, choose its members."


_ROLES_WITH: dict[Right, frozenset[Role]] = {
    Right.SEE: frozenset(Role),
    Right.EDIT: frozenset({Role.OWNER, Role.EDITOR}),
    Right.OWN: frozenset({Role.OWNER}),
}


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """A signed-in user, seen through one access token."""

    user_id: str
    scopes: frozenset[Scope]
    is_admin: bool = False
    """The user is an administrator *and* the token carries the admin scope."""
    session_id: str | None = None
    """The grant the token was born from (its `sid` claim); None for client credentials."""
    client_id: str | None = None
    expires_at: datetime | None = None

    def may(self, right: Right, role: Role | None) -> bool:
        """Whether somebody with this role in a project (None: a stranger) has the right."""
        if self.is_admin:
            return True
        return role in _ROLES_WITH[right]

    def sees(self, role: Role | None) -> bool:
        """Whether the project exists at all for somebody with this role."""
        return self.may(Right.SEE, role)

    def needs(self, right: Right, role: Role | None) -> None:
        """Refuse a member who lacks the right. A stranger never gets this far: the load says NotFound."""
        if not self.may(right, role):
            raise Forbidden(needs=f"the right to {right} this project")
