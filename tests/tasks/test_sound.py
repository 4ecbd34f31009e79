"""What is heard is what the timeline says, to the sample: calculated here once more, and compared."""

import array
import hashlib
import math
import random
import subprocess
import wave
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from domain.ffmpeg.command import Command, Original
from domain.ffmpeg.curve import Easing
from domain.ffmpeg.stage import Source
from domain.sound.blocks import Bounds, blocks
from domain.sound.extraction import extracted
from domain.sound.heard import heard
from domain.sound.samples import HEADROOM, samples
from domain.sound.soundtrack import soundtrack
from domain.timeline import (
    Audio,
    Bus,
    Canvas,
    Clip,
    Composition,
    Ducking,
    Keyframes,
    NumberKey,
    Timeline,
    Track,
    Transition,
    Video,
    length,
    placed,
    problems,
)
from tasks.ffmpeg import find_ffmpeg
from tasks.probe import probe
from tests import media
from tests.build import made

pytestmark = pytest.mark.anyio

RATE = Fraction(25)
NTSC = Fraction(30000, 1001)
FLOAT = ("-c:a", "pcm_f32le", "-f", "wav")
FLOATS = ("-f", "f32le", "-c:a", "pcm_f32le", "-ac", "2", "-")
LEAST = HEADROOM / 2**23
"""What 24 bits can tell apart at our headroom."""

Pairs = list[tuple[float, float]]


def noise(path: Path, seconds: float, *, seed: int, loud: float = 0.5, rate: int = 48_000, channels: int = 2) -> Path:
    """White noise of 16 bits, each channel its own."""
    drawn = random.Random(seed)
    values = array.array("h", (int(drawn.uniform(-loud, loud) * 32767) for _ in range(int(seconds * rate) * channels)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(values.tobytes())
    return path


def read(path: Path) -> Pairs:
    """The samples of a WAV file of 16 bits, as they are in it."""
    with wave.open(str(path), "rb") as file:
        values = array.array("h", file.readframes(file.getnframes()))
        channels = file.getnchannels()
    return [(values[each] / 32768, values[each + channels - 1] / 32768) for each in range(0, len(values), channels)]


def decoded(path: Path, *filters: str) -> bytes:
    """The samples of any file, decoded by FFmpeg, as floats of 32 bits in two channels."""
    argv = [find_ffmpeg(None), "-v", "error", "-copyts", "-i", path, *(("-af", *filters) if filters else ())]
    return subprocess.run([*argv, *FLOATS], check=True, capture_output=True).stdout


def pairs(path: Path, *filters: str, factor: float = 1) -> Pairs:
    values = memoryview(decoded(path, *filters)).cast("f")
    return [(values[each] * factor, values[each + 1] * factor) for each in range(0, len(values), 2)]


@dataclass
class Desk:
    """Where sounds are mixed: a folder, and the files by the names of their assets."""

    folder: Path
    shelf: dict[str, Path] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)

    async def add(self, name: str, path: Path) -> None:
        facts = await probe(path, claimed_content_type="", filename="", max_pixels=10**7)
        original = Original(asset_id=name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        self.shelf[name], self.sources[name] = path, Source(original=original, facts=facts)

    def timeline(self, *tracks: Track, rate: Fraction = RATE, **more: object) -> Timeline:
        timeline = Timeline(canvas=Canvas(width=320, height=180, frame_rate=rate), tracks=tracks, **more)
        assert problems(timeline, {name: each.facts for name, each in self.sources.items()}) == []
        return timeline

    def command(self, timeline: Timeline, encode: Sequence[str] = FLOAT, result: str = "sound.wav") -> Command:
        facts = {name: each.facts for name, each in self.sources.items()}
        command = soundtrack(
            timeline,
            placed(timeline, facts),
            self.sources,
            length=length(timeline, facts),
            rate=timeline.canvas.frame_rate,
            tool="",
            encode=encode,
            result=result,
        )
        assert command
        return command

    def made(self, command: Command) -> Path:
        return made(command, self.folder / "made", self.shelf)

    def mixed(self, *tracks: Track, rate: Fraction = RATE, **more: object) -> Pairs:
        return pairs(self.made(self.command(self.timeline(*tracks, rate=rate, **more))))

    def extracted(self, name: str) -> Pairs:
        """From the start of the file on; a late start is silent."""
        padded = "aresample=async=1:min_comp=0.00001:first_pts=0"
        return pairs(self.made(extracted(self.sources[name], tool="")), padded, factor=HEADROOM)

    def joined(self, timeline: Timeline, bounds: Bounds) -> tuple[int, bytes]:
        """All blocks of a timeline that lie within these bounds, one behind the other."""
        facts = {name: each.facts for name, each in self.sources.items()}
        rate = timeline.canvas.frame_rate
        sounds = list(heard(placed(timeline, facts), self.sources, rate))
        extracts = {name: extracted(each, tool="") for name, each in self.sources.items()}
        total = samples(length(timeline, facts), rate)
        found = blocks(sounds, extracts, total, tool="", bounds=bounds)
        return len(found), b"".join(decoded(self.made(each)) for each in found)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def sound(name: str, in_: int = 0, out: int | None = None, **more: object) -> Clip:
    of_clip = {key: more.pop(key) for key in ("start", "bus", "keyframes") if key in more}
    return Clip(content=Audio(asset_id=name, in_=in_, out=out, **more), **of_clip)


def track(*clips: Clip) -> Track:
    return Track(clips=clips)


def summed(total: int, parts: Iterable[tuple[int, Pairs, Callable[[int], float]]]) -> Pairs:
    """Sounds at their places, each with how loud its samples are."""
    mix = [[0.0, 0.0] for _ in range(total)]
    for start, values, level in parts:
        for index, (left, right) in enumerate(values):
            factor = level(index)
            mix[start + index][0] += left * factor
            mix[start + index][1] += right * factor
    return [(left, right) for left, right in mix]


def farthest(one: Pairs, other: Pairs) -> float:
    """By how much samples differ at most."""
    assert len(one) == len(other)
    return max(max(abs(a - c), abs(b - d)) for (a, b), (c, d) in zip(one, other, strict=True))


# What an asset sounds like


async def test_a_sound_of_16_bits_comes_through_as_it_is(desk: Desk, tmp_path: Path) -> None:
    await desk.add("a", noise(tmp_path / "a.wav", 2, seed=1, loud=1))
    original = read(tmp_path / "a.wav")
    assert desk.extracted("a") == original
    assert desk.mixed(track(sound("a", 7, 40))) == original[7 * 1920 : 40 * 1920]


async def test_one_channel_goes_to_both_sides_as_it_is(desk: Desk, tmp_path: Path) -> None:
    await desk.add("a", noise(tmp_path / "a.wav", 1, seed=1, channels=1))
    assert desk.extracted("a") == read(tmp_path / "a.wav")


async def test_surround_is_mixed_down_without_its_lowest_channel(desk: Desk, tmp_path: Path) -> None:
    levels = (0.1, 0.2, 0.3, 0.9, 0.05, 0.15)  # left, right, centre, LFE, surround left, surround right
    steady = "|".join(map(str, levels))
    for name, codec in (("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("f.wav", "pcm_f32le")):
        source = f"aevalsrc={steady}:s=48000:d=0.5:c=5.1"
        media.ffmpeg("-f", "lavfi", "-i", source, "-c:a", codec, tmp_path / name)
        await desk.add(name, tmp_path / name)
        left, right = desk.extracted(name)[12_000]
        assert left == pytest.approx(0.1 + math.sqrt(0.5) * (0.3 + 0.05), abs=1e-3)
        assert right == pytest.approx(0.2 + math.sqrt(0.5) * (0.3 + 0.15), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.flac", ()),
        ("a.m4a", ("-c:a", "aac")),
        ("a44.m4a", ("-c:a", "aac", "-ar", "44100")),
        ("a.mp3", ("-c:a", "libmp3lame")),
        ("a.ogg", ("-c:a", "libvorbis")),
        ("a.webm", ("-c:a", "libopus")),
        ("a.mka", ("-c:a", "aac")),
        ("a44.wav", ("-ar", "44100")),
        ("a8.wav", ("-ar", "8000")),
    ],
)
async def test_sound_begins_where_it_began_before_it_was_compressed(
    desk: Desk, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    """What encoders put before the first sample is not heard, nor does another rate shift anything."""
    low = ("-af", "lowpass=1500,lowpass=1500" if "8000" in options else "lowpass=9000")  # what they can carry
    media.ffmpeg("-i", noise(tmp_path / "noise.wav", 1, seed=3), *low, "-c:a", "pcm_s16le", tmp_path / "low.wav")
    media.ffmpeg("-i", tmp_path / "low.wav", *options, tmp_path / name)
    await desk.add("a", tmp_path / name)
    reference, found = read(tmp_path / "low.wav"), desk.extracted("a")
    assert len(found) == pytest.approx(48_000, abs=1024)

    def likeness(shift: int) -> float:
        return sum(reference[each][0] * found[each + shift][0] for each in range(20_000, 24_000))

    assert max(range(-40, 41), key=likeness) == 0


async def test_a_sound_that_starts_late_in_its_file_does_so_on_the_timeline(desk: Desk, tmp_path: Path) -> None:
    tone, pictures = media.tone(tmp_path / "tone.wav", seconds=1), media.counter(tmp_path / "a.mp4", frames=50)
    for name, codec, accuracy in (("late.mov", "pcm_s16le", 0), ("late.mkv", "pcm_s16le", 48), ("late.mp4", "aac", 64)):
        delayed = ("-i", pictures, "-itsoffset", "0.52", "-i", tone, "-c:v", "copy", "-c:a", codec)
        media.ffmpeg(*delayed, tmp_path / name)
        await desk.add(name, tmp_path / name)
        found = desk.mixed(track(Clip(content=Video(asset_id=name, in_=10))))
        assert len(found) == 40 * 1920
        first = next(index for index, (left, _) in enumerate(found) if abs(left) > 0.02)
        assert first == pytest.approx(3 * 1920 + 2, abs=accuracy + 4)


async def test_a_sound_that_starts_very_late_is_entered_at_the_right_sample(desk: Desk, tmp_path: Path) -> None:
    noise(tmp_path / "noise.wav", 4, seed=18)
    pictures = media.counter(tmp_path / "a.mp4", frames=25 * 9)
    delayed = ("-i", pictures, "-itsoffset", "3", "-i", tmp_path / "noise.wav", "-c:v", "copy", "-c:a", "pcm_s16le")
    media.ffmpeg(*delayed, tmp_path / "late.mov")
    await desk.add("late", tmp_path / "late.mov")
    whole = [(0.0, 0.0)] * 75 * 1920 + read(tmp_path / "noise.wav") + [(0.0, 0.0)] * 50 * 1920
    entries = (120, 150, 74, 40, 200, 90)
    found = desk.mixed(track(*(Clip(content=Video(asset_id="late", in_=each, out=each + 2)) for each in entries)))
    assert found == [pair for each in entries for pair in whole[each * 1920 : (each + 2) * 1920]]


async def test_a_gap_in_a_sound_stays_a_gap(desk: Desk, tmp_path: Path) -> None:
    """As where packets were lost: what comes behind must not move up."""
    tone = media.tone(tmp_path / "tone.wav", seconds=2)
    gap = "aselect='not(between(t,0.5,0.9))'"
    media.ffmpeg("-i", tone, "-af", f"asetnsamples=480,{gap}", "-c:a", "pcm_s16le", tmp_path / "gap.mkv")
    await desk.add("gap", tmp_path / "gap.mkv")
    found = desk.extracted("gap")
    quiet = [index for index, (left, _) in enumerate(found) if left == 0]
    assert len(found) == pytest.approx(96_000, abs=480)
    assert len([each for each in quiet if 24_500 < each < 43_000]) == 43_000 - 24_501
    assert max(abs(left) for left, _ in found[44_000:]) > 0.49


async def test_a_sound_that_turns_from_stereo_to_surround_goes_on_where_it_was(desk: Desk, tmp_path: Path) -> None:
    """As recorded television does between a film and its advertisements."""
    for name, levels, layout, at in (("a.ts", "0.2|0.2", "stereo", 0), ("b.ts", "0.4|0.4|0|0|0|0", "5.1", 1)):
        source = "|".join(f"{level}*sin(2*PI*440*t)" for level in levels.split("|"))
        options = ("-c:a", "ac3", "-output_ts_offset", str(at))
        media.ffmpeg("-f", "lavfi", "-i", f"aevalsrc={source}:s=48000:d=1:c={layout}", *options, tmp_path / name)
    (tmp_path / "tv.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    await desk.add("tv", tmp_path / "tv.ts")
    found = desk.extracted("tv")
    assert len(found) == pytest.approx(96_000, abs=2000)
    assert max(left for left, _ in found[9_600:45_000]) == pytest.approx(0.2, abs=0.01)
    assert max(left for left, _ in found[52_000:90_000]) == pytest.approx(0.4, abs=0.01)


# Places and levels


async def test_a_mix_is_the_sum_of_its_sounds_at_their_levels(desk: Desk, tmp_path: Path) -> None:
    await desk.add("a", noise(tmp_path / "a.wav", 3, seed=1))
    await desk.add("b", noise(tmp_path / "b.wav", 3, seed=2, channels=1))
    found = desk.mixed(
        track(sound("a", 5, 40, volume=0.7), sound("b", 0, 20, start=45)),
        track(sound("b", 10, 60, start=3, fade_in=10, fade_out=15)),
    )
    a, b = read(tmp_path / "a.wav"), read(tmp_path / "b.wav")

    def faded(index: int) -> float:
        return min(1, index / 19_200, (50 * 1920 - index) / (15 * 1920))

    expected = summed(
        65 * 1920,
        [
            (0, a[5 * 1920 : 40 * 1920], lambda _: 0.7),
            (45 * 1920, b[: 20 * 1920], lambda _: 1),
            (3 * 1920, b[10 * 1920 : 60 * 1920], faded),
        ],
    )
    assert farthest(found, expected) <= 2 * LEAST


async def test_a_cross_fade_of_a_sound_with_itself_is_not_heard(desk: Desk, tmp_path: Path) -> None:
    """Both sides always add up to one: equal gain."""
    noise(tmp_path / "noise.wav", 2, seed=4)
    media.joined(tmp_path / "a.mov", media.counter(tmp_path / "a.mp4", frames=50), tmp_path / "noise.wav")
    await desk.add("a", tmp_path / "a.mov")
    for rate in (RATE, NTSC):
        before = Clip(content=Video(asset_id="a", out=30))
        after = Clip(content=Video(asset_id="a", in_=18, out=45), transition=Transition(frames=12))
        found = desk.mixed(track(before, after), rate=rate)
        assert farthest(found, read(tmp_path / "noise.wav")[: samples(45, rate)]) <= 2 * LEAST


async def test_a_cross_fade_goes_evenly_from_the_one_to_the_other(desk: Desk, tmp_path: Path) -> None:
    for name, level in (("low", 0.25), ("high", 0.75)):
        steady = f"aevalsrc={level}|{level}:s=48000:d=2"
        media.ffmpeg("-f", "lavfi", "-i", steady, "-c:a", "pcm_s16le", tmp_path / f"{name}.wav")
        pictures = media.counter(tmp_path / f"{name}.mp4", frames=50)
        await desk.add(name, media.joined(tmp_path / f"{name}.mov", pictures, tmp_path / f"{name}.wav"))
    clips = [Clip(content=Video(asset_id="low", out=30)), Clip(content=Video(asset_id="high", out=30))]
    found = desk.mixed(track(clips[0], Clip(content=clips[1].content, transition=Transition(frames=10))))
    ramp = [0.25] * 20 * 1920 + [0.25 + 0.5 * each / 19_200 for each in range(19_200)] + [0.75] * 20 * 1920
    assert farthest(found, [(each, each) for each in ramp]) <= 2 * LEAST + 2**-15


async def test_the_volume_follows_its_key_frames_from_sample_to_sample(desk: Desk, tmp_path: Path) -> None:
    await desk.add("a", noise(tmp_path / "a.wav", 2, seed=5))
    keys = (
        NumberKey(frame=5, value=0.2),
        NumberKey(frame=15, value=1.0, easing=Easing.EASE_IN),
        NumberKey(frame=30, value=0.5, easing=Easing.HOLD),
        NumberKey(frame=40, value=2.0),
    )
    found = desk.mixed(track(sound("a", 0, 48, volume=9.0, keyframes=Keyframes(volume=keys))))

    def level(index: int) -> float:
        frame = index / 1920
        if frame < 15:
            return 0.2 + 0.8 * max(0.0, frame - 5) / 10
        if frame < 30:
            return 1 - 0.5 * ((frame - 15) / 15) ** 3
        return 0.5 if frame < 40 else 2.0

    expected = summed(48 * 1920, [(0, read(tmp_path / "a.wav")[: 48 * 1920], level)])
    assert farthest(found, expected) <= 2 * LEAST


async def test_a_composition_brings_its_sounds_at_its_own_level(desk: Desk, tmp_path: Path) -> None:
    await desk.add("a", noise(tmp_path / "a.wav", 2, seed=6))
    inner = Composition(width=64, height=64, tracks=(track(sound("a", 3, 23, start=5, volume=0.5)),), volume=0.8)
    outer = Composition(width=64, height=64, tracks=(track(Clip(content=inner, start=4, fade_in=10)),))
    found = desk.mixed(track(Clip(content=outer, start=2, fade_out=10)))

    def level(index: int) -> float:
        index += 5 * 1920  # the inner composition's own time
        return 0.5 * 0.8 * min(1, index / 19_200) * min(1, (25 * 1920 - index) / 19_200)

    expected = summed(31 * 1920, [(11 * 1920, read(tmp_path / "a.wav")[3 * 1920 : 23 * 1920], level)])
    assert farthest(found, expected) <= 2 * LEAST


async def test_a_sum_that_is_too_loud_on_its_bus_is_whole_once_that_is_turned_down(desk: Desk, tmp_path: Path) -> None:
    await desk.add("a", noise(tmp_path / "a.wav", 1, seed=7, loud=1))
    tracks = [track(sound("a", 0, 25, bus="all")) for _ in range(5)]
    found = desk.mixed(*tracks, buses=(Bus(name="all", volume=0.2),))
    assert farthest(found, read(tmp_path / "a.wav")) <= 1e-5


async def test_a_sound_that_ends_early_is_followed_by_silence(desk: Desk, tmp_path: Path) -> None:
    noise(tmp_path / "noise.wav", 1, seed=8)
    pictures = media.counter(tmp_path / "a.mp4", frames=75)
    await desk.add("a", media.joined(tmp_path / "a.mov", pictures, tmp_path / "noise.wav"))
    found = desk.mixed(
        track(Clip(content=Video(asset_id="a", in_=20, out=40)), Clip(content=Video(asset_id="a", in_=60)))
    )
    assert found == read(tmp_path / "noise.wav")[20 * 1920 :] + [(0, 0)] * (15 + 15) * 1920


@pytest.mark.parametrize("rate", [RATE, NTSC, Fraction(24000, 1001), Fraction(60)])
async def test_the_encoded_sound_is_as_long_as_the_picture_to_the_sample(
    desk: Desk, tmp_path: Path, rate: Fraction
) -> None:
    await desk.add("a", media.tone(tmp_path / "a.wav", seconds=3))
    timeline = desk.timeline(track(sound("a", 0, 47)), rate=rate)
    for encode, result in (
        (("-c:a", "aac", "-b:a", "192k", "-movie_timescale", "48000", "-f", "ipod"), "sound.m4a"),
        (("-c:a", "libmp3lame", "-f", "mp3"), "sound.mp3"),
        (("-c:a", "pcm_s16le", "-f", "wav"), "sound.wav"),
    ):
        assert len(decoded(desk.made(desk.command(timeline, encode, result)))) == samples(47, rate) * 8


# Blocks


@pytest.mark.parametrize("rate", [RATE, NTSC])
async def test_every_sample_is_the_same_whichever_block_it_is_made_in(
    desk: Desk, tmp_path: Path, rate: Fraction
) -> None:
    noise(tmp_path / "a.wav", 4, seed=9)
    pictures = media.counter(tmp_path / "a.mp4", frames=100)
    await desk.add("a", media.joined(tmp_path / "a.mov", pictures, tmp_path / "a.wav"))
    await desk.add("b", noise(tmp_path / "b.wav", 4, seed=10, rate=44_100, channels=1))
    keys = tuple(NumberKey(frame=each * 9, value=each % 3 / 2, easing=list(Easing)[each]) for each in range(6))
    inner = Composition(width=64, height=64, tracks=(track(sound("b", 1, 60, fade_in=7, speed=1.3)),), volume=0.77)
    timeline = desk.timeline(
        track(
            Clip(content=Video(asset_id="a", out=50, volume=0.3)),
            Clip(content=Video(asset_id="a", in_=13, out=70, speed=0.8), transition=Transition(frames=17)),
        ),
        track(sound("b", 3, 90, start=5, fade_in=40, fade_out=40, keyframes=Keyframes(volume=keys))),
        track(Clip(content=inner, start=20, fade_in=11, fade_out=30)),
        track(*(sound("a", each, each + 1) for each in range(0, 80, 2))),
        rate=rate,
    )
    whole, alone = desk.joined(timeline, Bounds(shortest=100, usual=200, longest=300))
    many, parts = desk.joined(timeline, Bounds(shortest=0.05, usual=0.13, longest=0.21))
    assert whole == 1
    assert many > 15
    assert alone == parts


async def test_a_long_sound_is_entered_on_the_right_sample(desk: Desk, tmp_path: Path) -> None:
    await desk.add("a", noise(tmp_path / "a.wav", 20, seed=11))
    entries = [499, 3, 250, 251, 437, 26, 25, 24]
    found = desk.mixed(track(*(sound("a", each, each + 1) for each in entries)))
    original = read(tmp_path / "a.wav")
    assert found == [pair for each in entries for pair in original[each * 1920 : each * 1920 + 1920]]


async def test_hundreds_of_sounds_at_once_add_up(desk: Desk, tmp_path: Path) -> None:
    await desk.add("a", noise(tmp_path / "a.wav", 1, seed=12, loud=0.9))
    many = Composition(width=64, height=64, tracks=tuple(track(sound("a", 2, 4, volume=0.005)) for _ in range(50)))
    found = desk.mixed(*(track(Clip(content=many)) for _ in range(4)))
    expected = summed(2 * 1920, [(0, read(tmp_path / "a.wav")[2 * 1920 : 4 * 1920], lambda _: 1.0)])
    assert farthest(found, expected) <= 2 * LEAST


# Speed


def crossings(values: Pairs) -> float:
    """The pitch of a tone: how often a second it rises through zero."""
    rising = sum(before[0] < 0 <= after[0] for before, after in pairwise(values))
    return rising * 48_000 / len(values)


@pytest.mark.parametrize("speed", [0.25, 0.8, 1.5, 4.0])
async def test_another_speed_keeps_the_pitch_and_lasts_as_long_as_it_should(
    desk: Desk, tmp_path: Path, speed: float
) -> None:
    await desk.add("a", media.tone(tmp_path / "a.wav", seconds=4))
    found = desk.mixed(track(sound("a", 10, 90, speed=speed)))
    assert len(found) == round(80 / speed) * 1920
    assert crossings(found[4800:-4800]) == pytest.approx(440, rel=0.02)
    assert max(abs(left) for left, _ in found[-4800:-2400]) == pytest.approx(0.5, abs=0.1)


# Buses


def strength(values: Pairs, hertz: float) -> float:
    """The amplitude of one frequency."""
    turns = [2 * math.pi * hertz * index / 48_000 for index in range(len(values))]
    real = sum(left * math.cos(turn) for (left, _), turn in zip(values, turns, strict=True))
    imaginary = sum(left * math.sin(turn) for (left, _), turn in zip(values, turns, strict=True))
    return 2 * math.hypot(real, imaginary) / len(values)


def decibels(one: float, other: float) -> float:
    return 20 * math.log10(one / other)


@pytest.mark.parametrize(("lower", "loud"), [(3.0, 0.9), (12.0, 0.9), (12.0, 0.05), (24.0, 0.2), (40.0, 0.05)])
async def test_ducking_makes_a_bus_quieter_by_so_much_while_another_is_heard(
    desk: Desk, tmp_path: Path, lower: float, loud: float
) -> None:
    await desk.add("music", media.tone(tmp_path / "music.wav", seconds=6, hertz=400))
    await desk.add("voice", noise(tmp_path / "voice.wav", 2, seed=13, loud=loud))
    await desk.add("room", noise(tmp_path / "room.wav", 2, seed=14, loud=0.004))
    voice, music = Bus(name="voice"), Bus(name="music", ducking=Ducking(under="voice", decibels=lower))
    alone = track(sound("music", 0, 150, bus="music"))
    voices = track(sound("room", bus="voice"), sound("voice", 0, 50, bus="voice"))
    found, voice_only = (
        desk.mixed(*tracks, buses=(voice, music))
        for tracks in ((alone, voices), (voices, track(sound("music", 0, 150, volume=0.0))))
    )
    heard = [(left - other, 0.0) for (left, _), (other, _) in zip(found, voice_only, strict=True)]
    second = [heard[each : each + 24_000] for each in range(0, len(heard), 24_000)]
    assert strength(second[2], 400) == pytest.approx(0.5, rel=0.02)  # under the noise of a room
    assert decibels(strength(second[5], 400), 0.5) == pytest.approx(-lower, abs=1.5)
    assert decibels(strength(second[7], 400), 0.5) == pytest.approx(-lower, abs=1.5)
    assert strength(second[10], 400) == pytest.approx(0.5, rel=0.02)


async def test_a_ducked_bus_is_down_and_up_again_in_the_time_it_says(desk: Desk, tmp_path: Path) -> None:
    await desk.add("music", media.tone(tmp_path / "music.wav", seconds=5, hertz=800))
    await desk.add("voice", noise(tmp_path / "voice.wav", 1, seed=15))
    ducking = Ducking(under="voice", decibels=20, attack_ms=200, release_ms=1000)
    voice, music = Bus(name="voice", volume=0.5), Bus(name="music", ducking=ducking)
    parts = track(sound("voice", start=25, bus="voice"))
    found = desk.mixed(track(sound("music", 0, 125, bus="music")), parts, buses=(voice, music))

    def level(seconds: float) -> float:
        at = round(seconds * 48_000)
        return decibels(strength(found[at : at + 1200], 800), 0.5)

    assert level(0.95) == pytest.approx(0, abs=0.1)
    assert level(2.02) < -17  # no voice any more, the music not yet back
    assert level(2.5) == pytest.approx(-10, abs=2)
    assert level(2.8) == pytest.approx(-4, abs=2)
    assert level(3.1) == pytest.approx(0, abs=0.3)


async def test_a_bus_that_nothing_is_heard_on_ducks_nothing(desk: Desk, tmp_path: Path) -> None:
    await desk.add("a", noise(tmp_path / "a.wav", 1, seed=16))
    ducked = Bus(name="music", ducking=Ducking(under="voice"))
    for buses, voices in (
        ((Bus(name="voice"), ducked), ()),
        ((Bus(name="voice", volume=0.0), ducked), (track(sound("a", bus="voice")),)),
    ):
        assert desk.mixed(track(sound("a", bus="music")), *voices, buses=buses) == read(tmp_path / "a.wav")


# Loudness


def integrated(path: Path) -> tuple[float, float]:
    """How loud a file is, and its true peak, as FFmpeg's meter says at its end."""
    argv = [find_ffmpeg(None), "-hide_banner", "-i", path, "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stderr
    summary = said[said.rindex("Summary:") :].split()
    return float(summary[summary.index("I:") + 1]), float(summary[summary.index("Peak:") + 1])


@pytest.mark.parametrize("target", [-23.0, -16.0])
@pytest.mark.parametrize("loud", [0.9, 0.01])
async def test_the_sound_of_the_whole_is_as_loud_as_asked_for(
    desk: Desk, tmp_path: Path, loud: float, target: float
) -> None:
    await desk.add("a", noise(tmp_path / "a.wav", 4, seed=17, loud=loud))
    path = desk.made(desk.command(desk.timeline(track(sound("a"), sound("a", 0, 25, volume=0.5)), loudness=target)))
    loudness, peak = integrated(path)
    assert loudness == pytest.approx(target, abs=0.5)
    assert peak <= -0.9
    assert len(pairs(path)) == 5 * 48_000


async def test_what_is_made_louder_has_no_peaks_above_the_ceiling(desk: Desk, tmp_path: Path) -> None:
    """Short loud moments in a quiet sound: brought up whole, they would be cut off."""
    quiet = media.tone(tmp_path / "quiet.wav", seconds=4, hertz=997)
    burst = "volume='if(lt(mod(t,1),0.02),1,0.1)':eval=frame"
    media.ffmpeg("-i", quiet, "-af", f"asetnsamples=96,{burst}", "-c:a", "pcm_s16le", tmp_path / "a.wav")
    await desk.add("a", tmp_path / "a.wav")
    loudness, peak = integrated(desk.made(desk.command(desk.timeline(track(sound("a")), loudness=-14.0))))
    assert -1.5 < peak <= -0.9
    assert -17 < loudness < -14  # what the ceiling takes is missing


async def test_the_ceiling_touches_nothing_below_it(desk: Desk, tmp_path: Path) -> None:
    await desk.add("a", media.tone(tmp_path / "a.wav", seconds=2, hertz=1000))
    timeline = desk.timeline(track(sound("a")), loudness=-20.0)
    found = desk.mixed(track(sound("a")), loudness=-20.0)
    (measured,) = [each for each in desk.command(timeline).tree() if each.result == "loudness.txt"]
    assert "lavfi.r128.I=" in desk.made(measured).read_text()
    peaks = [max(abs(left) for left, _ in found[each : each + 480]) for each in range(4800, 90_000, 480)]
    assert max(peaks) - min(peaks) < 1e-4


@pytest.mark.parametrize("frames", [1, 5, 75])
async def test_silence_stays_silence(desk: Desk, tmp_path: Path, frames: int) -> None:
    media.ffmpeg("-f", "lavfi", "-i", "anullsrc=r=48000:d=3", "-c:a", "pcm_s16le", tmp_path / "a.wav")
    await desk.add("a", tmp_path / "a.wav")
    found = desk.mixed(track(sound("a", 0, frames)), loudness=-16.0)
    assert found == [(0.0, 0.0)] * frames * 1920
