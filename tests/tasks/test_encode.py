"""What is made in spans is, once joined, what one pass would have made: to the frame, the tick and the sample."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import pytest

from domain.ffmpeg.graph import Graph
from domain.render.encode import (
    SPAN,
    finished,
    join_arguments,
    picture_arguments,
    result_name,
    sound_arguments,
    sound_name,
    video_arguments,
)
from domain.render.output import Format, Output, Speed, VideoCodec
from domain.render.verify import Expected, mismatches
from tasks.probe import measure
from tests import media

WIDTH, HEIGHT = 160, 90
MAX_PIXELS = 10**6
RATES = ["24000/1001", "25", "30000/1001", "50", "60000/1001"]
H264 = Output(codec=VideoCodec.H264, width=WIDTH, height=HEIGHT, crf=20, speed=Speed.FASTER)
OUTPUTS = {
    "h264": H264,
    "h265": replace(H264, codec=VideoCodec.H265),
    "av1": replace(H264, codec=VideoCodec.AV1, crf=40),
    "vp9": replace(H264, codec=VideoCodec.VP9, crf=40, format=Format.WEBM),
    "av1-webm": replace(H264, codec=VideoCodec.AV1, crf=40, format=Format.WEBM),
}
PCM = "aevalsrc=0.5*sin(2*PI*440*t)|0.5*sin(2*PI*660*t):s=48000"


def samples(frames: int, rate: Fraction) -> int:
    return int(frames * 48_000 / rate + Fraction(1, 2))


class Studio:
    """A folder in which commands run as a worker runs them."""

    def __init__(self, folder: Path, output: Output, rate: str) -> None:
        self.folder, self.output, self.rate = folder, output, Fraction(rate)
        (folder / "in").mkdir()

    def source(self, first: int, frames: int, *more: str) -> tuple[list[str], bytes]:
        """The frames that show first + 1, first + 2, …, as they come from a filter graph."""
        feed = b"".join(media.drawn(first + each + 1, WIDTH, HEIGHT) for each in range(frames))
        raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(self.rate), "-i", "-"]
        return [*raw, "-vf", ",".join((*more, "scale=out_color_matrix=bt709:out_range=tv", "format=yuv420p"))], feed

    def span(self, first: int, frames: int, *more: str) -> str:
        """One span."""
        options, feed = self.source(first, frames, *more)
        arguments = video_arguments(self.output, self.rate, frames=frames, threads=2)
        media.ffmpeg(*options, *arguments, self.folder / SPAN, feed=feed)
        kept = f"in/span-{first}"
        (self.folder / SPAN).rename(self.folder / kept)
        return kept

    async def sound(self, count: int) -> str:
        """So many samples, encoded and verified."""
        name = sound_name(self.output)
        media.ffmpeg(
            "-f", "lavfi", "-i", f"{PCM},atrim=end_sample={count}", *sound_arguments(self.output), self.folder / name
        )
        await self.check(Expected.of_sound(self.output, count), name)
        return name

    async def join(self, spans: Sequence[tuple[str, int]], *, silent: bool = False) -> Path:
        """The movie of these spans, verified."""
        frames = sum(each for _, each in spans)
        sound = None if silent else await self.sound(samples(frames, self.rate))
        joining = join_arguments(self.output, spans, self.rate, sound)
        for name, content in joining.files.items():
            (self.folder / name).write_text(content)
        with_folder = [
            str(self.folder / each) if each in {*joining.files, joining.result} else each for each in joining.argv
        ]
        if sound:
            with_folder[with_folder.index(f"file:{sound}")] = f"file:{self.folder / sound}"
        media.ffmpeg(*with_folder)
        heard = samples(frames, self.rate) if sound else None
        await self.check(Expected.of(self.output, self.rate, frames, heard), joining.result)
        return self.folder / joining.result

    async def movie(self, lengths: Sequence[int]) -> Path:
        starts = accumulate(lengths, initial=0)
        return await self.join([(self.span(at, each), each) for at, each in zip(starts, lengths, strict=False)])

    async def check(self, expected: Expected, name: str) -> None:
        assert await self.wrong(expected, self.folder / name) == []

    async def wrong(self, expected: Expected, path: Path) -> list[str]:
        return mismatches(expected, await measure(path, max_pixels=MAX_PIXELS, frame_rate=expected.frame_rate))


def decoded(path: Path) -> list[tuple[bytes, ...]]:
    """Every visible byte of every frame."""
    with av.open(path) as container:
        return [tuple(_planes(frame)) for frame in container.decode(video=0)]


def _planes(frame: av.VideoFrame) -> Iterator[bytes]:
    for plane in frame.planes:
        data = bytes(plane)
        yield b"".join(data[row * plane.line_size :][: plane.width] for row in range(plane.height))


def times(path: Path) -> list[Fraction]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        return sorted(packet.pts * stream.time_base for packet in container.demux(stream) if packet.pts is not None)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
async def test_spans_joined_are_the_spans_one_behind_the_other(tmp_path: Path, codec: str, rate: str) -> None:
    studio = Studio(tmp_path, OUTPUTS[codec], rate)
    movie = await studio.movie((7, 30, 13))
    await studio.check(Expected.of_span(studio.output, studio.rate, 30), "in/span-7")
    assert media.numbers(movie) == list(range(1, 51))
    spans = [frame for first in (0, 7, 37) for frame in decoded(tmp_path / f"in/span-{first}")]
    assert decoded(movie) == spans
    exact = [each / studio.rate for each in range(50)]
    if codec == "vp9":  # in WebM, times are rounded to milliseconds
        exact = [Fraction(int(each * 1000 + Fraction(1, 2)), 1000) for each in exact]
    assert times(movie) == exact


@pytest.mark.parametrize("codec", [*OUTPUTS, "h264-slow", "h265-slow"])
async def test_spans_of_a_few_frames_join_as_well(tmp_path: Path, codec: str) -> None:
    """Encoders begin and end differently with fewer frames than they like to reorder."""
    lengths = (1, 2, 3, 1, 4, 5, 2, 2, 6, 1, 1)
    output = OUTPUTS.get(codec) or replace(OUTPUTS[codec.removesuffix("-slow")], speed=Speed.SMALLER)
    movie = await Studio(tmp_path, output, "24000/1001").movie(lengths)
    assert media.numbers(movie) == list(range(1, sum(lengths) + 1))


@pytest.mark.parametrize("rate", ["1", "12", "12.5", "15000/1001", "48", "119881/1001", "120", "120000/1001"])
async def test_any_rate_of_a_canvas_is_exact(tmp_path: Path, rate: str) -> None:
    assert media.numbers(await Studio(tmp_path, H264, rate).movie((4, 9))) == list(range(1, 14))


@pytest.mark.parametrize("codec", ["h264", "vp9"])
async def test_the_times_of_many_spans_do_not_drift(tmp_path: Path, codec: str) -> None:
    """A frame lasts 33366.67 microseconds at this rate: rounding each span would add up to more than a tick."""
    studio = Studio(tmp_path, OUTPUTS[codec], "30000/1001")
    one, five = studio.span(0, 1), studio.span(1, 5)
    movie = await studio.join([(one, 1), (five, 5)] * 500, silent=True)
    assert times(movie)[-1] == pytest.approx(2999 / studio.rate, abs=0.0006 if codec == "vp9" else 0)


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
async def test_equal_commands_make_equal_bytes(tmp_path: Path, codec: str) -> None:
    made: list[bytes] = []
    for attempt in ("a", "b"):
        (tmp_path / attempt).mkdir()
        studio = Studio(tmp_path / attempt, OUTPUTS[codec], "25")
        movie = await studio.join([(studio.span(0, 20, "noise=alls=40:allf=t:all_seed=1"), 20)])
        made.append(movie.read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
async def test_players_find_a_keyframe_every_two_seconds_and_at_every_span(tmp_path: Path, codec: str) -> None:
    movie = await Studio(tmp_path, OUTPUTS[codec], "12.5").movie((60, 3))
    with av.open(movie) as container:
        stream = container.streams.video[0]
        keys = [
            packet.pts * stream.time_base * Fraction(25, 2) for packet in container.demux(stream) if packet.is_keyframe
        ]
    assert [round(each) for each in keys] == [0, 25, 50, 60]


async def test_h264_without_loss_shows_the_very_pixels(tmp_path: Path) -> None:
    studio = Studio(tmp_path, replace(H264, crf=0), "25")
    grain = "noise=alls=40:allf=t:all_seed=1"
    movie = await studio.join([(studio.span(0, 10, grain), 10)], silent=True)
    options, feed = studio.source(0, 10, grain)
    media.ffmpeg(*options, "-c:v", "ffv1", tmp_path / "reference.mkv", feed=feed)
    assert decoded(movie) == decoded(tmp_path / "reference.mkv")


async def test_movies_say_what_players_need_to_know(tmp_path: Path) -> None:
    for codec, tag in (("h264", "avc1"), ("h265", "hvc1"), ("av1", "av01")):
        (tmp_path / codec).mkdir()
        movie = await Studio(tmp_path / codec, OUTPUTS[codec], "25").movie((3, 2))
        with av.open(movie) as container:
            context = container.streams.video[0].codec_context
            assert context.codec_tag == tag
            assert (context.pix_fmt, context.colorspace, context.color_range) == ("yuv420p", 1, 1)
            assert container.duration == pytest.approx(200_000, abs=1)
            assert container.metadata.keys() <= {"major_brand", "minor_version", "compatible_brands"}
        content = movie.read_bytes()
        assert content.find(b"moov") < content.find(b"mdat")


@pytest.mark.parametrize("count", [400, 1023, 48_000, 100_100])
@pytest.mark.parametrize("format_", [Format.MP4, Format.WEBM, Format.MP3, Format.AAC, Format.WAV])
async def test_sound_keeps_its_length_to_the_sample(tmp_path: Path, format_: Format, count: int) -> None:
    studio = Studio(tmp_path, Output(format=format_), "25")
    await studio.sound(count)


@pytest.mark.parametrize("format_", [Format.MP3, Format.AAC, Format.WAV])
async def test_sound_is_where_it_was(tmp_path: Path, format_: Format) -> None:
    """A click of a hundred samples in the middle of silence, less than a millisecond off."""
    output = Output(format=format_)
    path = tmp_path / result_name(output)
    click = "aevalsrc=between(n\\,24000\\,24100)*0.8*sin(2*PI*480*t)|0:s=48000,atrim=end_sample=48000"
    media.ffmpeg("-f", "lavfi", "-i", click, *sound_arguments(output), path)
    left = [abs(each) for each, _ in media.samples(path)]
    assert 24_000 - 40 <= left.index(max(left)) <= 24_100 + 40


@pytest.mark.parametrize(
    ("rate", "gif_rate", "length", "shown"),
    [
        ("25", None, 9, [1, 3, 5, 7, 9]),
        ("30000/1001", None, 8, [1, 3, 5, 7]),
        ("60", None, 9, [1, 5, 9]),
        ("24", "10", 12, [1, 3, 5, 8, 10]),
        ("25", "50", 2, [1, 1, 2, 2]),
        ("60", None, 1, [1]),
    ],
)
async def test_a_gif_shows_at_each_moment_what_the_timeline_shows(
    tmp_path: Path, rate: str, gif_rate: str | None, length: int, shown: list[int]
) -> None:
    output = Output(format=Format.GIF, width=WIDTH, height=HEIGHT, frame_rate=gif_rate and Fraction(gif_rate))
    studio = Studio(tmp_path, output, rate)
    path = _finished(studio, 0, length)
    await studio.check(Expected.of(output, studio.rate, length, 1000), path.name)
    assert _drawn(path) == shown


def _drawn(path: Path) -> list[int]:
    """The numbers in pictures of any colours."""
    with av.open(path) as container:
        return [media.Picture(frame.reformat(format="gray")).number() for frame in container.decode(video=0)]


def _finished(studio: Studio, first: int, frames: int) -> Path:
    """A GIF or a still."""
    options, feed = studio.source(first, frames)
    graph = Graph()
    link = finished(graph, graph.chain(options[-1], links=["[0:v]"]), studio.output, studio.rate)
    path = studio.folder / result_name(studio.output)
    media.ffmpeg(*options[:-2], *graph.arguments(), "-map", link, *picture_arguments(studio.output), path, feed=feed)
    return path


@pytest.mark.parametrize("format_", [Format.PNG, Format.JPEG])
async def test_a_still_is_the_frame_in_its_own_colours(tmp_path: Path, format_: Format) -> None:
    output = Output(format=format_, width=WIDTH, height=HEIGHT, frame=7)
    studio = Studio(tmp_path, output, "25")
    path = _finished(studio, 7, 1)
    await studio.check(Expected.of(output, studio.rate, 100, None), path.name)
    assert _drawn(path) == [8]
    graph = Graph()
    red = graph.chain(
        f"color=red:s={WIDTH}x{HEIGHT},trim=end_frame=1,format=gbrp",
        "scale=out_color_matrix=bt709:out_range=tv",
        "format=yuv420p",
    )
    link = finished(graph, red, output, studio.rate)
    media.ffmpeg(*graph.arguments(), "-map", link, *picture_arguments(output), path)
    with av.open(path) as container:
        (frame,) = container.decode(video=0)
        assert tuple(bytes(frame.reformat(format="rgb24").planes[0])[:3]) == pytest.approx((255, 0, 0), abs=2)


GRAIN = "noise=alls=60:allf=t:all_seed=1"


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
async def test_a_bitrate_is_kept_over_the_whole(tmp_path: Path, codec: str) -> None:
    studio = Studio(tmp_path, replace(OUTPUTS[codec], crf=None, bitrate=400_000), "25")
    movie = await studio.join([(studio.span(0, 150, GRAIN), 150)], silent=True)
    assert movie.stat().st_size * 8 / 6 == pytest.approx(400_000, rel=0.15)


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
async def test_a_file_becomes_about_as_large_as_asked_for(tmp_path: Path, codec: str) -> None:
    studio = Studio(tmp_path, replace(OUTPUTS[codec], crf=None, size_bytes=500_000), "25")
    movie = await studio.join([(studio.span(0, 150, GRAIN), 150)])
    assert movie.stat().st_size == pytest.approx(500_000, rel=0.15)


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
async def test_a_cap_holds_where_the_quality_would_take_more(tmp_path: Path, codec: str) -> None:
    free = Studio(tmp_path, OUTPUTS[codec], "25")
    size = (tmp_path / free.span(0, 100, GRAIN)).stat().st_size * 8 / 4
    capped = replace(OUTPUTS[codec], max_bitrate=int(size / 3))
    shutil.rmtree(tmp_path / "in")
    studio = Studio(tmp_path, capped, "25")
    assert (tmp_path / studio.span(0, 100, GRAIN)).stat().st_size * 8 / 4 < size / 2


async def test_what_is_not_as_planned_is_said(tmp_path: Path) -> None:
    studio = Studio(tmp_path, H264, "25")
    span = studio.span(0, 10)
    planned = Expected.of(H264, Fraction(50), 11, 480)
    assert await studio.wrong(planned, tmp_path / span) == [
        "The frame rate is 25, planned was 50.",
        "The number of frames is 10, planned was 11.",
        "The number of uneven frames is 10, planned was 0.",
        "The audio codec is none, planned was aac.",
        "The sample rate is none, planned was 48000.",
        "The number of channels is none, planned was 2.",
        "The number of samples is none, planned was 480.",
    ]
    late = tmp_path / "late.mp4"
    media.ffmpeg("-itsoffset", "0.04", "-i", tmp_path / span, "-c", "copy", late)
    assert await studio.wrong(Expected.of_span(H264, studio.rate, 10), late) == [
        "The time of the first frame is 1/25, planned was 0."
    ]


async def test_a_picture_held_too_long_is_seen_in_every_format(tmp_path: Path) -> None:
    """The right number of frames at the right rate is not enough."""
    for codec in ("h264", "vp9"):
        (tmp_path / codec).mkdir()
        studio = Studio(tmp_path / codec, OUTPUTS[codec], "25")
        movie = await studio.movie((5, 5))
        uneven = movie.with_stem("uneven")
        media.ffmpeg("-i", movie, "-c", "copy", "-bsf:v", "setts=pts=PTS+0.01/TB*eq(PTS*TB\\,0.2):dts=DTS", uneven)
        wrong = await studio.wrong(Expected.of(studio.output, studio.rate, 10, 19_200), uneven)
        assert wrong == ["The number of uneven frames is 1, planned was 0."]
