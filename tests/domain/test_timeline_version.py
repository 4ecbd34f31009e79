"""Setting a timeline makes a version of it, and so does bringing one back."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from domain.media import MediaFacts, MediaKind
from domain.project import Project
from domain.refusals import StaleVersion, TimelineInvalid
from domain.timeline import Canvas, Clip, Image, Timeline, Track
from domain.timeline_version import TimelineVersion

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FACTS = {"photo": MediaFacts(kind=MediaKind.IMAGE, container="png", width=640, height=360)}
CANVAS = Canvas(width=320, height=180, frame_rate=Fraction(25))


def _timeline(background: str) -> Timeline:
    clip = Clip(content=Image(asset_id="photo", length=25))
    return Timeline(canvas=CANVAS, background=background, tracks=(Track(clips=(clip,)),))


def _set(project: Project, background: str, **given: int) -> TimelineVersion:
    return project.set_timeline(_timeline(background), FACTS, expected_version=None, user_id="ann", now=NOW, **given)


def test_each_timeline_that_is_set_is_a_version_with_who_set_it_and_when() -> None:
    project = Project(name="A project")
    first, second = _set(project, "#000000"), _set(project, "#ffffff")
    assert [(each.number, each.timeline.background) for each in (first, second)] == [(1, "#000000"), (2, "#ffffff")]
    assert (second.project_id, second.user_id, second.created_at, second.restored_from) == (
        project.id,
        "ann",
        NOW,
        None,
    )
    assert project.timeline_version == 2


def test_bringing_one_back_makes_a_new_version_that_equals_it() -> None:
    project = Project(name="A project")
    first, _ = _set(project, "#000000"), _set(project, "#ffffff")
    third = project.restore_timeline(first, FACTS, expected_version=2, user_id="bob", now=NOW)
    assert (third.number, third.restored_from, third.user_id) == (3, 1, "bob")
    assert third.timeline_json == first.timeline_json == project.timeline_json
    assert project.timeline_version == 3


def test_what_used_an_asset_that_is_gone_is_not_brought_back_and_nothing_changes() -> None:
    project = Project(name="A project")
    first, second = _set(project, "#000000"), _set(project, "#ffffff")
    with pytest.raises(TimelineInvalid) as refused:
        project.restore_timeline(first, {}, expected_version=None, user_id="ann", now=NOW)
    assert [problem.path for problem in refused.value.problems] == ["tracks.0.clips.0.content.image.assetId"]
    assert (project.timeline_version, project.timeline_json) == (2, second.timeline_json)


def test_nothing_is_brought_back_over_a_change_that_was_not_seen() -> None:
    project = Project(name="A project")
    first, _ = _set(project, "#000000"), _set(project, "#ffffff")
    with pytest.raises(StaleVersion):
        project.restore_timeline(first, FACTS, expected_version=1, user_id="ann", now=NOW)
    assert project.timeline_version == 2
