from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from domain.cron import Cron
from domain.job import Priority
from domain.kinds import PauseSpec, RenderSpec
from domain.media import MediaFacts, MediaKind
from domain.project import Project
from domain.refusals import (
    InvalidInput,
    Refusal,
    RenderAlreadyActive,
    StaleVersion,
    TimelineEmpty,
    TimelineInvalid,
    TooManySchedules,
)
from domain.render.output import Output, OutputPreset, VideoCodec
from domain.schedule import (
    MOST_SCHEDULES,
    PauseStart,
    RenderStart,
    Schedule,
    SchedulePauseReason,
    Standing,
    Start,
)
from domain.timeline import Canvas, Clip, Text, Timeline, Track, Video
from domain.user import User
from domain.viewer import Role

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOURLY = Cron(expression="0 * * * *", time_zone="UTC")
CUSTOM = Output(codec=VideoCodec.H265, width=320, height=180, crf=30)


def at(hour: int, minute: int = 0) -> datetime:
    return NOW.replace(hour=hour, minute=minute)


def schedule(**given: Any) -> Schedule:
    """One that was made by the user u at 12:00 and is due on each full hour."""
    usual: dict[str, Any] = {
        "project_id": "p",
        "user_id": "u",
        "name": "Each hour",
        "cron": HOURLY,
        "start": PauseStart(seconds=1),
        "priority": Priority.NORMAL,
        "paused": False,
        "now": NOW,
        "there": 0,
    }
    return Schedule.made(**usual | given)


def user(*, is_admin: bool = False) -> User:
    return User(email="u@example.org", name="U", is_admin=is_admin)


def project(*clips: Clip) -> Project:
    canvas = Canvas(width=640, height=360, frame_rate=Fraction(25))
    timeline = Timeline(canvas=canvas, tracks=(Track(clips=clips),)) if clips else None
    return Project(name="P", timeline_json=timeline.to_json() if timeline else None, timeline_version=1)


TITLE = Clip(content=Text(text="Hello", length=50, size=40))


# When it is due


def test_a_new_one_is_due_at_the_next_time_behind_now() -> None:
    each_hour = schedule()
    assert (each_hour.next_at, each_hour.paused, each_hour.version) == (at(13), False, 1)
    assert [each_hour.due(moment) for moment in (NOW, at(12, 59), at(13), at(14))] == [False, False, True, True]


def test_firing_moves_it_to_the_next_time_behind_now() -> None:
    each_hour = schedule()
    assert each_hour.fire(at(13), user(), Role.EDITOR)
    assert (each_hour.last_at, each_hour.next_at) == (at(13), at(14))
    assert not each_hour.due(at(13, 30))


def test_times_that_went_by_while_nobody_looked_are_made_up_for_once() -> None:
    each_hour = schedule()
    assert each_hour.fire(at(18, 30), user(), Role.OWNER)
    assert (each_hour.last_at, each_hour.next_at) == (at(18, 30), at(19))


def test_firing_is_no_change_of_it() -> None:
    each_hour = schedule()
    each_hour.fire(at(13), user(), Role.EDITOR)
    assert each_hour.version == 1
    each_hour.expect(1)


def test_one_that_was_made_paused_is_never_due() -> None:
    paused = schedule(paused=True)
    assert (paused.pause_reason, paused.next_at) == (SchedulePauseReason.ASKED, None)
    assert not paused.due(NOW + timedelta(days=1))


# What people change


def test_a_new_name_does_not_lose_a_time_that_has_come() -> None:
    each_hour = schedule()
    each_hour.change(by="v", now=at(13, 5), name="  Hourly ", priority=Priority.HIGH, cron=HOURLY)
    assert (each_hour.name, each_hour.priority, each_hour.version) == ("Hourly", Priority.HIGH, 2)
    assert (each_hour.next_at, each_hour.user_id) == (at(13), "u")


def test_other_times_count_from_now_on() -> None:
    each_hour = schedule()
    each_hour.change(by="v", now=at(13, 5), cron=Cron(expression="30 9 * * *", time_zone="Asia/Tokyo"))
    assert each_hour.next_at == datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
    assert (each_hour.cron, each_hour.time_zone) == ("30 9 * * *", "Asia/Tokyo")


def test_other_times_of_a_paused_one_leave_it_paused() -> None:
    paused = schedule(paused=True)
    paused.change(by="v", now=NOW, cron=Cron(expression="30 9 * * *", time_zone="UTC"))
    assert (paused.next_at, paused.pause_reason) == (None, SchedulePauseReason.ASKED)


def test_one_that_is_resumed_goes_on_with_the_next_time_for_whoever_resumed_it() -> None:
    each_hour = schedule()
    each_hour.change(by="v", now=at(12, 10), paused=True)
    assert (each_hour.next_at, each_hour.pause_reason) == (None, SchedulePauseReason.ASKED)
    each_hour.change(by="v", now=at(16, 10), paused=False)
    assert (each_hour.next_at, each_hour.pause_reason, each_hour.user_id) == (at(17), None, "v")
    assert each_hour.version == 3


def test_resuming_one_that_is_not_paused_changes_nobodys_jobs_and_no_time() -> None:
    each_hour = schedule()
    each_hour.change(by="v", now=at(13, 5), paused=False)
    assert (each_hour.next_at, each_hour.user_id) == (at(13), "u")


def test_a_change_that_was_meant_for_another_version_is_refused() -> None:
    each_hour = schedule()
    each_hour.change(by="u", now=NOW, name="Other")
    with pytest.raises(StaleVersion) as raised:
        each_hour.expect(1)
    assert (raised.value.expected, raised.value.actual) == (1, 2)
    each_hour.expect(None)


def test_a_project_has_a_bounded_number_of_them() -> None:
    schedule(there=MOST_SCHEDULES - 1)
    with pytest.raises(TooManySchedules) as raised:
        schedule(there=MOST_SCHEDULES)
    assert raised.value.limit == 100


# For whom it starts jobs


@pytest.mark.parametrize(
    ("who", "role", "reason"),
    [
        (None, None, SchedulePauseReason.USER_GONE),
        (user(), None, SchedulePauseReason.USER_MAY_NOT),
        (user(), Role.VIEWER, SchedulePauseReason.USER_MAY_NOT),
    ],
)
def test_one_whose_user_may_not_do_it_any_more_pauses_itself(
    who: User | None, role: Role | None, reason: SchedulePauseReason
) -> None:
    each_hour = schedule()
    assert not each_hour.fire(at(13), who, role)
    assert (each_hour.pause_reason, each_hour.next_at, each_hour.last_at) == (reason, None, None)


@pytest.mark.parametrize(("who", "role"), [(user(), Role.EDITOR), (user(), Role.OWNER), (user(is_admin=True), None)])
def test_editors_owners_and_administrators_may(who: User, role: Role | None) -> None:
    assert schedule().fire(at(13), who, role)


# What it starts


@pytest.mark.parametrize(
    "start", [PauseStart(seconds=2.5), RenderStart.of(OutputPreset.H264_720P), RenderStart.of(CUSTOM)]
)
def test_what_it_starts_is_kept_and_read_back(start: Start) -> None:
    kept = start.to_json()
    assert kept["kind"] == start.kind.value
    assert Start.from_json(kept) == start
    assert schedule(start=start).start == start


def test_a_pause_is_ordered_for_its_user_with_its_priority() -> None:
    order = schedule(start=PauseStart(seconds=2), priority=Priority.LOW).order(project(), Standing())
    assert (order.spec, order.user_id, order.priority) == (PauseSpec(seconds=2), "u", Priority.LOW)


@pytest.mark.parametrize("seconds", [0, -1, 3600.5, float("nan"), float("inf")])
def test_a_pause_has_a_sensible_length(seconds: float) -> None:
    with pytest.raises(InvalidInput) as raised:
        schedule(start=PauseStart(seconds=seconds))
    assert raised.value.path == "start.pause.seconds"


def test_a_render_takes_the_timeline_and_the_preset_as_they_fit_by_then() -> None:
    nightly = schedule(start=RenderStart.of(OutputPreset.H264_720P), priority=Priority.HIGH)
    order = nightly.order(project(TITLE), Standing())
    assert isinstance(order.spec, RenderSpec)
    assert (order.user_id, order.priority) == ("u", Priority.HIGH)
    assert order.spec.output == {"codec": "H264", "width": 1280, "height": 720, "crf": 20}
    assert order.spec.timeline_version == 1


def test_a_render_takes_an_output_of_ones_own_as_it_is() -> None:
    order = schedule(start=RenderStart.of(CUSTOM)).order(project(TITLE), Standing())
    assert isinstance(order.spec, RenderSpec)
    assert order.spec.output == CUSTOM.to_json()


def test_an_output_that_nobody_can_make_is_refused_at_once() -> None:
    odd = Output(codec=VideoCodec.H264, width=321, height=180, crf=21)
    with pytest.raises(InvalidInput) as raised:
        schedule(start=RenderStart.of(odd))
    assert raised.value.path == "start.render.output.custom.width"


def refused(timeline: Project, standing: Standing) -> Refusal:
    with pytest.raises(Refusal) as raised:
        schedule(start=RenderStart.of(OutputPreset.H264_480P)).order(timeline, standing)
    return raised.value


def test_a_render_meets_the_refusals_that_start_render_would() -> None:
    assert isinstance(refused(project(), Standing()), TimelineEmpty)
    active = refused(project(TITLE), Standing(active_render="j"))
    assert isinstance(active, RenderAlreadyActive)
    assert active.job_id == "j"
    gone = Clip(content=Video(asset_id="gone"))
    assert isinstance(refused(project(gone), Standing()), TimelineInvalid)
    seen = MediaFacts(kind=MediaKind.VIDEO, container="mp4", duration_seconds=1, width=64, height=36, frame_rate="25")
    standing = Standing(facts={"gone": seen})
    assert schedule(start=RenderStart.of(CUSTOM)).order(project(gone), standing).priority is Priority.NORMAL


def test_why_nothing_was_started_is_kept_until_something_is() -> None:
    each_hour = schedule()
    each_hour.refused(TimelineEmpty())
    assert (each_hour.refusal_code, each_hour.refusal_message) == (
        "TIMELINE_EMPTY",
        "The project has no timeline to render yet: set one first.",
    )
    job, _ = each_hour.order(project(), Standing()).place(NOW)
    each_hour.started(job)
    assert (each_hour.last_job_id, each_hour.refusal_code, each_hour.refusal_message) == (job.id, None, None)


def test_of_a_timeline_that_cannot_be_rendered_the_first_problem_is_kept() -> None:
    each_hour = schedule()
    each_hour.refused(refused(project(Clip(content=Video(asset_id="gone"))), Standing()))
    assert each_hour.refusal_code == "TIMELINE_INVALID"
    assert each_hour.refusal_message is not None
    assert each_hour.refusal_message.startswith("The timeline cannot be rendered as it is: tracks.0.clips.0")
