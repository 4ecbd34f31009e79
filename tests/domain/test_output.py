"""What a render is asked to make: presets, choices of one's own, and what of them cannot be."""

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from domain.refusals import Problem
from domain.render.encode import encoders, gif_frames, join_arguments, sound_name, ticks, video_arguments
from domain.render.output import Format, Output, OutputPreset, Speed, VideoCodec
from domain.render.verify import Expected, Measured, mismatches, verification
from domain.timeline import Canvas

HD = Output(codec=VideoCodec.H264, width=1280, height=720, crf=20)
GIF = Output(format=Format.GIF, width=320, height=180)
PAL, NTSC, FILM = Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001)


def canvas(width: int, height: int) -> Canvas:
    return Canvas(width=width, height=height, frame_rate=PAL)


# --- presets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "on", "size"),
    [
        (OutputPreset.H264_2160P, (1920, 1080), (3840, 2160)),
        (OutputPreset.H264_1080P, (1920, 1080), (1920, 1080)),
        (OutputPreset.H264_720P, (1920, 1080), (1280, 720)),
        (OutputPreset.H264_480P, (1920, 1080), (854, 480)),
        (OutputPreset.H265_1080P, (1080, 1920), (1080, 1920)),
        (OutputPreset.H265_720P, (500, 500), (720, 720)),
        (OutputPreset.H264_720P, (1440, 1080), (960, 720)),
        (OutputPreset.H264_1080P, (4096, 16), (4096, 16)),
        (OutputPreset.H264_1080P, (2048, 64), (4096, 128)),
        (OutputPreset.GIF_240P, (1920, 1080), (426, 240)),
        (OutputPreset.JPEG, (1920, 1080), (1920, 1080)),
        (OutputPreset.MP3, (1920, 1080), (0, 0)),
    ],
)
def test_a_preset_fixes_the_shorter_side(preset: OutputPreset, on: tuple[int, int], size: tuple[int, int]) -> None:
    output = preset.output(canvas(*on))
    assert (output.width, output.height) == size


@pytest.mark.parametrize("preset", OutputPreset)
def test_every_preset_can_be_made(preset: OutputPreset) -> None:
    output = preset.output(canvas(1920, 1080))
    assert output.problems(canvas=canvas(1920, 1080), length=250) == []
    assert (output.codec or output.format).value == preset.value.partition("_")[0]
    assert output.format is (output.codec.usual_format if output.codec else output.format)
    assert Output.from_json(json.loads(json.dumps(output.to_json()))) == output


def test_each_format_has_its_kind_of_file() -> None:
    assert {each.value: (each.content_type, each.extension) for each in Format} == {
        "MP4": ("video/mp4", "mp4"),
        "WEBM": ("video/webm", "webm"),
        "GIF": ("image/gif", "gif"),
        "PNG": ("image/png", "png"),
        "JPEG": ("image/jpeg", "jpg"),
        "MP3": ("audio/mpeg", "mp3"),
        "AAC": ("audio/mp4", "m4a"),
        "WAV": ("audio/wav", "wav"),
    }


# --- what cannot be made --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "problems"),
    [
        (
            replace(HD, width=15, height=721, crf=52),
            [
                Problem("width", "it must be 16 to 4096 pixels, not 15"),
                Problem("height", "it must be even, not 721"),
                Problem("crf", "it must be 0 to 51, not 52"),
            ],
        ),
        (replace(HD, codec=VideoCodec.H265, width=16, height=4096, crf=0), []),
        (replace(HD, codec=VideoCodec.AV1, crf=0), [Problem("crf", "it must be 1 to 63, not 0")]),
        (replace(HD, codec=VideoCodec.AV1, format=Format.WEBM, crf=63), []),
        (
            replace(HD, codec=VideoCodec.VP9),
            [Problem("format", "MP4 takes H264 or H265 or AV1, not VP9; leave it out for what fits")],
        ),
        (replace(HD, codec=None), [Problem("codec", "a movie needs one")]),
        (replace(HD, crf=None), [Problem("crf", "say one of crf, bitrate and sizeBytes")]),
        (replace(HD, bitrate=10**6), [Problem("bitrate", "say one of crf, bitrate and sizeBytes")]),
        (replace(HD, crf=None, bitrate=1), [Problem("bitrate", "it must be 50000 to 200000000 bits a second, not 1")]),
        (replace(HD, crf=None, bitrate=10**6), []),
        (replace(HD, max_bitrate=10**6), []),
        (
            replace(HD, crf=None, size_bytes=10**6, max_bitrate=10**6),
            [Problem("maxBitrate", "it goes with crf only: a bitrate or a size is a limit of its own")],
        ),
        (
            replace(HD, crf=0, max_bitrate=10**6),
            [Problem("maxBitrate", "crf 0 is lossless in H.264, which takes what it takes")],
        ),
        (replace(HD, crf=None, size_bytes=0), [Problem("sizeBytes", "it must be more than 0, not 0")]),
        (
            replace(HD, sound_bitrate=8000, frame=-1),
            [
                Problem("soundBitrate", "it must be 32000 to 320000 bits a second, not 8000"),
                Problem("posterFrame", "frames are counted from 0, -1 is none"),
            ],
        ),
        (
            replace(GIF, frame_rate=Fraction(60)),
            [Problem("frameRate", "it must be 1 to 50 frames a second, as a GIF counts time, not 60")],
        ),
        (
            Output(format=Format.PNG, width=320, height=180, frame=-1),
            [Problem("frame", "frames are counted from 0, -1 is none")],
        ),
        (
            Output(format=Format.WAV, sound_bitrate=192_000),
            [Problem("bitrate", "a WAV file is not compressed: leave it out")],
        ),
        (Output(format=Format.MP3, sound_bitrate=320_000), []),
    ],
)
def test_every_problem_of_an_output_is_named(output: Output, problems: list[Problem]) -> None:
    assert output.problems() == problems


@pytest.mark.parametrize(
    ("output", "problems"),
    [
        (replace(HD, frame=249), []),
        (
            replace(HD, frame=250),
            [Problem("posterFrame", "the timeline's frames are 0 to 249, 250 is behind them")],
        ),
        (replace(GIF, frame_rate=Fraction(10)), []),
        (
            replace(GIF, width=4096, height=4096),
            [Problem("frameRate", "125 frames of this size are more than the 17 a GIF may have")],
        ),
        (replace(HD, crf=None, size_bytes=500_000), []),
        (
            replace(HD, crf=None, size_bytes=300_000),
            [Problem("sizeBytes", "300000 bytes are too few for 10.0 seconds")],
        ),
    ],
)
def test_what_does_not_fit_a_timeline_is_named_once_that_is_known(output: Output, problems: list[Problem]) -> None:
    assert output.problems() == []
    assert output.problems(canvas=canvas(1280, 720), length=250) == problems


@pytest.mark.parametrize(
    ("on", "problems"),
    [
        ((160, 90), []),
        (
            (158, 88),
            [
                Problem("width", "it must be at most 1264, 8 times the canvas' 158, not 1280"),
                Problem("height", "it must be at most 704, 8 times the canvas' 88, not 720"),
            ],
        ),
        ((16, 720), [Problem("width", "it must be at most 128, 8 times the canvas' 16, not 1280")]),
    ],
)
def test_an_output_may_be_eight_times_as_large_as_the_canvas(on: tuple[int, int], problems: list[Problem]) -> None:
    assert HD.problems(canvas=canvas(*on)) == problems
    assert Output(format=Format.MP3).problems(canvas=canvas(*on), length=1) == []


def test_a_bitrate_follows_from_a_size_the_length_and_the_sound() -> None:
    output = replace(HD, crf=None, size_bytes=1_000_000)
    assert output.picture_bitrate(250, PAL) == 776_000 - 3_200 - 192_000
    assert replace(output, sound_bitrate=64_000).picture_bitrate(250, PAL) == 776_000 - 3_200 - 64_000


def test_only_what_hangs_on_the_whole_is_made_in_one_pass() -> None:
    assert HD.is_incremental
    assert replace(HD, max_bitrate=10**6).is_incremental
    assert not replace(HD, crf=None, bitrate=10**6).is_incremental
    assert not GIF.is_incremental


def test_a_poster_is_the_frame_in_the_size_of_the_movie() -> None:
    poster = Output(format=Format.JPEG, width=1280, height=720, frame=3)
    assert replace(HD, frame=3).poster == poster
    assert HD.poster is poster.poster is None


# --- kept -----------------------------------------------------------------------------------------------------------


def test_an_output_that_was_kept_when_there_were_movies_only_is_read_as_it_was_meant() -> None:
    kept = {"codec": "H265", "width": 640, "height": 360, "crf": 25}
    output = Output.from_json(kept)
    assert output == Output(format=Format.MP4, codec=VideoCodec.H265, width=640, height=360, crf=25)
    assert output.to_json() == kept


@pytest.mark.parametrize(
    "output",
    [
        HD,
        replace(HD, codec=VideoCodec.AV1, format=Format.WEBM, speed=Speed.SMALLER, frame=0, max_bitrate=10**6),
        replace(HD, crf=None, size_bytes=2**40, sound_bitrate=64_000),
        replace(GIF, frame_rate=Fraction(25, 2)),
    ],
)
def test_an_output_comes_back_from_storage_as_it_was(output: Output) -> None:
    assert Output.from_json(json.loads(json.dumps(output.to_json()))) == output


# --- arguments ------------------------------------------------------------------------------------------------------


def after(arguments: list[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]


def arguments(output: Output, rate: Fraction = PAL, **more: Any) -> list[str]:
    return video_arguments(output, rate, **{"frames": 100, "threads": 4, **more})


def test_the_whole_arguments_of_a_span() -> None:
    assert " ".join(arguments(HD, FILM)) == (
        "-c:v libx264 -preset medium -profile:v high -threads 4 -x264-params open-gop=0:scenecut=0:stitchable=1 "
        "-crf 20 -g 48 -keyint_min 48 -pix_fmt yuv420p -colorspace bt709 -color_primaries bt709 -color_trc bt709 "
        "-color_range tv -fps_mode cfr -r 24000/1001 -frames:v 100 -an -map_metadata -1 -map_chapters -1 "
        "-fflags +bitexact -video_track_timescale 24000 -movie_timescale 48000 -f mp4"
    )


@pytest.mark.parametrize("rate", ["1", "24", "25", "12.5", "24000/1001", "30000/1001", "60", "119881/1001", "120"])
def test_a_frame_takes_whole_ticks_at_every_rate(rate: str) -> None:
    clock = ticks(Fraction(rate))
    assert (clock / Fraction(rate)).denominator == 1
    assert 10_000 <= clock < 2**31


@pytest.mark.parametrize(
    ("codec", "hardware", "expected"),
    [
        (VideoCodec.H264, False, "libx264 -preset medium"),
        (VideoCodec.H265, False, "libx265 -preset medium -threads 2 -x265-params open-gop=0:scenecut=0:pools=4"),
        (VideoCodec.AV1, False, "libsvtav1 -preset 8 -svtav1-params scd=0:lp=4"),
        (VideoCodec.VP9, False, "libvpx-vp9 -deadline good -cpu-used 4 -row-mt 1 -tile-columns 2 -threads 4"),
        (VideoCodec.H264, True, "h264_nvenc -preset p5 -tune hq -bf 2 -b_ref_mode disabled"),
        (VideoCodec.H265, True, "hevc_nvenc -preset p5 -tune hq -bf 2 -b_ref_mode disabled"),
        (VideoCodec.AV1, True, "av1_nvenc -preset p5 -tune hq -no-scenecut 1"),
        (VideoCodec.VP9, True, "libvpx-vp9 -deadline good"),
    ],
)
def test_each_codec_has_its_encoder_and_hardware_is_never_used_unasked(
    codec: VideoCodec, hardware: bool, expected: str
) -> None:
    output = replace(HD, codec=codec, format=codec.usual_format, crf=30)
    made = " ".join(arguments(output, hardware=hardware))
    assert made.startswith(f"-c:v {expected}")
    assert expected.split(maxsplit=1)[0] in encoders(output, hardware=hardware)


@pytest.mark.parametrize(
    ("codec", "hardware", "asked", "expected"),
    [
        (VideoCodec.H264, False, {"crf": 20, "max_bitrate": 10**6}, "-crf 20 -maxrate 1000000 -bufsize 2000000"),
        (VideoCodec.AV1, False, {"crf": 20, "max_bitrate": 10**6}, "-crf 20 -maxrate 1000000 -bufsize 2000000"),
        (VideoCodec.VP9, False, {"crf": 20, "max_bitrate": 10**6}, "-crf 20 -b:v 1000000"),
        (VideoCodec.VP9, False, {"crf": 20}, "-crf 20 -b:v 0"),
        (VideoCodec.H265, False, {"bitrate": 10**6}, "-b:v 1000000 -maxrate 1500000 -bufsize 3000000"),
        (VideoCodec.AV1, False, {"bitrate": 10**6}, "-b:v 1000000 -g"),
        (VideoCodec.H265, True, {"crf": 20}, "-rc vbr -cq 20 -b:v 0 -g"),
        (VideoCodec.H264, True, {"crf": 0}, "-tune lossless -bf 2 -b_ref_mode disabled"),
        (VideoCodec.H264, True, {"crf": 0}, "-rc constqp -qp 0 -g"),
    ],
)
def test_quality_is_by_crf_with_or_without_a_cap_or_by_bitrate(
    codec: VideoCodec, hardware: bool, asked: dict[str, int], expected: str
) -> None:
    output = replace(HD, codec=codec, format=codec.usual_format, **{"crf": None, **asked})
    assert expected in " ".join(arguments(output, hardware=hardware))


def test_lossless_h264_has_no_profile_that_forbids_it() -> None:
    assert "-profile:v" not in arguments(replace(HD, crf=0))


def test_apples_players_are_told_what_h265_is() -> None:
    output = replace(HD, codec=VideoCodec.H265)
    assert after(arguments(output), "-tag:v") == "hvc1"
    assert after(list(join_arguments(output, [("a", 1)], PAL, None).argv), "-tag:v") == "hvc1"


def test_spans_are_joined_by_a_list_whose_times_add_up() -> None:
    joining = join_arguments(HD, [("in/a", 7), ("in/b", 30), ("in/c", 13)], NTSC, "in/sound.m4a")
    assert joining.files == {
        "spans.txt": (
            "ffconcat version 1.0\nfile in/a\nduration 0.233567\nfile in/b\nduration 1.001000\n"
            "file in/c\nduration 0.433766\n"
        )
    }
    assert " ".join(joining.argv) == (
        "-f concat -i spans.txt -f mov -i file:in/sound.m4a -map 0:v -map 1:a -c copy "
        "-bsf:v setts=pts=PTS:dts=(N-2)*1001 -map_metadata -1 -map_chapters -1 -fflags +bitexact "
        "-video_track_timescale 30000 -movie_timescale 240000 -movflags +faststart -f mp4 -y result.mp4"
    )


def test_a_web_movie_takes_opus_from_ogg() -> None:
    output = replace(HD, codec=VideoCodec.VP9, format=Format.WEBM)
    assert sound_name(output) == "sound.ogg"
    joining = join_arguments(output, [("a", 1)], PAL, "sound.ogg")
    assert " ".join(joining.argv).startswith("-f concat -i spans.txt -f ogg -i file:sound.ogg -map 0:v -map 1:a")
    assert joining.result == "result.webm"


@pytest.mark.parametrize(
    ("rate", "asked", "made", "frames"),
    [
        ("25", None, "25/2", 26),
        ("24000/1001", None, "12000/1001", 26),
        ("60", None, "15", 13),
        ("15", None, "15", 51),
        ("25", "10", "10", 21),
    ],
)
def test_a_gif_takes_every_so_many_frames(rate: str, asked: str | None, made: str, frames: int) -> None:
    output = replace(GIF, frame_rate=asked and Fraction(asked))
    assert output.gif_rate(Fraction(rate)) == Fraction(made)
    assert gif_frames(output, 51, Fraction(rate)) == frames


# --- verification ---------------------------------------------------------------------------------------------------

PLANNED = Expected.of(HD, PAL, 50, 96_000)
RIGHT = Measured(
    container="mov",
    video_codec="h264",
    width=1280,
    height=720,
    frame_rate="25",
    frames=50,
    first_time="0",
    uneven_steps=0,
    audio_codec="aac",
    sample_rate=48_000,
    channels=2,
    samples=96_000,
)


def test_what_came_out_as_planned_has_no_mismatch() -> None:
    assert mismatches(PLANNED, RIGHT) == []


def test_each_mismatch_is_a_sentence() -> None:
    wrong = replace(RIGHT, frames=49, uneven_steps=1, samples=95_999)
    assert mismatches(PLANNED, wrong) == [
        "The number of frames is 49, planned was 50.",
        "The number of uneven frames is 1, planned was 0.",
        "The number of samples is 95999, planned was 96000.",
    ]
    silent = replace(RIGHT, audio_codec=None, sample_rate=None, channels=None, samples=None)
    assert mismatches(PLANNED, silent)[0] == "The audio codec is none, planned was aac."
    assert len(mismatches(Expected.of(HD, PAL, 50, None), RIGHT)) == 4


def test_a_file_without_sound_is_not_asked_for_any() -> None:
    assert Expected.of(GIF, PAL, 50, 96_000).samples is None
    assert Expected.of(Output(format=Format.PNG, width=320, height=180), PAL, 50, 96_000) == Expected(
        container="png_pipe", video_codec="png", width=320, height=180, frames=1
    )


def test_what_was_checked_is_told_field_by_field() -> None:
    told = json.loads(json.dumps(verification(PLANNED, RIGHT)))
    assert told["planned"] == told["measured"]
    sound = Expected.of(Output(format=Format.MP3), PAL, 50, 96_000)
    assert verification(sound, replace(RIGHT, frame_rate=None))["planned"] == {
        "container": "mp3",
        "video_codec": None,
        "width": None,
        "height": None,
        "frame_rate": None,
        "frames": 0,
        "first_time": None,
        "uneven_steps": 0,
        "audio_codec": "mp3",
        "sample_rate": 48_000,
        "channels": 2,
        "samples": 96_000,
    }
