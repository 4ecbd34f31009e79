"""What starts jobs at their times: every worker looks for due schedules, and each of those fires once.

A schedule fires in one transaction, which has its row locked, starts the job and moves the row to its next time. So a
worker that dies in the middle has done nothing, and one that comes too late finds that there is nothing to do.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import SQLColumnExpression, Tuple, and_, func, literal, select, tuple_

from domain.entity import new_id
from domain.membership import Membership
from domain.project import Project
from domain.refusals import Refusal
from domain.schedule import Schedule, Standing, Start
from domain.user import User
from domain.viewer import Role
from persistence.database import OUTAGE, will_pass
from persistence.resources import Resources
from persistence.work import Work

logger = logging.getLogger(__name__)

BATCH = 100
_LATER = timedelta(minutes=1)


async def due_schedules(resources: Resources) -> int:
    """Let all that are due fire; return how many did here. Raises what an outage of the database raises."""
    # Around the ring of ids, from a place of our own: so workers that look at the same time rarely meet.
    place = last = new_id()
    fired = 0
    while batch := await _due(resources, place, last):
        for schedule_id in batch:
            fired += await _fired(resources, schedule_id)
        last = batch[-1]
    return fired


async def _due(resources: Resources, place: str, last: str) -> list[str]:
    """The next ids that are due now, on the way around from the place back to it. Nothing is locked.

    Behind the last one, and not simply those that are left: one that is passed over would come again and again.
    """

    def on_the_way(schedule_id: SQLColumnExpression[str]) -> Tuple:
        return tuple_(schedule_id < place, schedule_id)

    query = select(Schedule.id).where(
        Schedule.next_at <= func.now(), on_the_way(Schedule.id) > on_the_way(literal(last))
    )
    async with resources.database.statements() as session:
        return list((await session.scalars(query.order_by(on_the_way(Schedule.id)).limit(BATCH))).all())


async def _fired(resources: Resources, schedule_id: str) -> bool:
    try:
        async with resources.work() as work:
            return await fire(work, schedule_id)
    except Exception as error:
        if isinstance(error, OUTAGE) and will_pass(error):
            raise
        logger.exception("schedule %s could not fire; it is tried again in a minute", schedule_id)
    async with resources.work() as work:
        await _put_off(work, schedule_id)
    return False


async def fire(work: Work, schedule_id: str) -> bool:
    """Start what the schedule starts and move it to its next time, if it is due and nobody else is at it."""
    found = await _locked(work, schedule_id)
    if found is None:
        return False
    project, schedule, now = found
    if not schedule.fire(now, *await _user(work, schedule)):
        logger.warning("schedule %s is paused: %s", schedule.id, schedule.pause_reason)
        return False
    try:
        job = await work.place(schedule.order(project, await _standing(work, project, schedule.start)))
    except Refusal as refusal:
        logger.info("schedule %s started nothing: %s", schedule.id, refusal)
        schedule.refused(refusal)
    else:
        logger.info("schedule %s started job %s", schedule.id, job.id)
        schedule.started(job)
    return True


async def _locked(work: Work, schedule_id: str) -> tuple[Project, Schedule, datetime] | None:
    """The due schedule behind its project, both locked, and the time; None where that is not to be had now.

    Whoever has the project may be at work on this very schedule, and if not, there is another look in a second: so
    nobody waits for it.
    """
    its_project = select(Schedule.project_id).where(Schedule.id == schedule_id, Schedule.next_at <= func.now())
    free = select(Project).where(Project.id == its_project.scalar_subquery())
    project = await work.session.scalar(free.with_for_update(key_share=True, skip_locked=True))
    if project is None:
        return None
    schedule, now = await work.locked(Schedule, schedule_id), await work.now()
    return (project, schedule, now) if schedule and schedule.due(now) else None


async def _user(work: Work, schedule: Schedule) -> tuple[User | None, Role | None]:
    """For whom it starts jobs, and what they are in the project by now."""
    theirs = and_(Membership.user_id == User.id, Membership.project_id == schedule.project_id)
    query = select(User, Membership.role).outerjoin(Membership, theirs).where(User.id == schedule.user_id)
    found = (await work.session.execute(query)).one_or_none()
    return (found[0], found[1]) if found else (None, None)


async def _standing(work: Work, project: Project, start: Start) -> Standing:
    timeline = project.timeline if start.of_timeline else None
    if timeline is None:
        return Standing()
    return Standing(
        facts=await work.facts(project.id, timeline.asset_ids), active_render=await work.active_render(project.id)
    )


async def _put_off(work: Work, schedule_id: str) -> None:
    if found := await _locked(work, schedule_id):
        _, schedule, now = found
        schedule.put_off(now + _LATER)
