"""A picture made in spans is the picture made in one pass, frame by frame and bit by bit, wherever it is cut.

All on the lossless preset (H.264, CRF 0), so that what is compared is what was made. What one pass makes is itself
compared with the sources' own frames, which carry numbers.
"""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import pytest

from domain.ffmpeg.command import Original
from domain.ffmpeg.curve import Easing
from domain.ffmpeg.stage import Source
from domain.render.movie import movie
from domain.render.output import Format, Output, Speed, VideoCodec
from domain.render.previews import quick, seen
from domain.render.scene import Scene, Tools, scene
from domain.render.verify import mismatches
from domain.timeline import (
    Blur,
    Canvas,
    Captions,
    Clip,
    Color,
    Composition,
    Content,
    Cue,
    Effect,
    Fit,
    Flip,
    FlipAxis,
    Image,
    KenBurns,
    Keyframes,
    NumberKey,
    Pixelate,
    Point,
    PointKey,
    RoundCorners,
    Shape,
    ShapeForm,
    Sharpen,
    Text,
    Timeline,
    Track,
    Transition,
    TransitionKind,
    Video,
    Vignette,
    problems,
)
from tasks.ffmpeg import ffmpeg_version, find_ffmpeg
from tasks.probe import measure, probe
from tests import media
from tests.build import made

pytestmark = pytest.mark.anyio

WIDTH, HEIGHT = 64, 36
LOSSLESS = Output(codec=VideoCodec.H264, width=WIDTH, height=HEIGHT, crf=0, speed=Speed.FASTER)
RATES = ["24000/1001", "25", "30000/1001", "30", "50", "60000/1001", "60"]
LONG_GROUPS = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-g", "90", "-bf", "2", "-pix_fmt", "yuv420p")

HALF = Fraction(1, 2)
UPRIGHT = "upright.mp4"
Frame = tuple[bytes, ...]
"""The visible bytes of a frame's planes: luma, and two of chroma."""


@dataclass
class Studio:
    """Makes any stretch of an edit in a folder, as workers do."""

    folder: Path
    shelf: dict[str, Path] = field(default_factory=dict[str, Path])
    sources: dict[str, Source] = field(default_factory=dict[str, Source])

    async def take(self, name: str, path: Path) -> Path:
        """Ingest a file."""
        facts = await probe(path, claimed_content_type="", filename="", max_pixels=10**6)
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        self.shelf[name] = path
        self.sources[name] = Source(original=Original(asset_id=name, sha256=checksum), facts=facts)
        return path

    def scene(self, *tracks: Track, rate: str | Fraction = "25", background: str = "#204080") -> Scene:
        """An edit of this studio's sources."""
        canvas = Canvas(width=WIDTH, height=HEIGHT, frame_rate=Fraction(rate))
        edit = Timeline(canvas=canvas, background=background, tracks=tracks)
        assert problems(edit, {name: source.facts for name, source in self.sources.items()}) == []
        return scene(edit, self.sources, Tools(ffmpeg=ffmpeg_version(find_ffmpeg(None)), threads=1))

    def frames(self, whole: Scene, first: int, count: int) -> list[Frame]:
        """A stretch of it."""
        return decoded(made(whole.span(LOSSLESS, first, count), self.folder, self.shelf))

    def alike(self, whole: Scene, edges: Sequence[int]) -> list[int]:
        """Compare the edit, made in spans that begin at these frames, with one pass; return the numbers that show."""
        once = self.frames(whole, 0, whole.length)
        assert len(once) == whole.length
        bounds = sorted({0, *(edge for edge in edges if edge < whole.length), whole.length})
        for first, end in itertools.pairwise(bounds):
            span = self.frames(whole, first, end - first)
            assert len(span) == end - first
            wrong = [first + each for each, frame in enumerate(span) if frame != once[first + each]]
            assert wrong == [], f"frames of the span {first} to {end} are not those of one pass"
        return [number(frame) for frame in once]


def decoded(path: Path) -> list[Frame]:
    with av.open(path) as container:
        return [tuple(_planes(frame)) for frame in container.decode(video=0)]


def _planes(frame: av.VideoFrame) -> Iterator[bytes]:
    for plane in frame.planes:
        data = memoryview(plane)
        yield b"".join(data[row * plane.line_size :][: plane.width] for row in range(plane.height))


def number(frame: Frame) -> int:
    """The number of a counter that fills the canvas."""
    total = 0
    for bit in range(media.COLUMNS * media.ROWS):
        row, column = divmod(bit, media.COLUMNS)
        x, y = (2 * column + 1) * WIDTH // (2 * media.COLUMNS), (2 * row + 1) * HEIGHT // (2 * media.ROWS)
        total |= (frame[0][y * WIDTH + x] > 125) << bit
    return total


def colored(
    path: Path,
    *,
    frames: int,
    rate: str = "25",
    first: int = 1,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    options: Sequence[str] = LONG_GROUPS,
    filters: str = "null",
) -> Path:
    """A counter whose colours change from frame to frame too."""
    pattern = ("-f", "lavfi", "-i", f"testsrc2=s={size[0]}x{size[1]}:r={rate}")
    same = f"scale={size[0]}:{size[1]},format=yuv444p,setsar=1"
    numbers, colors = (f"[{each}:v]{same}[{name}]" for each, name in enumerate(("numbers", "colors")))
    graph = f"{numbers};{colors};[numbers][colors]mergeplanes=0x001112:yuv444p,{filters}"
    more = (*pattern, "-filter_complex", graph, "-frames:v", str(frames), *options)
    return media.counter(path, frames=frames, rate=rate, first=first, size=size, options=more)


@cache
def times(path: Path) -> list[tuple[Fraction, int]]:
    """When each frame of a counter is shown, in seconds from the start of the file, and its number."""
    with av.open(path.with_name(UPRIGHT) if path.with_name(UPRIGHT).exists() else path) as container:
        stream = container.streams.video[0]
        start = Fraction(container.start_time or 0, av.time_base)
        frames = list(container.decode(stream))
        pictures = [media.Picture(frame.reformat(format="yuv444p")) for frame in frames]
        return [
            (frame.pts * stream.time_base - start, picture.number())
            for frame, picture in zip(frames, pictures, strict=True)
        ]


def shown(path: Path, rate: str, in_: int, count: int, speed: str = "1") -> list[int]:
    """The numbers that a clip should show: always the last frame whose time, rounded to the timeline's, has come."""
    begun = [(int(((time * Fraction(rate) - in_) / Fraction(speed) + HALF) // 1), each) for time, each in times(path)]
    return [next((each for at, each in reversed(begun) if at <= frame), begun[0][1]) for frame in range(count)]


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Two seconds at each rate, and what is shown of each at the rate of a timeline is known by its times."""
    folder = tmp_path_factory.mktemp("films")
    found = {
        rate: colored(folder / f"{rate.replace('/', '-')}.mp4", frames=int(Fraction(rate) * 2), rate=rate)
        for rate in RATES
    }
    return found | {"still": media.still(folder / "still.png", "orange", size="50x40")}


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path / "build")


def video(name: str, in_: int = 0, out: int | None = None, speed: float = 1, **more: object) -> Clip:
    return Clip(content=Video(asset_id=name, in_=in_, out=out, speed=speed), **more)


def track(*clips: Clip) -> Track:
    return Track(clips=clips)


# --- rates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("canvas", RATES)
@pytest.mark.parametrize("rate", RATES)
async def test_any_mix_of_rates_is_the_same_in_spans_and_shows_the_right_frames(
    studio: Studio, films: Mapping[str, Path], rate: str, canvas: str
) -> None:
    source = await studio.take("a", films[rate])
    lasts = studio.sources["a"].facts.frames(Fraction(canvas)) or 0
    late, fade = lasts - 23, 6
    edit = studio.scene(
        track(
            video("a", 7, 22),
            video("a", late, None),  # to the source's very end
            video("a", 0, 20, transition=Transition(frames=fade)),
        ),
        rate=canvas,
    )
    fading = 15 + 23 - fade
    # Before and after a cut, single frames at the source's end, in the middle of the transition, the last frame alone.
    seen = studio.alike(edit, [3, 14, 15, 16, fading + 2, fading + 3, fading + 5, fading + 12, edit.length - 1])
    expected = [*shown(source, canvas, 7, 15), *shown(source, canvas, late, 23)]
    assert seen[: fading + 1] == expected[: fading + 1]
    assert seen[fading + fade :] == shown(source, canvas, fade, 20 - fade)


@pytest.mark.parametrize("speed", ["0.5", "2", "1.37"])
@pytest.mark.parametrize(("rate", "canvas"), [("25", "25"), ("24000/1001", "30"), ("60", "30000/1001")])
async def test_other_speeds_are_the_same_in_spans(
    studio: Studio, films: Mapping[str, Path], rate: str, canvas: str, speed: str
) -> None:
    source = await studio.take("a", films[rate])
    edit = studio.scene(track(video("a", 5, 40, float(speed)), video("a", 9, 30, float(speed))), rate=canvas)
    cut = edit.tracks[0][0].end
    seen = studio.alike(edit, [1, 6, 11, 12, cut - 1, cut, cut + 4, edit.length - 1])
    assert seen == [
        *shown(source, canvas, 5, cut, speed),
        *shown(source, canvas, 9, edit.length - cut, speed),
    ]


# --- files as they come ---------------------------------------------------------------------------------------------


def _options(*options: str, **more: Any) -> Callable[[Path], Path]:
    return lambda path: colored(path, frames=60, options=options, **more)


def _copied(
    *before: str, after: Sequence[str] = (), sound: Sequence[str] = (), suffix: str = "mp4"
) -> Callable[[Path], Path]:
    """A usual film, copied with these options before and after its name."""

    def make(path: Path) -> Path:
        film = colored(path.with_name("film.mp4"), frames=60)
        media.ffmpeg(*before, "-i", film, *sound, "-c:v", "copy", *after, path)
        return path

    return make


def _uneven(path: Path) -> Path:
    """As screens and phones record: nothing new for a while, then a burst; the last frame stays for half a second."""
    gaps = "select='not(between(n,10,25))*not(eq(mod(n,7),3))'"
    last = ("-bsf:v", "setts=duration=if(eq(N\\,35)\\,7680\\,DURATION)", "-video_track_timescale", "15360")
    options = (*LONG_GROUPS, "-bf", "0", "-fps_mode", "vfr", *last)
    return colored(path, frames=60, rate="30", options=options, filters=gaps)


def _rotated(path: Path) -> Path:
    """As phones record upright: stored lying, with the note that it must be turned clockwise."""
    upright, lying = colored(path.with_name(UPRIGHT), frames=60), path.with_name("lying.mp4")
    media.ffmpeg("-i", upright, "-vf", "transpose=cclock", *LONG_GROUPS, lying)
    media.ffmpeg("-display_rotation", "-90", "-i", lying, "-c", "copy", path)
    return path


TONE = ("-f", "lavfi", "-i", "sine=440:d=3:sample_rate=44100")
FILES: dict[str, Callable[[Path], Path]] = {
    "uneven.mp4": _uneven,
    "rotated.mp4": _rotated,
    "odd.mp4": _options("-c:v", "libx264", "-pix_fmt", "yuv444p", "-g", "50", size=(71, 39)),
    "tiny.mkv": _options("-c:v", "ffv1", size=(39, 23)),
    "ten-bits.mp4": _options(
        *("-c:v", "libx265", "-preset", "ultrafast", "-crf", "4", "-pix_fmt", "yuv420p10le"),
        *("-x265-params", "log-level=error:open-gop=1:keyint=30"),
    ),
    "ten-bits.mkv": _options("-c:v", "ffv1", "-pix_fmt", "yuv422p10le"),
    "full-range.mp4": _options(*LONG_GROUPS[:-1], "yuvj420p"),
    "open-groups.mp4": _options(*LONG_GROUPS, "-bf", "3", "-x264-params", "open-gop=1:keyint=24:scenecut=0"),
    "intra-refresh.mp4": _options(*LONG_GROUPS, "-x264-params", "intra-refresh=1:keyint=24"),
    "fragmented.mp4": _options(*LONG_GROUPS, "-movflags", "frag_keyframe+empty_moov"),
    "a.ts": _options(*LONG_GROUPS, "-x264-params", "open-gop=1:keyint=24"),
    "a.avi": _options("-c:v", "mpeg4", "-q:v", "2", "-g", "12"),
    "a.gif": _options(filters="scale=in_range=tv:out_range=pc,format=gray"),
    "a.webm": _options("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "10", "-b:v", "0"),
    "mpeg2.ts": _options("-c:v", "mpeg2video", "-q:v", "2", "-g", "15", "-bf", "2"),
    "av1.webm": _options("-c:v", "libsvtav1", "-preset", "12", "-crf", "20", "-svtav1-params", "keyint=30"),
    "late.mkv": _copied("-itsoffset", "0.53", sound=TONE),
    "late.mp4": _copied("-itsoffset", "0.53", sound=TONE, after=("-c:a", "aac")),
    "far.mp4": _copied(after=("-output_ts_offset", "1000")),
    "far.ts": _copied(after=("-output_ts_offset", "1000")),
    "far.mkv": _copied(after=("-output_ts_offset", "1000.3")),
    "edited.mp4": _copied("-ss", "0.3"),  # an edit list skips what comes before
    "edited-with-sound.mp4": _copied("-ss", "0.3", sound=TONE, after=("-c:a", "aac")),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("rate", ["25", "30000/1001"])
async def test_any_file_is_the_same_in_spans_and_shows_the_right_frames(
    studio: Studio, films_of: Callable[[str], Path], name: str, rate: str
) -> None:
    source = await studio.take("a", films_of(name))
    lasts = studio.sources["a"].facts.frames(Fraction(rate)) or 0
    late = lasts - 20
    edit = studio.scene(track(video("a", 3, 15), video("a", late), video("a", 20, 40)), rate=rate)
    seen = studio.alike(edit, [5, 11, 12, 13, 25, 31, 32, 41, edit.length - 1])
    assert seen == [*shown(source, rate, 3, 12), *shown(source, rate, late, 20), *shown(source, rate, 20, 20)]


def _sparse(path: Path) -> Path:
    """A frame every three seconds, in the order of decoding: each is shown up to six seconds after its turn there."""
    film = path.with_name("film.mkv")
    options = ("-fps_mode", "vfr", "-c:v", "libx264", "-preset", "fast", "-g", "4", "-bf", "2", "-pix_fmt", "yuv420p")
    colored(film, frames=300, options=(*options, "-crf", "4"), filters="select='not(mod(n,75))'")
    media.ffmpeg("-i", film, "-c", "copy", path)
    return path


@pytest.mark.parametrize("was_measured", [True, False])
async def test_frames_that_are_seconds_apart_are_found_from_anywhere(
    studio: Studio, tmp_path: Path, was_measured: bool
) -> None:
    source = await studio.take("a", _sparse(tmp_path / "a.mp4"))
    facts = studio.sources["a"].facts
    assert facts.shown_late_seconds is not None
    assert facts.shown_late_seconds > 1
    if not was_measured:  # as of an asset that was examined before that was
        facts = replace(facts, shown_late_seconds=None)
        studio.sources["a"] = replace(studio.sources["a"], facts=facts)
    edit = studio.scene(track(video("a")))
    starts = range(13, edit.length, 25)
    seen = [number(studio.frames(edit, first, 1)[0]) for first in starts]
    assert seen == [shown(source, "25", first, 1)[0] for first in starts]


@pytest.mark.parametrize("name", ["uneven.mp4", "rotated.mp4", "open-groups.mp4", "a.ts", "late.mkv", "edited.mp4"])
async def test_a_frame_of_the_small_copy_is_the_frame_of_the_file(
    studio: Studio, films_of: Callable[[str], Path], name: str
) -> None:
    source = await studio.take("a", films_of(name))
    lasts = studio.sources["a"].facts.frames(Fraction(30)) or 0
    edit = studio.scene(track(video("a", 2)), rate="30")
    (copy,) = quick(studio.sources, edit.tools).values()
    made(copy, studio.folder, studio.shelf)
    for frame in (0, 7, 13, 31, 32, 44, 45, 46, lasts - 3):
        still = seen(
            edit.timeline,
            studio.sources,
            edit.tools,
            kept={copy.key},
            first=frame,
            count=1,
            width=WIDTH,
            as_clip=False,
        )
        assert copy.key in {each.key for each in still.command.inputs.values()}
        (picture,) = media.pictures(made(still.command, studio.folder, studio.shelf))
        assert picture.number() == shown(source, "30", 2 + frame, 1)[0]


STICKERS: dict[str, tuple[str, ...]] = {
    "a.gif": ("-filter_complex", "split[a][b];[a]palettegen=reserve_transparent=1[p];[b][p]paletteuse"),
    "prores.mov": ("-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuva444p10le"),
    "qtrle.mov": ("-c:v", "qtrle", "-pix_fmt", "argb"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuva420p"),
    "vp8.webm": ("-c:v", "libvpx", "-deadline", "realtime", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p"),
}


@pytest.mark.parametrize("name", STICKERS)
async def test_a_preview_shows_as_much_of_what_lies_behind_a_sticker_as_the_render(
    studio: Studio, tmp_path: Path, name: str
) -> None:
    box = f"color=black@0:s={WIDTH}x{HEIGHT}:r=10:d=1,format=rgba,drawbox=16:8:32:20:yellow:fill:replace=1"
    media.ffmpeg("-f", "lavfi", "-i", box, *STICKERS[name], tmp_path / name)
    await studio.take("a", tmp_path / name)
    edit = studio.scene(track(video("a")), rate="10", background="#ff0000")
    copies = [copy.key for copy in quick(studio.sources, edit.tools).values()]
    still = seen(edit.timeline, studio.sources, edit.tools, kept=copies, first=3, count=1, width=WIDTH, as_clip=False)
    rendered = edit.picture(replace(LOSSLESS, format=Format.PNG, codec=None, crf=None, frame=3), 3, 1)
    pictures = [_rgb(made(each, studio.folder, studio.shelf)) for each in (rendered, still.command)]
    for corner_or_middle in (4 * WIDTH + 4, 18 * WIDTH + 32):
        both = [picture[3 * corner_or_middle :][:3] for picture in pictures]
        assert max(abs(a - b) for a, b in zip(*both, strict=True)) < 24, both


def _rgb(path: Path) -> bytes:
    with av.open(path) as container:
        (frame,) = container.decode(video=0)
        (plane,) = frame.reformat(format="rgb24").planes
        return b"".join(bytes(plane)[row * plane.line_size :][: 3 * frame.width] for row in range(frame.height))


@pytest.fixture(scope="session")
def films_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each of FILES, made once."""
    return cache(lambda name: FILES[name](tmp_path_factory.mktemp("files") / name))


# --- whole movies ---------------------------------------------------------------------------------------------------

SOUNDS = {
    "mono": ("sine=330:sample_rate=44100:d=2", ("-ac", "1")),
    "stereo": ("sine=440:sample_rate=48000:d=2", ("-ac", "2")),
    "surround": ("sine=550:sample_rate=48000:d=2", ("-ac", "6")),
    "silent": None,
}


@pytest.fixture(scope="session")
def talkies(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Films of two seconds with each kind of sound."""
    folder, found = tmp_path_factory.mktemp("talkies"), dict[str, Path]()
    for number, (name, sound) in enumerate(SOUNDS.items()):
        picture = colored(folder / f"{name}-picture.mp4", frames=50, first=100 * number + 1)
        found[name] = picture
        if sound:
            found[name] = folder / f"{name}.mkv"
            source = ("-f", "lavfi", "-i", sound[0])
            media.ffmpeg("-i", picture, *source, "-c:v", "copy", "-c:a", "flac", *sound[1], found[name])
    return found


@pytest.mark.parametrize("rate", ["24000/1001", "25", "60000/1001"])
async def test_a_whole_movie_is_the_picture_and_the_sound_of_one_pass(
    studio: Studio, talkies: Mapping[str, Path], rate: str
) -> None:
    for name, path in talkies.items():
        await studio.take(name, path)
    second = round(Fraction(rate))
    clips = [
        video(name, each % 10, each % 10 + second + 7, transition=Transition(frames=5) if each % 3 else None)
        for each, name in enumerate([*talkies] * 5)
    ]
    title = Clip(content=Text(text="Title", length=3 * second, size=12), start=4 * second)
    edit = studio.scene(track(*clips), track(title), rate=rate)
    plan = movie(edit.timeline, LOSSLESS, studio.sources, edit.tools)
    assert len(plan.spans) >= 3
    result = made(plan.command, studio.folder, studio.shelf)
    assert mismatches(plan.expected, await measure(result, max_pixels=10**6)) == []
    assert decoded(result) == studio.frames(edit, 0, edit.length)
    assert plan.sound is not None
    assert list(media.samples(result)) == list(media.samples(made(plan.sound, studio.folder, studio.shelf)))


# --- what is on the canvas ------------------------------------------------------------------------------------------


async def test_stills_and_clips_of_one_frame_are_the_same_in_spans(studio: Studio, films: Mapping[str, Path]) -> None:
    await studio.take("still", films["still"])
    await studio.take("a", films["50"])
    stills = [
        Clip(content=Image(asset_id="still", length=each), fit=fit) for each, fit in zip((1, 7, 1), Fit, strict=True)
    ]
    shown_once = [video("a", each, each + 1, start=3 * each) for each in range(4)]
    edit = studio.scene(track(*stills, *(video("a", 2 * each, 2 * each + 1) for each in range(6))), track(*shown_once))
    studio.alike(edit, range(edit.length))


@pytest.mark.parametrize("seed", range(12))
async def test_any_edit_is_the_same_in_spans(studio: Studio, films: Mapping[str, Path], seed: int) -> None:
    """Everything a timeline can hold, at random, cut at random."""
    chance = random.Random(seed)
    for name, film in (("a", "30000/1001"), ("b", "50"), ("still", "still")):
        await studio.take(name, films[film])
    rate = chance.choice(["24000/1001", "25", "30"])
    edit = studio.scene(*(_track(chance) for _ in range(chance.randint(2, 3))), rate=rate)
    studio.alike(edit, [chance.randrange(edit.length) for _ in range(4)])


def _track(chance: random.Random, *, depth: int = 0) -> Track:
    clips: list[Clip] = []
    for _ in range(chance.randint(1, 3)):
        fade = chance.randint(1, 4) if clips and chance.random() < 0.6 else 0
        transition = Transition(frames=fade, kind=chance.choice(list(TransitionKind))) if fade else None
        clips.append(_clip(chance, transition, depth=depth))
    return Track(clips=tuple(clips))


def _clip(chance: random.Random, transition: Transition | None, *, depth: int) -> Clip:
    """Long enough for transitions on both sides."""
    length = chance.randint(9, 20)
    usual = {"transition": transition, "fit": chance.choice(list(Fit))}
    if chance.random() < 0.4:
        return Clip(content=_content(chance, length, depth), **usual)
    keys = Keyframes(
        position=tuple(PointKey(frame=each, x=chance.random(), y=chance.random()) for each in _moments(chance)),
        scale=_keys(chance, 0.3, 1.5),
        rotation=_keys(chance, -90, 90),
        opacity=_keys(chance, 0, 1),
    )
    return Clip(
        content=_content(chance, length, depth),
        keyframes=keys,
        position=Point(x=chance.random(), y=chance.random()),
        scale=chance.choice([1.0, 0.4, 1.3]),
        rotation=chance.choice([0.0, 0.0, 30.0]),
        opacity=chance.choice([1.0, 1.0, 0.6]),
        fade_in=chance.choice([0, 3]),
        fade_out=chance.choice([0, 4]),
        effects=tuple(chance.sample(EFFECTS, chance.randint(0, 2))),
        **usual,
    )


EFFECTS: list[Effect] = [
    Blur(radius=2.0),
    Color(brightness=0.1, saturation=1.5, temperature=0.3),
    Flip(axis=FlipAxis.HORIZONTAL),
    KenBurns(),
    Pixelate(size=6.0),
    RoundCorners(radius=8.0),
    Sharpen(),
    Vignette(),
]


def _content(chance: random.Random, length: int, depth: int) -> Content:
    in_ = chance.randint(0, 10)
    text = Text(
        text="Reel\n100%", length=length, size=12, fade_in=chance.choice([0, 3]), fade_out=chance.choice([0, 5])
    )
    cues = (Cue(start=0, end=5, text="One"), Cue(start=3, end=length - 1, text="Two\nthree"))
    contents: list[Content] = [
        Video(asset_id="a", in_=in_, out=in_ + length),
        Video(asset_id="b", in_=in_, out=in_ + 2 * length, speed=2.0),
        Image(asset_id="still", length=length),
        Shape(form=ShapeForm.ELLIPSE, width=30, height=20, length=length, fill="#ff880080"),
        text,
        Captions(cues=cues, length=length, size=8),
    ]
    if depth < 1:
        contents.append(
            Composition(
                width=48,
                height=40,
                tracks=(_track(chance, depth=depth + 1),),
                background=chance.choice([None, "#402010"]),
            )
        )
    return chance.choice(contents)


def _moments(chance: random.Random) -> list[int]:
    return sorted(chance.sample(range(20), chance.choice([0, 0, 1, 3])))


def _keys(chance: random.Random, least: float, most: float) -> tuple[NumberKey, ...]:
    return tuple(
        NumberKey(frame=each, value=round(chance.uniform(least, most), 3), easing=chance.choice(list(Easing)))
        for each in _moments(chance)
    )
