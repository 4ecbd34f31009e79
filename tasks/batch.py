"""Render a template once for each row: by children, of which one may fail without the others."""

import asyncio
from collections.abc import Container

from domain.job import JobState
from domain.kinds import RenderBatchSpec
from domain.order import Child
from tasks.lease import Done, Fork, JobFailed, Lease

NAMED = 10
"""So many of the files that could not be made are named."""


async def render_batch(lease: Lease, spec: RenderBatchSpec) -> Done | Fork:
    """Let a child render each row; one that an earlier try has rendered is not rendered again."""
    children = [child for child, _ in await lease.children()]
    if lease.step == 0:
        made = {child.place for child in children if child.state == JobState.COMPLETED}
        # Filling in hundreds of timelines takes its time, in which the worker's other jobs are to be kept up.
        rows = await asyncio.to_thread(_rows, spec, made)
        return Fork(children=rows, stage="rendering", share=1.0)
    failed = [child for child in children if child.state == JobState.FAILED]
    if failed:
        names = [spec.names[child.place] for child in failed]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise JobFailed(
            "ROWS_FAILED",
            f"{len(failed)} of {len(spec.rows)} files could not be made: {', '.join(names[:NAMED])}{more}. "
            f"The others are kept; a retry makes those that are missing. {failed[0].error_message}",
            hopeless=True,
        )
    return Done(result={"files": len(children)})


def _rows(spec: RenderBatchSpec, made: Container[int]) -> list[Child]:
    return [Child(spec=row, number=number) for number, row in enumerate(spec.renders()) if number not in made]
