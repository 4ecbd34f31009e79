"""What comes out of a render is what the timeline says: to the frame, and to the sample."""

import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import pytest

from domain.render import Output, Source, VideoCodec, compile_plan, mismatches
from domain.timeline import (
    Audio,
    Canvas,
    Clip,
    Fit,
    Image,
    Text,
    TextPosition,
    Timeline,
    Track,
    Transition,
    Video,
    problems,
)
from tasks.ffmpeg import FONT, find_ffmpeg, run_ffmpeg
from tasks.probe import measure, probe
from tasks.process import Limits
from tests import media

pytestmark = pytest.mark.anyio

CANVAS = Canvas(width=320, height=180, frame_rate=Fraction(25))
OUTPUT = Output(codec=VideoCodec.H264, width=320, height=180, crf=12)
NTSC = Fraction(30000, 1001)


class Studio:
    """Renders timelines in a folder of its own, as a worker does; each result is verified against its plan."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shelf = folder / "sources"
        self.shelf.mkdir()
        self.output = OUTPUT

    async def render(
        self, *tracks: Track, canvas: Canvas = CANVAS, background: str = "#000000", **paths: Path
    ) -> Path:
        timeline = Timeline(canvas=canvas, background=background, tracks=tracks)
        sources = {
            name: Source(
                path=path,
                facts=await probe(path, claimed_content_type="", filename="", max_pixels=10**7),
            )
            for name, path in paths.items()
        }
        assert problems(timeline, {name: source.facts for name, source in sources.items()}) == []
        plan = compile_plan(timeline, self.output, sources, font=FONT)
        for name, text in plan.files.items():
            (self.folder / name).write_text(text)
        await run_ffmpeg(
            find_ffmpeg(None),
            plan.argv,
            folder=self.folder,
            total_frames=plan.frames,
            on_progress=lambda _: None,
            limits=Limits(),
        )
        result = self.folder / plan.result
        assert mismatches(plan, await measure(result, max_pixels=10**7)) == []
        return result


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Sources that several tests use, made once."""
    folder = tmp_path_factory.mktemp("shelf")
    return {
        "a": media.counter(folder / "a.mp4", frames=50),
        "b": media.counter(folder / "b.mp4", frames=50, first=1001),
        "tone": media.tone(folder / "tone.wav", seconds=2),
    }


def video(name: str, in_: int = 0, out: int | None = None, **more: object) -> Clip:
    return Clip(content=Video(asset_id=name, in_=in_, out=out), **more)


def track(*clips: Clip) -> Track:
    return Track(clips=clips)


async def test_cuts_show_exactly_the_frames_between_their_points(studio: Studio, shelf: Mapping[str, Path]) -> None:
    result = await studio.render(track(video("a", 10, 20), video("b", 0, 5), video("a", 45)), a=shelf["a"], b=shelf["b"])
    assert media.numbers(result) == [*range(11, 21), *range(1001, 1006), *range(46, 51)]


CONTAINERS = {
    "mp4": media.H264,
    "mkv": media.H264,
    "ts": (*media.H264, "-bf", "2"),
    "avi": ("-c:v", "mpeg4", "-q:v", "2", "-g", "12"),
    "webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "20", "-b:v", "0"),
}
LONG_GROUPS = ("-c:v", "libx264", "-preset", "medium", "-crf", "12", "-g", "90", "-pix_fmt", "yuv420p")
FRAGMENTED = (*LONG_GROUPS, "-movflags", "frag_keyframe+empty_moov")


@pytest.mark.parametrize("in_", [0, 1, 37, 61, 100, 111])
@pytest.mark.parametrize(
    ("name", "options"),
    [*((f"source.{name}", options) for name, options in CONTAINERS.items()), ("long.mp4", LONG_GROUPS), ("frag.mp4", FRAGMENTED)],
)
async def test_any_container_is_entered_at_exactly_the_frame_asked_for(
    studio: Studio, tmp_path_factory: pytest.TempPathFactory, name: str, options: tuple[str, ...], in_: int
) -> None:
    source = tmp_path_factory.getbasetemp() / name
    if not source.exists():
        media.counter(source, frames=120, options=options)
    result = await studio.render(track(video("a", in_, in_ + 9)), a=source)
    assert media.numbers(result) == list(range(in_ + 1, in_ + 10))


@pytest.mark.parametrize(("rate", "timeline"), [("30000/1001", "25"), ("24", "30"), ("50", "25"), ("25", "30000/1001"), ("30000/1001", "30000/1001"), ("24000/1001", "60")])
@pytest.mark.parametrize("in_", [0, 7, 44])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
async def test_another_frame_rate_shows_the_nearest_frames(
    studio: Studio, tmp_path_factory: pytest.TempPathFactory, rate: str, timeline: str, in_: int, container: str
) -> None:
    source = tmp_path_factory.getbasetemp() / f"rate-{rate.replace('/', '_')}.{container}"
    if not source.exists():
        media.counter(source, frames=90, rate=rate)
    canvas = Canvas(width=320, height=180, frame_rate=Fraction(timeline))
    result = await studio.render(track(video("a", in_, in_ + 25)), canvas=canvas, a=source)
    assert media.numbers(result) == media.shown_at(source, canvas.frame_rate, 25, in_)
