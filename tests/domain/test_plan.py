"""What a render would have to do, by what is there."""

from fractions import Fraction

from domain.ffmpeg.command import Command
from domain.piece import Pace, Piece
from domain.render.movie import Movie
from domain.render.plan import PlannedSpan, missing, render_plan
from domain.render.verify import Expected

PACE = Pace(cpu_seconds_per_frame=0.5, bytes_per_frame=100)


def made(name: str, *needs: Command, frames: int = 0, seconds: float = 0.0) -> Command:
    inputs = {f"in/{number}": each for number, each in enumerate(needs)}
    return Command(argv=(name,), result=name, tool="t", inputs=inputs, frames=frames, seconds=seconds)


EXTRACTED = made("extracted", seconds=10)
BLOCK = made("block", EXTRACTED, seconds=10)
SOUND = made("sound", BLOCK, seconds=10)
SPANS = (made("one", frames=100), made("two", frames=150))
FILE = made("file", *SPANS, SOUND, frames=250)
MOVIE = Movie(
    command=FILE,
    spans=SPANS,
    sound=SOUND,
    poster=None,
    expected=Expected(container="mov"),
    frames=250,
    rate=Fraction(25),
)


def piece(command: Command, size: int = 7) -> Piece:
    return Piece(project_id="p", key=command.key, object_id="o", size=size, frames=command.frames, cpu_seconds=1)


def names(commands: object) -> list[str]:
    return [each.result for each in commands]  # type: ignore[attr-defined]


def test_what_leads_to_what_is_wanted_is_made_first_and_once():
    assert names(missing([SOUND, *SPANS], {})) == ["extracted", "block", "sound", "one", "two"]
    assert names(missing([SOUND, BLOCK, SOUND], {})) == ["extracted", "block", "sound"]


def test_what_only_leads_to_what_is_there_is_not_made():
    assert names(missing([SOUND], {BLOCK.key})) == ["sound"]
    assert names(missing([SOUND], {SOUND.key})) == []


def test_a_plan_of_a_first_render_is_to_make_everything():
    plan = render_plan(MOVIE, {}, PACE)
    assert plan.spans == (
        PlannedSpan(first=0, count=100, is_cached=False),
        PlannedSpan(first=100, count=150, is_cached=False),
    )
    assert (plan.frames, plan.frames_to_encode, plan.cached_spans) == (250, 250, 0)
    assert (plan.has_sound, plan.sound_is_cached) == (True, False)
    assert round(plan.processor_seconds, 6) == 250 * 0.5 + 30 * 0.02
    assert plan.size == 250 * 100 + 10 * 24_000


def test_what_is_there_costs_nothing_and_has_the_size_it_has():
    kept = {each.key: piece(each) for each in (SPANS[0], SOUND)}
    plan = render_plan(MOVIE, kept, PACE)
    assert [each.is_cached for each in plan.spans] == [True, False]
    assert (plan.frames_to_encode, plan.cached_spans, plan.sound_is_cached) == (150, 1, True)
    assert (plan.processor_seconds, plan.size) == (75.0, 7 + 150 * 100 + 10 * 24_000)


def test_what_is_made_in_one_run_has_no_spans():
    gif = made("gif", frames=40)
    movie = Movie(
        command=gif, spans=(), sound=None, poster=None, expected=Expected(container="gif"), frames=40, rate=Fraction(25)
    )
    plan = render_plan(movie, {}, PACE)
    assert (plan.spans, plan.frames_to_encode, plan.processor_seconds, plan.size) == ((), 40, 20.0, 4_000)
