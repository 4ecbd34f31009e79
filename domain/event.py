"""What happened in a project: its log, told from the changes themselves so that nobody can forget to tell.

Of a family of jobs only the head is told of: its children are how it works, not what happened. Previews are not told of
at all: looking changes nothing, and whoever looks closely looks many times a second.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, ForeignKey, String, func
from sqlalchemy.orm import Mapped, mapped_column

from domain.asset import Asset, AssetState
from domain.entity import Base, Worded
from domain.job import Job, JobState
from domain.kinds import JobKind
from domain.membership import Membership
from domain.project import Project


class ProjectEventKind(Worded):
    """What can happen in a project."""

    PROJECT_CHANGED = "PROJECT_CHANGED", "Its name or something else of its own changed."
    TIMELINE_CHANGED = "TIMELINE_CHANGED", "A new version of the timeline was set."
    MEMBER_ADDED = "MEMBER_ADDED", "A user joined."
    MEMBER_CHANGED = "MEMBER_CHANGED", "A member's role changed."
    MEMBER_REMOVED = "MEMBER_REMOVED", "A member left or was removed."
    ASSET_ADDED = "ASSET_ADDED", "An asset arrived."
    ASSET_READY = "ASSET_READY", "An asset was examined and can be used."
    ASSET_REJECTED = "ASSET_REJECTED", "An asset was examined and cannot be used."
    ASSET_DELETED = "ASSET_DELETED", "An asset was deleted."
    JOB_QUEUED = "JOB_QUEUED", "A job waits for a worker: a new one, or one to be tried again."
    JOB_STARTED = "JOB_STARTED", "A worker took a job."
    JOB_COMPLETED = "JOB_COMPLETED", "A job did what it was asked to."
    JOB_FAILED = "JOB_FAILED", "A job failed for good."
    JOB_CANCELLED = "JOB_CANCELLED", "A job was cancelled."


class ProjectEvent(Base):
    """One entry of a project's log. `seq` counts from 1 within the project, in the order of the commits."""

    __tablename__ = "project_events"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[ProjectEventKind]
    subject_id: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(server_default=func.now(), init=False)


class ProjectLog(Base):
    """The last `seq` of each project: locked last in every transaction, so that it orders them and deadlocks none."""

    __tablename__ = "project_logs"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    last_seq: Mapped[int] = mapped_column(BigInteger)


class Happening(NamedTuple):
    """An entry for the log, before it has its number."""

    project_id: str
    kind: ProjectEventKind
    subject_id: str


_JOB_KINDS = {
    JobState.QUEUED: ProjectEventKind.JOB_QUEUED,
    JobState.PROCESSING: ProjectEventKind.JOB_STARTED,
    JobState.COMPLETED: ProjectEventKind.JOB_COMPLETED,
    JobState.FAILED: ProjectEventKind.JOB_FAILED,
    JobState.CANCELLED: ProjectEventKind.JOB_CANCELLED,
}
_ASSET_KINDS = {
    AssetState.READY: ProjectEventKind.ASSET_READY,
    AssetState.REJECTED: ProjectEventKind.ASSET_REJECTED,
}


def _is_told(job: Job) -> bool:
    return job.parent_id is None and job.kind != JobKind.PREVIEW


def added(entity: object) -> Iterator[Happening]:
    """What a new entity means for its project's log."""
    match entity:
        case Membership():
            yield Happening(entity.project_id, ProjectEventKind.MEMBER_ADDED, entity.user_id)
        case Asset():
            yield Happening(entity.project_id, ProjectEventKind.ASSET_ADDED, entity.id)
            if kind := _ASSET_KINDS.get(entity.state):
                yield Happening(entity.project_id, kind, entity.id)
        case Job() if _is_told(entity):
            yield Happening(entity.project_id, _JOB_KINDS[entity.state], entity.id)
        case _:
            return


def changed(entity: object, fields: AbstractSet[str]) -> Iterator[Happening]:
    """What a change of these fields means for the project's log."""
    match entity:
        case Project():
            if "timeline_version" in fields:
                yield Happening(entity.id, ProjectEventKind.TIMELINE_CHANGED, entity.id)
            if "name" in fields:
                yield Happening(entity.id, ProjectEventKind.PROJECT_CHANGED, entity.id)
        case Membership() if "role" in fields:
            yield Happening(entity.project_id, ProjectEventKind.MEMBER_CHANGED, entity.user_id)
        case Asset() if "state" in fields and entity.state in _ASSET_KINDS:
            yield Happening(entity.project_id, _ASSET_KINDS[entity.state], entity.id)
        case Job() if "state" in fields and _is_told(entity):
            yield Happening(entity.project_id, _JOB_KINDS[entity.state], entity.id)
        case _:
            return


def removed(entity: object) -> Iterator[Happening]:
    """What a deletion means for the project's log."""
    match entity:
        case Membership():
            yield Happening(entity.project_id, ProjectEventKind.MEMBER_REMOVED, entity.user_id)
        case Asset():
            yield Happening(entity.project_id, ProjectEventKind.ASSET_DELETED, entity.id)
        case _:
            return
