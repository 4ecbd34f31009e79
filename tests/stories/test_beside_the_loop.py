"""What takes its time with large timelines is done beside the event loop, where it holds up nobody else."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from domain import project as projects
from domain.kinds import RenderBatchSpec
from graph import render_plans
from tests.story import WATCH_JOB, Person, Stage, project_of

CANVAS = {"width": 160, "height": 90, "frameRate": "25"}
STILL = {"preset": "PNG"}
TITLE = {"text": {"text": "Hello", "length": 5, "size": 20}}
PLAN = """query($id: ID!, $output: OutputInput!) { renderPlan(projectId: $id, output: $output) { frames } }"""


@pytest.fixture
def on_the_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Of each look at a timeline and each filling of a batch, whether the loop waited for it."""
    found: list[bool] = []

    def noted(does: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*given: Any) -> Any:
            found.append(threading.current_thread() is threading.main_thread())
            return does(*given)

        return noting

    for module in (projects, render_plans):
        monkeypatch.setattr(module, "problems", noted(module.problems))
    monkeypatch.setattr(RenderBatchSpec, "renders", noted(RenderBatchSpec.renders))
    return found


async def _set(person: Person, project: str) -> None:
    timeline = {"canvas": CANVAS, "tracks": [{"clips": [{"content": TITLE}]}]}
    assert await person.do("setTimeline", "", projectId=project, timeline=timeline) == {"__typename": "Project"}


async def test_timelines_are_looked_at_beside_the_loop(stage: Stage, on_the_loop: list[bool]) -> None:
    person = await stage.person()
    project = await project_of(person)
    await _set(person, project)
    assert await person.do("restoreTimeline", "", projectId=project, version=1) == {"__typename": "Project"}
    assert (await person.ask(PLAN, id=project, output=STILL))["frames"] == 5
    started = await person.do("startRender", "... on Job { id }", projectId=project, output=STILL)
    assert started["__typename"] == "Job"
    assert on_the_loop == [False] * 4


async def test_the_rows_of_a_batch_are_filled_in_beside_the_workers_loop(stage: Stage, on_the_loop: list[bool]) -> None:
    person = await stage.person()
    project = await project_of(person)
    await _set(person, project)
    on_the_loop.clear()
    async with stage.worker():
        started = await person.do(
            "renderTemplate", "... on Job { id }", projectId=project, output=STILL, rows=[{"name": "a"}, {"name": "b"}]
        )
        *_, last = [each async for each in person.watch(WATCH_JOB, id=started["id"])]
    assert last["state"] == "COMPLETED"
    assert on_the_loop == [False] * 3  # two rows looked at, one batch filled in
