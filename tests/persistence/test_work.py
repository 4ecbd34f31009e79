"""What one transaction of work tells the rest of the world."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from domain.event import ProjectEvent
from domain.job import Job
from domain.kinds import PauseSpec, Pool
from domain.order import Order
from domain.project import Project
from domain.user import User
from persistence.resources import Resources
from persistence.work import Work, log_topic


async def _founded(work: Work) -> Project:
    user = User(email="a@example.org", name="A")
    work.add(user)
    await work.session.flush()
    project, membership = Project.founded(user, "P")
    work.add(project)
    await work.session.flush()
    work.add(membership)
    return project


async def test_the_commit_rings_what_changed_and_wakes_the_pool(resources: Resources) -> None:
    async with resources.work() as work:
        project = await _founded(work)
    async with resources.work() as work:
        job = await work.place(Order(spec=PauseSpec(seconds=1), project_id=project.id, user_id=None))
    assert work.rings == {job.id, log_topic(project.id)}
    assert work.wakes == {Pool.LIGHT: 1}


async def test_a_job_that_is_not_due_wakes_nobody(resources: Resources) -> None:
    async with resources.work() as work:
        project = await _founded(work)
    async with resources.work() as work:
        later = await work.now() + timedelta(hours=1)
        await work.place(Order(spec=PauseSpec(seconds=1), project_id=project.id, user_id=None, not_before=later))
    assert not work.wakes


async def test_what_raises_leaves_nothing_behind(resources: Resources) -> None:
    with pytest.raises(ZeroDivisionError):
        async with resources.work() as work:
            await _founded(work)
            raise ZeroDivisionError
    async with resources.work() as work:
        assert (await work.session.scalars(select(User))).all() == []


async def test_entries_of_a_projects_log_are_numbered_without_gaps(resources: Resources) -> None:
    async with resources.work() as work:
        project = await _founded(work)
    for _ in range(3):
        async with resources.work() as work:
            await work.place(Order(spec=PauseSpec(seconds=1), project_id=project.id, user_id=None))
    async with resources.work() as work:
        for job in await work.active_jobs(project.id):
            job.cancel(await work.now())
    async with resources.work() as work:
        query = select(ProjectEvent.seq).where(ProjectEvent.project_id == project.id).order_by(ProjectEvent.seq)
        assert (await work.session.scalars(query)).all() == list(range(1, 8))
        assert len((await work.session.scalars(select(Job))).all()) == 3
