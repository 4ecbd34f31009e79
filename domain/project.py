"""A project: its name, its one timeline, and what may be started on it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base, Entity
from domain.kinds import RenderBatchSpec, RenderSpec
from domain.media import MediaFacts
from domain.membership import Membership
from domain.order import Order
from domain.refusals import InvalidInput, Problem, RenderAlreadyActive, StaleVersion, TimelineEmpty, TimelineInvalid
from domain.render.output import Output
from domain.template import MOST_PROBLEMS, Row, Values, batch_problems, file_name, resolved, row_names
from domain.timeline import Timeline, length, problems
from domain.timeline_version import TimelineVersion
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
        self,
        timeline: Timeline,
        facts: Mapping[str, MediaFacts | None],
        *,
        expected_version: int | None,
        user_id: str | None,
        now: datetime,
        restored_from: int | None = None,
    ) -> TimelineVersion:
        """Keep the edit, if it is sound and the client knows what it replaces. `facts`: of the assets it may use."""
        if expected_version is not None and expected_version != self.timeline_version:
            raise StaleVersion(expected=expected_version, actual=self.timeline_version)
        if found := problems(timeline, facts):
            raise TimelineInvalid(problems=found)
        self.timeline_json = kept = timeline.to_json()
        self.timeline_version += 1
        return TimelineVersion.of(
            project_id=self.id,
            number=self.timeline_version,
            timeline=kept,
            user_id=user_id,
            restored_from=restored_from,
            now=now,
        )

    def restore_timeline(
        self,
        earlier: TimelineVersion,
        facts: Mapping[str, MediaFacts | None],
        *,
        expected_version: int | None,
        user_id: str | None,
        now: datetime,
    ) -> TimelineVersion:
        """Set the timeline to what it was once, if that is still sound: as a new version, so that nothing is lost."""
        return self.set_timeline(
            earlier.timeline,
            facts,
            expected_version=expected_version,
            user_id=user_id,
            now=now,
            restored_from=earlier.number,
        )

    def render_spec(self, output: Output, values: Values | None = None) -> RenderSpec:
        """What a render of the timeline as it stands is asked; its variables are still to be filled in."""
        if self.timeline_json is None:
            raise TimelineEmpty
        return RenderSpec(
            timeline=self.timeline_json,
            timeline_version=self.timeline_version,
            output=output.to_json(),
            name=f"{file_name(self.name)}.{output.format.extension}",
            values=dict(values or {}),
        )

    def start_render(
        self,
        output: Output,
        facts: Mapping[str, MediaFacts | None],
        *,
        user_id: str,
        active_job_id: str | None,
        idempotency_key: str | None = None,
        values: Values | None = None,
    ) -> Order:
        """Order a render of the timeline as it stands, with these values for its variables.

        One at a time, and only of assets that are still there. `facts`: of the assets it may then use.
        """
        if active_job_id is not None:
            raise RenderAlreadyActive(job_id=active_job_id)
        spec = self.render_spec(output, values)
        timeline = resolved(Timeline.from_json(spec.timeline), spec.values)
        if found := problems(timeline, facts):
            raise TimelineInvalid(problems=found)
        _must_fit(output, timeline, facts)
        spec = replace(spec, timeline=timeline.to_json())
        return Order(spec=spec, project_id=self.id, user_id=user_id, idempotency_key=idempotency_key)

    def batch_spec(self, output: Output, rows: Sequence[Row]) -> RenderBatchSpec:
        """What a batch is asked: the timeline as it stands, for each of these rows."""
        if self.timeline_json is None:
            raise TimelineEmpty
        return RenderBatchSpec(
            timeline=self.timeline_json,
            timeline_version=self.timeline_version,
            output=output.to_json(),
            rows=[{"name": row.name, "values": dict(row.values)} for row in rows],
            names=[f"{name}.{output.format.extension}" for name in row_names(self.name, rows)],
        )

    def start_batch(
        self,
        output: Output,
        rows: Sequence[Row],
        facts: Mapping[str, MediaFacts | None],
        *,
        user_id: str,
        idempotency_key: str | None = None,
    ) -> Order:
        """Order a render of the timeline as it stands for each row; every problem of any row is told at once.

        A batch is no render of the project: there may be others, and a render beside it.
        """
        spec = self.batch_spec(output, rows)
        template = Timeline.from_json(spec.timeline)
        found = list(batch_problems(self.name, template, rows))
        if not found:
            found = list(islice(_row_problems(template, output, rows, facts), MOST_PROBLEMS))
        if found:
            raise TimelineInvalid(problems=found)
        return Order(spec=spec, project_id=self.id, user_id=user_id, idempotency_key=idempotency_key)


def _row_problems(
    template: Timeline, output: Output, rows: Sequence[Row], facts: Mapping[str, MediaFacts | None]
) -> Iterator[Problem]:
    for number, row in enumerate(rows):
        try:
            timeline = resolved(template, row.values)
            found = problems(timeline, facts)
        except TimelineInvalid as invalid:
            found = invalid.problems
        else:
            if not found:
                _must_fit(output, timeline, facts)
        yield from (Problem(f"rows.{number}.{each.path}", each.message) for each in found)


def _must_fit(output: Output, timeline: Timeline, facts: Mapping[str, MediaFacts | None]) -> None:
    """Refuse an output that cannot be made of a sound timeline."""
    for problem in output.problems(canvas=timeline.canvas, length=length(timeline, facts)):
        raise InvalidInput(path=f"output.{output.choice}.{problem.path}", problem=problem.message)
