"""A project: its name, its one timeline, and what may be started on it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base, Entity
from domain.kinds import RenderSpec
from domain.media import MediaFacts
from domain.membership import Membership
from domain.order import Order
from domain.refusals import RenderAlreadyActive, StaleVersion, TimelineEmpty, TimelineInvalid
from domain.render import Output
from domain.timeline import Timeline, problems
from domain.user import NAME_LENGTH, User, clean_name
from domain.viewer import Role


class Project(Entity, Base):
    """What people work on together: assets, one timeline, and the jobs on them."""

    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    timeline_json: Mapped[dict[str, Any] | None] = mapped_column("timeline", default=None)
    timeline_version: Mapped[int] = mapped_column(default=0)
    """Counts the timelines that were set; 0 before the first."""
    version: Mapped[int] = mapped_column(init=False)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own spelling

    @classmethod
    def founded(cls, owner: User, name: str) -> tuple["Project", Membership]:
        """A new project and its owner's membership."""
        project = cls(name=clean_name(name))
        return project, Membership(project_id=project.id, user_id=owner.id, role=Role.OWNER)

    @property
    def timeline(self) -> Timeline | None:
        """The edit as it stands."""
        return Timeline.from_json(self.timeline_json) if self.timeline_json else None

    def expect(self, version: int | None) -> None:
        """Refuse a change that was thought of for another version of the project (None: any)."""
        if version is not None and version != self.version:
            raise StaleVersion(expected=version, actual=self.version)

    def rename(self, name: str) -> None:
        """Give it another name."""
        self.name = clean_name(name)

    def set_timeline(
        self, timeline: Timeline, facts: Mapping[str, MediaFacts | None], *, expected_version: int | None
    ) -> None:
        """Keep the edit, if it is sound and the client knows what it replaces. `facts`: of the assets it may use."""
        if expected_version is not None and expected_version != self.timeline_version:
            raise StaleVersion(expected=expected_version, actual=self.timeline_version)
        if found := problems(timeline, facts):
            raise TimelineInvalid(problems=found)
        self.timeline_json = timeline.to_json()
        self.timeline_version += 1

    def render_spec(self, output: Output) -> RenderSpec:
        """What a render of the timeline as it stands is asked."""
        if self.timeline_json is None:
            raise TimelineEmpty
        return RenderSpec(
            timeline=self.timeline_json,
            timeline_version=self.timeline_version,
            output=output.to_json(),
            name=f"{self.name.replace('/', '-')[:80]}.mp4",
        )

    def start_render(
        self,
        output: Output,
        facts: Mapping[str, MediaFacts | None],
        *,
        user_id: str,
        active_job_id: str | None,
        idempotency_key: str | None = None,
    ) -> Order:
        """Order a render of the timeline as it stands; one at a time, and only of assets that are still there."""
        if active_job_id is not None:
            raise RenderAlreadyActive(job_id=active_job_id)
        spec = self.render_spec(output)
        if found := problems(Timeline.from_json(spec.timeline), facts):
            raise TimelineInvalid(problems=found)
        return Order(spec=spec, project_id=self.id, user_id=user_id, idempotency_key=idempotency_key)
