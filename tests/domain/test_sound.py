"""The sound of a timeline is a build: what an edit changes is made anew, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest

from domain.ffmpeg.command import Command, Original
from domain.ffmpeg.stage import Source
from domain.media import MediaFacts, MediaKind
from domain.sound.blocks import MOST_INPUTS
from domain.sound.extraction import extracted, quickened
from domain.sound.loudness import gain
from domain.sound.samples import samples
from domain.sound.soundtrack import soundtrack
from domain.timeline import (
    Audio,
    Bus,
    Canvas,
    Clip,
    Composition,
    Ducking,
    Image,
    Keyframes,
    NumberKey,
    Timeline,
    Track,
    Transition,
    Video,
    length,
    placed,
)

RATE = Fraction(25)
AAC = ("-c:a", "aac", "-f", "ipod")


def source(name: str, *, has_sound: bool = True, kind: MediaKind = MediaKind.VIDEO) -> Source:
    facts = MediaFacts(
        kind=kind,
        container="mp4" if kind is MediaKind.VIDEO else "png",
        video_codec="h264",
        audio_codec="aac" if has_sound else None,
        channels=2 if has_sound else None,
        width=320,
        height=180,
        duration_seconds=600.0 if kind is MediaKind.VIDEO else None,
    )
    return Source(original=Original(asset_id=name, sha256=f"sha256-of-{name}"), facts=facts)


SOURCES = {
    "film": source("film"),
    "music": source("music"),
    "silent": source("silent", has_sound=False),
    "picture": source("picture", has_sound=False, kind=MediaKind.IMAGE),
}


def sound_of(
    *tracks: Track, rate: Fraction = RATE, encode: Sequence[str] = AAC, tool: str = "ffmpeg 9", **more: object
) -> Command | None:
    timeline = Timeline(canvas=Canvas(width=320, height=180, frame_rate=rate), tracks=tracks, **more)
    facts = {name: each.facts for name, each in SOURCES.items()}
    return soundtrack(
        timeline,
        placed(timeline, facts),
        SOURCES,
        length=length(timeline, facts),
        rate=rate,
        tool=tool,
        encode=encode,
        result="sound.m4a",
    )


def made(command: Command | None, what: str) -> list[str]:
    """The keys of the commands it is made from that make files of this name."""
    assert command
    return [each.key for each in command.tree() if each.result == what]


def blocks(command: Command | None) -> list[str]:
    return made(command, "block.flac")


def shots(count: int) -> list[Clip]:
    """Four seconds each, all different."""
    return [Clip(content=Video(asset_id="film", in_=each * 110, out=each * 110 + 100)) for each in range(count)]


def changed(before: Command | None, after: Command | None) -> tuple[int, int]:
    """How many blocks are no longer as they were, and out of how many."""
    had = set(blocks(before))
    return sum(key not in had for key in blocks(after)), len(blocks(after))


def test_the_same_edit_is_the_same_sound() -> None:
    one, other = sound_of(Track(clips=tuple(shots(3)))), sound_of(Track(clips=tuple(shots(3))))
    assert one
    assert other
    assert one.key == other.key
    assert one.key != sound_of(Track(clips=tuple(shots(3))), tool="ffmpeg 10").key


def test_another_volume_changes_the_block_it_is_heard_in() -> None:
    clips = shots(60)
    before = sound_of(Track(clips=tuple(clips)))
    clips[30] = replace(clips[30], content=replace(clips[30].content, volume=0.5))
    number, total = changed(before, sound_of(Track(clips=tuple(clips))))
    assert number in {1, 2}
    assert total >= 5


def test_a_shot_more_at_the_beginning_leaves_the_blocks_behind_it() -> None:
    before = sound_of(Track(clips=tuple(shots(60))))
    first = Clip(content=Video(asset_id="music", in_=7, out=60))
    number, total = changed(before, sound_of(Track(clips=(first, *shots(60)))))
    assert number <= 3
    assert total >= 5


def test_a_picture_changes_no_sound() -> None:
    title = Track(clips=(Clip(content=Image(asset_id="picture", length=50), start=30),))
    alone, titled = sound_of(Track(clips=tuple(shots(3)))), sound_of(Track(clips=tuple(shots(3))), title)
    assert alone
    assert titled
    assert alone.key == titled.key


def test_how_a_long_sound_ends_changes_only_its_last_block() -> None:
    music = Clip(content=Audio(asset_id="music", out=6000))
    before = sound_of(Track(clips=(music,)))
    assert changed(before, sound_of(Track(clips=(replace(music, fade_out=50),)))) == (1, 7)
    keys = (NumberKey(frame=0, value=1.0), NumberKey(frame=100, value=0.2))
    assert changed(before, sound_of(Track(clips=(replace(music, keyframes=Keyframes(volume=keys)),)))) == (7, 7)
    keys = (NumberKey(frame=5900, value=1.0), NumberKey(frame=5950, value=0.2))
    assert changed(before, sound_of(Track(clips=(replace(music, keyframes=Keyframes(volume=keys)),)))) == (1, 7)


def test_a_sound_that_has_moved_is_not_made_again() -> None:
    """Its block begins where it begins, so that nothing in it has changed."""
    late = Track(clips=(Clip(content=Audio(asset_id="music", out=6000), start=1500),))
    later = Track(clips=(Clip(content=Audio(asset_id="music", out=6000), start=3750),))
    assert changed(sound_of(late), sound_of(later))[0] == 0


def test_the_level_of_a_bus_and_the_loudness_of_all_leave_the_blocks() -> None:
    tracks = [
        Track(clips=tuple(replace(each, bus="voice") for each in shots(20))),
        Track(clips=(Clip(content=Audio(asset_id="music", out=2000), bus="music"),)),
    ]
    voice, music = Bus(name="voice"), Bus(name="music")
    before = sound_of(*tracks, buses=(voice, music))
    for buses, loudness in (
        ((voice, Bus(name="music", volume=0.5)), None),
        ((voice, Bus(name="music", ducking=Ducking(under="voice"))), None),
        ((voice, music), -16.0),
    ):
        after = sound_of(*tracks, buses=buses, loudness=loudness)
        assert changed(before, after)[0] == 0
        assert after
        assert before
        assert after.key != before.key


def test_a_sound_on_one_bus_leaves_the_blocks_of_the_others() -> None:
    def edit(volume: float) -> Command | None:
        voice = Clip(content=Audio(asset_id="film", out=500, volume=volume), bus="voice", start=40)
        music = Clip(content=Audio(asset_id="music", out=2000), bus="music")
        buses = (Bus(name="voice"), Bus(name="music"))
        return sound_of(Track(clips=(voice,)), Track(clips=(music,)), buses=buses)

    before, after = edit(1.0), edit(0.7)
    assert len(blocks(before)) > 3
    assert changed(before, after)[0] == 1


def test_loudness_is_measured_once_for_all_encodings() -> None:
    loud = {encode: sound_of(*_loud(), encode=("-c:a", encode), loudness=-16.0) for encode in ("aac", "libopus")}
    assert made(loud["aac"], "loudness.txt") == made(loud["libopus"], "loudness.txt")
    assert made(loud["aac"], "loudness.txt") == made(sound_of(*_loud(), loudness=-23.0), "loudness.txt")
    assert len({command.key for command in loud.values() if command}) == 2


def _loud() -> list[Track]:
    return [Track(clips=tuple(shots(2)))]


def test_the_target_is_part_of_the_key() -> None:
    one, other = (sound_of(*_loud(), loudness=loudness) for loudness in (-16.0, -23.0))
    assert one
    assert other
    assert one.key != other.key


@pytest.mark.parametrize("rate", [RATE, Fraction(30000, 1001), Fraction(24000, 1001)])
def test_blocks_follow_one_another_to_the_last_sample(rate: Fraction) -> None:
    for frames in (1, 11, 4999, 14001):
        clip = Clip(content=Audio(asset_id="music", out=frames))
        found = sound_of(Track(clips=(clip,)), rate=rate)
        assert found
        assert round(found.seconds * 48_000) == samples(frames, rate)
        parts = [each.seconds for each in found.tree() if each.result == "block.flac"]
        assert round(sum(parts) * 48_000) == samples(frames, rate)


def test_frames_of_uneven_length_do_not_drift() -> None:
    rate = Fraction(30000, 1001)
    assert [samples(frames, rate) for frames in (0, 1, 2, 3, 4, 5)] == [0, 1602, 3203, 4805, 6406, 8008]
    assert samples(30_000 * 3600 // 1001 * 1001, rate) == 30_000 * 3600 // 1001 * 1001 * 48_000 * 1001 // 30_000


def test_long_silence_is_made_once() -> None:
    clips = (Clip(content=Audio(asset_id="music", out=50)), Clip(content=Audio(asset_id="film", out=50), start=50_000))
    found = sound_of(Track(clips=clips))
    assert found
    (listed,) = found.files.values()
    assert len(listed.splitlines()) > 60
    assert len(set(blocks(found))) <= 5


def test_however_many_sounds_a_block_has_no_command_reads_more_than_a_few() -> None:
    clips = tuple(Clip(content=Audio(asset_id="music", in_=each, out=each + 1)) for each in range(500))
    found = sound_of(Track(clips=clips))
    assert found
    groups = [each for each in found.tree() if each.result == "group.wav"]
    assert len(groups) == 500 // MOST_INPUTS + 1
    assert max(each.argv.count("-i") for each in found.tree()) <= MOST_INPUTS
    at_once = tuple(
        Composition(width=64, height=64, tracks=tuple(Track(clips=(clip,)) for clip in clips[:40])) for _ in range(30)
    )
    found = sound_of(*(Track(clips=(Clip(content=each),)) for each in at_once))
    assert found
    assert max(each.argv.count("-i") for each in found.tree()) <= MOST_INPUTS


@pytest.mark.parametrize(
    "clip",
    [
        Clip(content=Video(asset_id="silent", out=50)),
        Clip(content=Video(asset_id="film", out=50, volume=0.0)),
        Clip(content=Video(asset_id="film", out=50), bus="mute"),
        Clip(content=Image(asset_id="picture", length=50)),
        Clip(content=Video(asset_id="film", out=50), keyframes=Keyframes(volume=(NumberKey(frame=3, value=0.0),))),
        Clip(
            content=Composition(
                width=64, height=64, tracks=(Track(clips=(Clip(content=Video(asset_id="film", out=9)),)),), volume=0.0
            )
        ),
    ],
)
def test_where_nothing_is_heard_there_is_no_sound(clip: Clip) -> None:
    assert sound_of(Track(clips=(clip,)), buses=(Bus(name="mute", volume=0.0),)) is None


def test_a_transition_fades_the_sounds_of_both_clips() -> None:
    cut, faded = (
        sound_of(Track(clips=(shots(2)[0], replace(shots(2)[1], transition=transition))))
        for transition in (None, Transition(frames=10))
    )
    assert set(blocks(cut)).isdisjoint(blocks(faded))


def test_the_sound_of_an_asset_hangs_on_its_file_alone() -> None:
    one = extracted(SOURCES["film"], tool="ffmpeg 9")
    again = replace(SOURCES["film"], original=replace(SOURCES["film"].original, asset_id="copy"))
    assert extracted(again, tool="ffmpeg 9").key == one.key
    assert extracted(SOURCES["music"], tool="ffmpeg 9").key != one.key
    assert extracted(SOURCES["film"], tool="ffmpeg 10").key != one.key


@pytest.mark.parametrize("speed", ["0.1", "0.25", "0.3333", "0.99", "1.5", "2", "3.7", "10"])
def test_a_speed_is_reached_in_steps_that_can_be_done(speed: str) -> None:
    command = quickened(extracted(SOURCES["film"], tool=""), 0, 48_000, Fraction(speed), tool="")
    graph = command.argv[command.argv.index("-filter_complex") + 1]
    steps = [float(each.partition("=")[2]) for each in graph.replace("]", ",").split(",") if each.startswith("atempo")]
    product = 1.0
    for step in steps:
        assert 0.5 <= step <= 2
        product *= step
    assert product == pytest.approx(float(speed), rel=1e-6)


@pytest.mark.parametrize(
    ("measured", "decibels"),
    [
        ("frame:9 pts:1\nlavfi.r128.I=-30.250\nframe:10 pts:2\nlavfi.r128.I=-23.500\n", "7.50"),
        ("lavfi.r128.I=-12.000\n", "-4.00"),
        ("lavfi.r128.I=-70.000\n", "0"),
        ("lavfi.r128.I=-inf\n", "0"),
        ("lavfi.r128.I=nan\n", "0"),
        ("lavfi.r128.I=\n", "0"),
        ("", "0"),
    ],
)
def test_the_gain_leads_to_the_target_and_leaves_silence_alone(measured: str, decibels: str) -> None:
    assert gain(measured, -16.0) == decibels
