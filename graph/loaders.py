"""Batched look-ups: sibling fields that ask for single rows share one query."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from strawberry.dataloader import DataLoader

from domain.attempt import Attempt
from domain.entity import Entity
from domain.job import Job
from domain.timeline import Timeline
from domain.viewer import Role
from persistence.reads import Reads

E = TypeVar("E", bound=Entity)


class Loaders:
    """One operation's batches."""

    def __init__(self, reads: Reads) -> None:
        """Ask nothing yet."""
        self.reads = reads
        self._by_id: dict[type[Entity], DataLoader[str, Any]] = {}
        self._roles: DataLoader[tuple[str, str], Role | None] = DataLoader(self._load_roles)
        self._asset_jobs: DataLoader[str, Job | None] = _loader(reads.asset_jobs)
        self._attempts: DataLoader[str, list[Attempt]] = _loader(reads.attempts)
        self._results: DataLoader[str, dict[str, Any] | None] = _loader(self._load_results)
        self._timelines: DataLoader[str, Timeline | None] = _loader(reads.timelines)
        self._active_renders: DataLoader[str, Job | None] = _loader(reads.active_renders)

    async def get(self, entity: type[E], entity_id: str | None) -> E | None:
        """The entity with this id."""
        if entity_id is None:
            return None
        loader = self._by_id.get(entity)
        if loader is None:
            loader = self._by_id[entity] = _loader(partial(self.reads.by_ids, entity))
        return cast("E | None", await loader.load(entity_id))

    async def role(self, user_id: str, project_id: str) -> Role | None:
        """What the user is in the project."""
        return await self._roles.load((user_id, project_id))

    async def asset_job(self, asset_id: str) -> Job | None:
        """The newest job that made or examined the asset."""
        return await self._asset_jobs.load(asset_id)

    async def attempts(self, job_id: str) -> list[Attempt]:
        """The attempts at the job that have ended."""
        return await self._attempts.load(job_id)

    async def result(self, job_id: str) -> dict[str, Any] | None:
        """What came of the job; None while nothing has."""
        return await self._results.load(job_id)

    async def timeline(self, version_id: str) -> Timeline | None:
        """The edit of this version of a timeline; None when it was just forgotten."""
        return await self._timelines.load(version_id)

    async def active_render(self, project_id: str) -> Job | None:
        """The project's render that has not ended."""
        return await self._active_renders.load(project_id)

    async def _load_results(self, job_ids: Sequence[str]) -> list[dict[str, Any] | None]:
        results = await self.reads.results(job_ids)
        return [results.get(each) for each in job_ids]

    async def _load_roles(self, keys: list[tuple[str, str]]) -> list[Role | None]:
        found: dict[tuple[str, str], Role | None] = {}
        for user_id in {user_id for user_id, _ in keys}:
            projects = [project_id for user, project_id in keys if user == user_id]
            roles = await self.reads.roles(user_id, projects)
            found |= {(user_id, project_id): role for project_id, role in zip(projects, roles, strict=True)}
        return [found[key] for key in keys]


def _loader(load: Callable[[Sequence[str]], Awaitable[Sequence[Any]]]) -> DataLoader[str, Any]:
    async def batch(keys: list[str]) -> Sequence[Any]:
        return await load(keys)

    return DataLoader(batch)
