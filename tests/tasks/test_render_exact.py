"""What comes out of a render is what the timeline says: to the frame, and to the sample."""

import hashlib
import math
import random
import shutil
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from domain.ffmpeg.command import Original
from domain.ffmpeg.stage import Source
from domain.render.movie import movie
from domain.render.output import Output, Speed, VideoCodec
from domain.render.scene import Tools
from domain.render.verify import mismatches
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
from tasks.ffmpeg import ffmpeg_version, find_ffmpeg
from tasks.probe import measure, probe
from tests import media
from tests.build import made

pytestmark = pytest.mark.anyio

CANVAS = Canvas(width=320, height=180, frame_rate=Fraction(25))
OUTPUT = Output(codec=VideoCodec.H264, width=320, height=180, crf=12, speed=Speed.FASTER)
NTSC = Fraction(30000, 1001)


class Studio:
    """Renders timelines in a folder, span by span as workers do; each result is verified against its plan."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = OUTPUT

    async def render(self, *tracks: Track, canvas: Canvas = CANVAS, background: str = "#000000", **paths: Path) -> Path:
        timeline = Timeline(canvas=canvas, background=background, tracks=tracks)
        sources = {name: await _source(name, path) for name, path in paths.items()}
        assert problems(timeline, {name: source.facts for name, source in sources.items()}) == []
        plan = movie(timeline, self.output, sources, Tools(ffmpeg=ffmpeg_version(find_ffmpeg(None)), threads=1))
        result = made(plan.command, self.folder, paths)
        assert mismatches(plan.expected, await measure(result, max_pixels=10**7)) == []
        return result


async def _source(name: str, path: Path) -> Source:
    facts = await probe(path, claimed_content_type="", filename="", max_pixels=10**7)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    return Source(original=Original(asset_id=name, sha256=checksum), facts=facts)


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
    result = await studio.render(
        track(video("a", 10, 20), video("b", 0, 5), video("a", 45)), a=shelf["a"], b=shelf["b"]
    )
    assert media.numbers(result) == [*range(11, 21), *range(1001, 1006), *range(46, 51)]


LONG_GROUPS = ("-c:v", "libx264", "-preset", "medium", "-crf", "12", "-g", "90", "-pix_fmt", "yuv420p")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("short-groups.mp4", media.H264),
        ("long-groups.mp4", LONG_GROUPS),
        ("open-groups.mp4", (*LONG_GROUPS, "-x264-params", "open-gop=1:keyint=24")),
        ("fragmented.mp4", (*LONG_GROUPS, "-movflags", "frag_keyframe+empty_moov")),
        ("a.mkv", LONG_GROUPS),
        ("a.ts", (*media.H264, "-bf", "2")),
        ("a.avi", ("-c:v", "mpeg4", "-q:v", "2", "-g", "12")),
        ("a.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "20", "-b:v", "0")),
        ("a.gif", ()),
    ],
)
async def test_a_source_is_entered_at_exactly_the_frame_asked_for(
    studio: Studio, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    source = media.counter(tmp_path / name, frames=120, options=options)
    entries = (0, 1, 24, 37, 61, 100, 117)
    result = await studio.render(track(*(video("a", in_, in_ + 3) for in_ in entries)), a=source)
    assert media.numbers(result) == [in_ + each for in_ in entries for each in (1, 2, 3)]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("rate", "timeline"),
    [
        ("30000/1001", "25"),
        ("24", "30"),
        ("50", "25"),
        ("25", "30000/1001"),
        ("30000/1001", "30000/1001"),
        ("24000/1001", "60"),
    ],
)
async def test_another_frame_rate_shows_the_nearest_frames(
    studio: Studio, tmp_path: Path, rate: str, timeline: str, container: str
) -> None:
    source = media.counter(tmp_path / f"a.{container}", frames=int(Fraction(rate) * 3), rate=rate)
    canvas = Canvas(width=320, height=180, frame_rate=Fraction(timeline))
    entries = (0, 7, 44)
    result = await studio.render(track(*(video("a", in_, in_ + 25) for in_ in entries)), canvas=canvas, a=source)
    assert media.numbers(result) == [
        number for in_ in entries for number in media.shown_at(source, canvas.frame_rate, 25, in_)
    ]


async def test_a_source_of_uneven_rate_holds_each_frame_as_long_as_it_should(studio: Studio, tmp_path: Path) -> None:
    """As screens and phones record: nothing new for a while, then a burst."""
    even = media.counter(tmp_path / "even.mp4", frames=120, rate="30")
    source = tmp_path / "uneven.mp4"
    gaps = "select='not(between(n,10,49))*not(eq(mod(n,7),3))*not(between(n,70,95))'"
    media.ffmpeg("-i", even, "-vf", gaps, "-fps_mode", "vfr", *LONG_GROUPS, source)
    stretches = ((0, 30), (30, 60), (75, 95))
    result = await studio.render(track(*(video("a", in_, out) for in_, out in stretches)), a=source)
    assert media.numbers(result) == [
        number for in_, out in stretches for number in media.shown_at(source, CANVAS.frame_rate, out - in_, in_)
    ]
    assert len(set(media.numbers(result))) < 50


async def test_a_cross_fade_mixes_both_clips_evenly_from_first_frame_to_last(studio: Studio, tmp_path: Path) -> None:
    dark, light = media.plain(tmp_path / "dark.mp4", "0x404040"), media.plain(tmp_path / "light.mp4", "0xc0c0c0")
    fading = video("light", 0, 30, transition=Transition(frames=10))
    result = await studio.render(track(video("dark", 0, 30), fading), dark=dark, light=light)
    seen = [picture.luma(160, 90) for picture in media.pictures(result)]
    assert len(seen) == 50
    low, high = seen[0], seen[-1]
    assert high - low > 100
    weights = [0] * 20 + [each / 10 for each in range(10)] + [1] * 20
    assert seen == pytest.approx([low + (high - low) * weight for weight in weights], abs=1.5)


async def test_cross_faded_clips_keep_their_frames(studio: Studio, shelf: Mapping[str, Path]) -> None:
    """At the first frame of a cross-fade only the clip before is seen; right after the last, only the one after."""
    clips = [
        video("a", 0, 20),
        video("b", 5, 30, transition=Transition(frames=8)),
        video("a", 20, 50, transition=Transition(frames=6)),
    ]
    seen = media.numbers(await studio.render(track(*clips), a=shelf["a"], b=shelf["b"]))
    assert len(seen) == 20 + 25 + 30 - 8 - 6
    assert seen[:13] == list(range(1, 14))
    assert seen[20:32] == list(range(1006 + 8, 1006 + 20))
    assert seen[37:] == list(range(21 + 6, 51))


async def test_a_cross_fade_on_an_upper_track_never_shows_what_lies_below(studio: Studio, tmp_path: Path) -> None:
    """Two opaque clips fade one into the other; fading each on its own would let a third through."""
    media.plain(tmp_path / "below.mp4", "0xffffff")
    media.plain(tmp_path / "above.mp4", "0x303030")
    above = [video("above", 0, 20), video("above", 0, 20, transition=Transition(frames=10))]
    result = await studio.render(
        track(video("below", 0, 40)), track(*above), below=tmp_path / "below.mp4", above=tmp_path / "above.mp4"
    )
    seen = [picture.luma(160, 90) for picture in media.pictures(result)]
    assert {round(each / 4) for each in seen[:30]} == {round(seen[0] / 4)}
    assert set(seen[30:]) == {235}


async def test_clips_of_different_shapes_fade_without_a_dark_seam(studio: Studio, tmp_path: Path) -> None:
    """Where only one of them covers the canvas, it fades into what lies below."""
    media.plain(tmp_path / "below.mp4", "0xffffff")
    media.plain(tmp_path / "wide.mp4", "0x808080", size="320x90")
    media.plain(tmp_path / "tall.mp4", "0x808080", size="90x180")
    above = [video("wide", 0, 20), video("tall", 0, 20, transition=Transition(frames=10))]
    names = ("below", "wide", "tall")
    result = await studio.render(
        track(video("below", 0, 30)), track(*above), **{name: tmp_path / f"{name}.mp4" for name in names}
    )
    middle = media.pictures(result)[15]
    grey = middle.luma(160, 90)
    assert 120 <= grey <= 132
    assert middle.luma(10, 90) == pytest.approx((235 + grey) / 2, abs=3)
    assert middle.luma(160, 10) == pytest.approx((235 + grey) / 2, abs=3)
    assert middle.luma(10, 10) == 235


async def test_a_still_stands_for_its_length_in_its_own_colours(studio: Studio, tmp_path: Path) -> None:
    red, blue = media.still(tmp_path / "red.png", "red"), media.still(tmp_path / "blue.jpg", "blue")
    clips = [Clip(content=Image(asset_id="red", length=3)), Clip(content=Image(asset_id="blue", length=4))]
    result = await studio.render(track(*clips), red=red, blue=blue)
    seen = [picture.yuv(160, 90) for picture in media.pictures(result)]
    assert seen[:3] == [pytest.approx((63, 102, 240), abs=2)] * 3  # red and blue in BT.709
    assert seen[3:] == [pytest.approx((32, 240, 118), abs=2)] * 4


async def test_a_gap_shows_the_background(studio: Studio, shelf: Mapping[str, Path]) -> None:
    result = await studio.render(
        track(video("a", 0, 5), video("a", 5, 10, start=12)), background="#ff0000", a=shelf["a"]
    )
    seen = media.pictures(result)
    assert [picture.number() for picture in seen[:5] + seen[12:]] == list(range(1, 11))
    assert [picture.yuv(160, 90) for picture in seen[5:12]] == [pytest.approx((63, 102, 240), abs=2)] * 7


async def test_a_later_track_lies_above_exactly_while_it_has_a_clip(studio: Studio, shelf: Mapping[str, Path]) -> None:
    above = [video("b", 0, 5, start=7), video("b", 20, 23, start=20)]
    result = await studio.render(track(video("a", 0, 30)), track(*above), a=shelf["a"], b=shelf["b"])
    expected = list(range(1, 31))
    expected[7:12], expected[20:23] = range(1001, 1006), range(1021, 1024)
    assert media.numbers(result) == expected


async def test_a_track_that_outlasts_the_others_goes_on_over_the_background(
    studio: Studio, shelf: Mapping[str, Path]
) -> None:
    result = await studio.render(track(video("a", 0, 5)), track(video("b", 0, 8, start=3)), **_both(shelf))
    assert media.numbers(result) == [1, 2, 3, *range(1001, 1009)]


def _both(shelf: Mapping[str, Path]) -> dict[str, Path]:
    return {name: shelf[name] for name in ("a", "b")}


def _brightest(picture: media.Picture, top: int, bottom: int) -> int:
    return max(picture.luma(x, y) for x in range(0, picture.width, 2) for y in range(top, bottom, 2))


async def test_a_title_is_seen_exactly_in_its_frames(studio: Studio) -> None:
    title = Clip(content=Text(text="Reel — 100% 'sharp': [it]; \\n", length=6, size=30), start=4)
    frame = Clip(content=Text(text="x", length=14, size=4))
    result = await studio.render(track(frame), track(title))
    bright = [
        _brightest(picture, 60, 82) > 200 or _brightest(picture, 96, 120) > 200 for picture in media.pictures(result)
    ]
    assert bright == [False] * 4 + [True] * 6 + [False] * 4


async def test_work_and_sources_may_lie_anywhere(studio: Studio, shelf: Mapping[str, Path]) -> None:
    odd = studio.folder / "it's [odd]; a:b, 100%d\\c"
    odd.mkdir()
    studio.folder = odd
    source = Path(shutil.copy(shelf["a"], odd))
    title = Clip(content=Text(text="\u2588", length=2, size=100))
    result = await studio.render(track(video("a", 30, 32)), track(title), a=source)
    assert [picture.luma(160, 90) for picture in media.pictures(result)] == [pytest.approx(235, abs=2)] * 2


@pytest.mark.parametrize(
    ("position", "band"), [(TextPosition.TOP, 0), (TextPosition.CENTER, 1), (TextPosition.BOTTOM, 2)]
)
async def test_a_title_stands_where_it_should(studio: Studio, position: TextPosition, band: int) -> None:
    result = await studio.render(track(Clip(content=Text(text="HH", length=2, size=20, position=position))))
    picture = media.pictures(result)[0]
    assert [_brightest(picture, 60 * each, 60 * each + 60) > 200 for each in range(3)] == [
        each == band for each in range(3)
    ]


async def test_the_lines_of_a_title_are_centred_each_for_itself(studio: Studio) -> None:
    result = await studio.render(track(Clip(content=Text(text="HHHHHHHH\n\nH", length=1, size=20))))
    picture = media.pictures(result)[0]

    def extent(top: int, bottom: int) -> tuple[int, int]:
        lit = [x for x in range(320) if any(picture.luma(x, y) > 150 for y in range(top, bottom))]
        return min(lit), max(lit)

    for left, right in (extent(50, 80), extent(102, 130)):
        assert left + right == pytest.approx(319, abs=4)
    assert extent(50, 80)[0] < extent(102, 130)[0] - 40
    assert _brightest(picture, 80, 100) < 40


async def test_a_title_fades_in_and_out_over_exactly_its_frames(studio: Studio) -> None:
    block = "\u2588" * 6  # a solid block, so that any pixel shows the opacity
    title = Clip(content=Text(text=block, length=20, size=100, fade_in=5, fade_out=10))
    result = await studio.render(track(title))
    seen = [(picture.luma(160, 90) - 16) / 219 for picture in media.pictures(result)]
    assert seen == pytest.approx(
        [each / 5 for each in range(5)] + [1] * 5 + [1 - each / 10 for each in range(10)], abs=0.02
    )


async def test_a_title_keeps_its_colour_over_a_picture(studio: Studio, tmp_path: Path) -> None:
    white = media.still(tmp_path / "white.png", "white")
    title = Text(text="\u2588" * 6, length=4, size=100, color="#ff0000", fade_in=2)
    result = await studio.render(
        track(Clip(content=Image(asset_id="white", length=4))), track(Clip(content=title)), white=white
    )
    seen = [picture.yuv(160, 90) for picture in media.pictures(result)]
    assert seen[0] == pytest.approx((235, 128, 128), abs=2)
    assert seen[1] == pytest.approx((149, 115, 184), abs=3)
    assert seen[2] == pytest.approx((63, 102, 240), abs=3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
async def test_a_rotated_source_is_shown_upright(studio: Studio, tmp_path: Path, degrees: int) -> None:
    """The picture is stored turned back, with the note that it must be turned clockwise; phones do so."""
    turned_back = {90: "transpose=cclock", 180: "hflip,vflip", 270: "transpose=clock"}[degrees]
    upright = media.counter(tmp_path / "upright.mp4", frames=6)
    media.ffmpeg("-i", upright, "-vf", turned_back, *media.H264, tmp_path / "turned.mp4")
    source = tmp_path / "rotated.mp4"
    media.ffmpeg("-display_rotation", str(-degrees), "-i", tmp_path / "turned.mp4", "-c", "copy", source)
    facts = await probe(source, claimed_content_type="video/mp4", filename="a.mp4", max_pixels=10**6)
    assert (facts.rotation, facts.width, facts.height) == (degrees, 320, 180)
    assert media.numbers(await studio.render(track(video("a")), a=source)) == list(range(1, 7))


async def test_a_source_of_another_shape_is_contained_covered_or_stretched(studio: Studio, tmp_path: Path) -> None:
    source = media.counter(
        tmp_path / "odd.mkv", frames=5, size=(161, 161), options=("-c:v", "ffv1", "-pix_fmt", "gray")
    )
    clips = [video("a", 0, 1), video("a", 1, 2, fit=Fit.COVER), video("a", 2, 3, fit=Fit.FILL)]
    contained, covered, filled = media.pictures(await studio.render(track(*clips), background="#ffffff", a=source))
    assert contained.number(70, 0, 180, 180) == 1
    assert contained.luma(60, 90) == 235
    assert covered.number(0, -70, 320, 320) == 2
    assert filled.number() == 3


async def test_a_very_flat_picture_covers_a_very_tall_canvas(studio: Studio, tmp_path: Path) -> None:
    """Scaled as a whole it would be a million pixels wide."""
    flat = media.still(tmp_path / "flat.png", "red", size="4000x4")
    studio.output = Output(codec=VideoCodec.H264, width=16, height=4096, crf=12)
    canvas = Canvas(width=16, height=4096, frame_rate=Fraction(25))
    clip = Clip(content=Image(asset_id="flat", length=1), fit=Fit.COVER)
    (picture,) = media.pictures(await studio.render(track(clip), canvas=canvas, flat=flat))
    assert picture.yuv(8, 2000) == pytest.approx((63, 102, 240), abs=2)


async def test_pixels_that_are_not_square_are_shown_as_meant(studio: Studio, tmp_path: Path) -> None:
    source = tmp_path / "anamorphic.mp4"
    media.counter(tmp_path / "narrow.mp4", frames=3, size=(160, 180))
    media.ffmpeg("-i", tmp_path / "narrow.mp4", "-vf", "setsar=2", *media.H264, source)
    facts = await probe(source, claimed_content_type="", filename="", max_pixels=10**6)
    assert (facts.width, facts.height) == (320, 180)
    assert media.numbers(await studio.render(track(video("a")), a=source)) == [1, 2, 3]


async def test_the_canvas_fits_into_an_output_of_another_size_and_shape(
    studio: Studio, shelf: Mapping[str, Path]
) -> None:
    studio.output = Output(codec=VideoCodec.H264, width=480, height=480, crf=12)
    title = Clip(content=Text(text="\u2588", length=3, size=40, position=TextPosition.CENTER))
    result = await studio.render(track(video("a", 0, 3)), track(title), a=shelf["a"])
    picture = media.pictures(result)[2]
    assert (picture.width, picture.height) == (480, 480)
    assert picture.luma(240, 50) == 16
    assert picture.number(0, 105, 480, 270) == 3
    lit = [y for y in range(105, 375) if picture.luma(240, y) > 200]
    assert len(lit) == pytest.approx(60 * 1.16, abs=6)  # DejaVu's full block is 1.16 of the font's size


async def test_h265_is_tagged_for_players_and_the_colours_are_bt709(studio: Studio, shelf: Mapping[str, Path]) -> None:
    for codec, tag in ((VideoCodec.H265, "hvc1"), (VideoCodec.H264, "avc1")):
        studio.output = Output(codec=codec, width=320, height=180, crf=20)
        result = await studio.render(track(video("a", 0, 10)), a=shelf["a"])
        assert media.numbers(result) == list(range(1, 11))
        with av.open(result) as container:
            context = container.streams.video[0].codec_context
            assert context.codec_tag == tag
            assert context.pix_fmt == "yuv420p"
            assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert result.read_bytes()[:64].find(b"ftyp") == 4
        assert result.read_bytes().find(b"moov") < result.read_bytes().find(b"mdat")


@pytest.mark.parametrize("seed", range(6))
async def test_any_edit_shows_what_its_clips_say(studio: Studio, tmp_path: Path, seed: int) -> None:
    """Random cuts, gaps, cross-fades and tracks, from sources of other rates, against a plain model of them."""
    chance = random.Random(seed)
    canvas = replace(CANVAS, frame_rate=chance.choice([Fraction(25), NTSC, Fraction(60), Fraction(12)]))
    paths = {
        "a": media.counter(tmp_path / "a.mp4", frames=90, rate="30000/1001"),
        "b": media.counter(tmp_path / "b.mkv", frames=90, rate="24", first=1001),
    }
    tracks: list[Track] = []
    expected: dict[int, int | None] = {}
    for _ in range(3):
        clips: list[Clip] = []
        end = 0
        for _ in range(4):
            name, in_ = chance.choice("ab"), chance.randrange(20)
            fade = chance.randint(1, 5) if clips and chance.random() < 0.5 else 0
            out = in_ + chance.randint(10, 15)
            start = end - fade if fade else end + max(0, chance.randint(-6, 6))
            more = {"transition": Transition(frames=fade)} if fade else {"start": start}
            clips.append(video(name, in_, out, **more))
            shown = media.shown_at(paths[name], canvas.frame_rate, out - in_, in_)
            for frame in range(start, start + fade):
                expected[frame] = expected[frame] if frame == start else None  # a mixture, from the second one on
            expected |= {start + each: shown[each] for each in range(fade, out - in_)}
            end = start + out - in_
        tracks.append(track(*clips))
    seen = media.numbers(await studio.render(*tracks, canvas=canvas, **paths))
    assert len(seen) == max(expected) + 1
    wanted = [expected.get(frame, 0) for frame in range(len(seen))]
    assert seen == [number if want is None else want for number, want in zip(seen, wanted, strict=True)]


# --- sound ----------------------------------------------------------------------------------------------------------


def _envelope(values: list[tuple[float, ...]], step: int = 480) -> list[float]:
    """The peak of the left channel in each stretch of samples."""
    return [max(abs(each[0]) for each in values[index : index + step]) for index in range(0, len(values), step)]


@pytest.mark.parametrize("frames", [11, 13, 49])
async def test_sound_is_as_long_as_the_picture_to_the_sample(
    studio: Studio, shelf: Mapping[str, Path], frames: int
) -> None:
    """At 30000/1001 a frame has 1601.6 samples; their sum must not drift, nor be cut where it is rounded up."""
    canvas = Canvas(width=320, height=180, frame_rate=NTSC)
    clips = [Clip(content=Audio(asset_id="tone", in_=3 * each, out=3 * each + 7)) for each in range(frames // 7)]
    result = await studio.render(
        track(video("a", 0, frames)), track(*clips), canvas=canvas, a=shelf["a"], tone=shelf["tone"]
    )
    samples = {11: 17618, 13: 20821, 49: 78478}[frames]
    assert (await measure(result, max_pixels=10**6)).samples == samples
    assert len(list(media.samples(result))) in range(samples, samples + 1024)  # the last packet of AAC is filled up


async def test_an_edit_without_sound_has_no_audio_track(studio: Studio, shelf: Mapping[str, Path]) -> None:
    result = await studio.render(track(video("a", 0, 5)), a=shelf["a"])
    assert (await measure(result, max_pixels=10**6)).audio_codec is None


async def test_a_video_brings_its_own_sound_unless_it_is_muted(
    studio: Studio, shelf: Mapping[str, Path], tmp_path: Path
) -> None:
    source = media.joined(tmp_path / "loud.mp4", shelf["a"], shelf["tone"], options=("-c:v", "copy", "-c:a", "aac"))
    muted = Clip(content=Video(asset_id="a", in_=10, out=20, volume=0.0))
    quiet = Clip(content=Video(asset_id="a", in_=20, out=30, volume=0.5))
    result = await studio.render(track(video("a", 0, 10), muted, quiet), a=source)
    peaks = _envelope(list(media.samples(result)), step=1920)
    assert peaks[1:9] == pytest.approx([0.5] * 8, abs=0.02)
    assert peaks[11:19] == pytest.approx([0] * 8, abs=0.005)
    assert peaks[21:29] == pytest.approx([0.25] * 8, abs=0.02)


async def test_sound_starts_and_stops_on_its_frames(studio: Studio, shelf: Mapping[str, Path]) -> None:
    sound = Clip(content=Audio(asset_id="tone", in_=5, out=15), start=10)
    result = await studio.render(track(video("a", 0, 30)), track(sound), a=shelf["a"], tone=shelf["tone"])
    loud = [abs(each[0]) > 0.05 for each in media.samples(result)]
    first, last = loud.index(True), len(loud) - loud[::-1].index(True)
    assert first == pytest.approx(10 * 1920, abs=64)  # AAC smears an edge by some samples
    assert last == pytest.approx(20 * 1920, abs=64)


async def test_the_fades_of_a_sound_are_straight_and_of_their_length(studio: Studio, shelf: Mapping[str, Path]) -> None:
    sound = Clip(content=Audio(asset_id="tone", in_=0, out=40, fade_in=10, fade_out=20, volume=1.5))
    result = await studio.render(track(video("a", 0, 40)), track(sound), a=shelf["a"], tone=shelf["tone"])
    peaks = _envelope(list(media.samples(result))[: 40 * 1920], step=1920)
    expected = [0.075 * (each + 1) for each in range(10)] + [0.75] * 10 + [0.0375 * (20 - each) for each in range(20)]
    assert peaks == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.m4a", "a.flac", "a.ogg", "a.mka"])
async def test_one_channel_at_another_rate_is_heard_on_both_sides_as_loud_and_in_time(
    studio: Studio, shelf: Mapping[str, Path], tmp_path: Path, name: str
) -> None:
    """The source is silent but for one second from 1 s on; the clip begins 0.5 s in."""
    source = tmp_path / name
    wave = "0.5*sin(2*PI*441*t)*between(t\\,1\\,2)"
    options = ("-c:a", "flac", "-f", "matroska") if name.endswith("mka") else ()
    media.ffmpeg("-f", "lavfi", "-i", f"aevalsrc={wave}:s=44100:d=3", *options, source)
    sound = Clip(content=Audio(asset_id="tone", in_=12, out=62))
    result = await studio.render(track(video("a", 0, 50)), track(sound), a=shelf["a"], tone=source)
    values = list(media.samples(result))
    assert all(abs(left - right) < 0.01 for left, right in values)
    assert _envelope(values, 1920)[15:35] == pytest.approx([0.5] * 20, abs=0.03)
    loud = [abs(left) > 0.05 for left, _ in values]
    assert loud.index(True) == pytest.approx(48000 - 12 * 1920, abs=100)
    assert len(loud) - loud[::-1].index(True) == pytest.approx(96000 - 12 * 1920, abs=100)


async def test_sounds_add_up_and_a_cross_fade_fades_them_with_the_picture(
    studio: Studio, shelf: Mapping[str, Path], tmp_path: Path
) -> None:
    high = media.tone(tmp_path / "high.wav", seconds=2, hertz=3000)
    low = media.tone(tmp_path / "low.wav", seconds=2, hertz=300)
    copied = ("-c:v", "copy", "-c:a", "pcm_s16le")
    sources = {
        "a": media.joined(tmp_path / "a.mkv", shelf["a"], low, options=copied),
        "b": media.joined(tmp_path / "b.mkv", shelf["b"], high, options=copied),
    }
    result = await studio.render(
        track(video("a", 0, 20), video("b", 10, 30, transition=Transition(frames=10))), **sources
    )
    values = [left for left, _ in media.samples(result)]
    for frame in range(2, 28):
        share = min(max((frame + 0.5 - 10) / 10, 0), 1)
        stretch = values[frame * 1920 : frame * 1920 + 1920]
        assert _loudness(stretch, 300) == pytest.approx(0.5 * (1 - share), abs=0.04)
        assert _loudness(stretch, 3000) == pytest.approx(0.5 * share, abs=0.04)


def _loudness(stretch: list[float], hertz: int) -> float:
    """The amplitude of one pitch."""
    turn = 2 * math.pi * hertz / 48000
    real = sum(value * math.cos(turn * index) for index, value in enumerate(stretch))
    imaginary = sum(value * math.sin(turn * index) for index, value in enumerate(stretch))
    return 2 * math.hypot(real, imaginary) / len(stretch)


async def test_a_sound_shorter_than_its_picture_ends_in_silence(
    studio: Studio, shelf: Mapping[str, Path], tmp_path: Path
) -> None:
    short = media.tone(tmp_path / "short.wav", seconds=0.4)
    source = media.joined(tmp_path / "a.mkv", shelf["a"], short, options=("-c:v", "copy", "-c:a", "flac"))
    result = await studio.render(track(video("a", 0, 20), video("a", 30, 50)), a=source)
    assert media.numbers(result) == [*range(1, 21), *range(31, 51)]
    peaks = _envelope(list(media.samples(result)), 1920)
    assert peaks[1:9] == pytest.approx([0.5] * 8, abs=0.02)
    assert max(peaks[11:]) < 0.01
