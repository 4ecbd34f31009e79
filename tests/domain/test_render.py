"""The command that a timeline becomes, and the judgement over what it made."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from domain.media import MediaFacts, MediaKind
from domain.refusals import Problem
from domain.render import Measured, Output, OutputPreset, Plan, Source, VideoCodec, compile_plan, mismatches
from domain.render.graph import quoted
from domain.timeline import Audio, Canvas, Clip, Fit, Image, Text, Timeline, Track, Transition, Video

CANVAS = Canvas(width=1280, height=720, frame_rate=Fraction(25))
HD = Output(codec=VideoCodec.H264, width=1280, height=720, crf=21)
SOURCES = {
    "film": Source(
        path=Path("/media/film"),
        facts=MediaFacts(
            kind=MediaKind.VIDEO,
            container="mp4",
            audio_codec="aac",
            width=1920,
            height=1080,
            duration_seconds=60.0,
            channels=2,
            color_matrix="bt709",
        ),
    ),
    "phone": Source(
        path=Path("/media/phone"),
        facts=MediaFacts(
            kind=MediaKind.VIDEO, container="mpegts", width=360, height=640, rotation=90, duration_seconds=60.0
        ),
    ),
    "photo": Source(
        path=Path("/media/photo"),
        facts=MediaFacts(kind=MediaKind.IMAGE, container="jpeg", width=4000, height=3000, color_matrix="bt470bg"),
    ),
    "song": Source(
        path=Path("/media/song"),
        facts=MediaFacts(kind=MediaKind.AUDIO, container="mp3", audio_codec="mp3", duration_seconds=60.0, channels=1),
    ),
}
OPENED = "-protocol_whitelist file -max_pixels 50000000 -threads 2 -noautorotate"


def plan(*tracks: Track, output: Output = HD, canvas: Canvas = CANVAS, font: str = "/fonts/f.ttf") -> Plan:
    return compile_plan(Timeline(canvas=canvas, tracks=tracks), output, SOURCES, font=Path(font))


def track(*clips: Clip) -> Track:
    return Track(clips=clips)


def after(argv: tuple[str, ...], option: str) -> str:
    return argv[argv.index(option) + 1]


def chains(made: Plan) -> list[str]:
    return after(made.argv, "-filter_complex").split(";")


def test_the_whole_command_for_a_clip_with_its_sound() -> None:
    made = plan(track(Clip(content=Video(asset_id="film", in_=100, out=150, volume=0.5))))
    opened = f"{OPENED} -noaccurate_seek -ss 3.000000000 -f mov -i file:/media/film"
    assert " ".join(made.argv) == (
        f"-copyts -start_at_zero {opened} {opened} -filter_complex "
        "color=0x000000@1:s=1280x720:r=25,trim=end_frame=1,format=gbrp,scale=out_color_matrix=bt709:out_range=tv,"
        "format=yuv420p,loop=-1:1,settb=1/25,setpts=N,trim=end_frame=50[n0];"
        "[0:V:0]settb=1/250000,setpts=PTS-1000000,fps=25:start_time=0,tpad=stop=-1:stop_mode=clone,trim=end_frame=50,"
        "scale=1280:720:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuva420p,settb=1/25,setpts=N[n1];"
        "[n0][n1]overlay=0:0:eof_action=pass:repeatlast=0[n2];"
        "[n2]setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709[n3];"
        "[1:a:0]aresample=48000,aformat=fltp:48000:stereo,aresample=async=1:min_comp=0.00001:first_pts=192000,"
        "atrim=end_sample=96000,apad=whole_len=96000,asetpts=N/SR/TB,volume=0.5[n4];"
        "[n4]atrim=end_sample=96000,apad=whole_len=96000,asetpts=N/SR/TB[n5] "
        "-map [n3] -c:v libx264 -preset veryfast -profile:v high -threads 4 -crf 21 -pix_fmt yuv420p -g 50 "
        "-x264-params open-gop=0 -fps_mode cfr -r 25 -map [n5] -c:a aac -b:a 192k -ar 48000 -ac 2 "
        "-map_metadata -1 -map_chapters -1 -movflags +faststart -f mp4 -y render.mp4"
    )
    assert (made.frames, made.samples, made.width, made.height, made.frame_rate) == (50, 96000, 1280, 720, 25)
    assert made.files == {}


def test_a_cross_fade_is_between_two_whole_pictures() -> None:
    clips = [
        Clip(content=Image(asset_id="photo", length=30), start=5),
        Clip(content=Image(asset_id="photo", length=20), transition=Transition(frames=10), fit=Fit.COVER),
    ]
    assert chains(plan(track(*clips)))[1:-1] == [
        (
            "[0:v:0]trim=end_frame=1,scale=960:720:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuva420p,"
            "loop=-1:1,settb=1/25,setpts=N,trim=end_frame=30[n1]"
        ),
        (
            "[1:v:0]trim=end_frame=1,crop=iw*1:ih*3/4,scale=1280:720:out_color_matrix=bt709:out_range=tv,setsar=1,"
            "format=yuva420p,loop=-1:1,settb=1/25,setpts=N,trim=end_frame=20[n2]"
        ),
        "[n0]split=2[n3][n4]",
        "[n1]setpts=N+5[n5]",
        "[n3][n5]overlay=160:0:eof_action=pass:repeatlast=0[n6]",
        "[n4]trim=start_frame=25,settb=1/25,setpts=N[n7]",
        "[n7][n2]overlay=0:0:eof_action=pass:repeatlast=0[n8]",
        "[n6][n8]xfade=fade:duration=0.400000:offset=1.000000,settb=1/25,setpts=N[n9]",
    ]


def test_a_text_travels_in_files_and_never_in_the_graph() -> None:
    text = Text(text="It's 100%:\t[n0];\n\n\\", length=10, size=40, color="#ff8800", fade_in=2, fade_out=3)
    made = plan(track(Clip(content=text)), font="/it's [odd], a:b;c\\d/f.ttf")
    assert made.files == {"text-0.txt": "It's 100%:  [n0];", "text-1.txt": "\\"}
    font = r"/it\\\'s \[odd\]\, a\\:b\;c\\\\d/f.ttf"
    look = f"expansion=none:fontfile={font}:fontsize=40:fontcolor=0xff8800:x=(w-text_w)/2"
    assert chains(plan(track(Clip(content=text))))[1] == (
        "color=0xff8800@0:s=1280x720:r=25,trim=end_frame=1,format=rgba,"
        f"drawtext=textfile=text-0.txt:{look}:y=328-ascent,drawtext=textfile=text-1.txt:{look}:y=424-ascent,"
        "scale=out_color_matrix=bt709:out_range=tv,format=yuva420p,loop=-1:1,settb=1/25,setpts=N,trim=end_frame=10,"
        "fade=in:0:2:alpha=1,fade=out:7:3:alpha=1[n1]"
    ).replace(font, "/fonts/f.ttf")
    assert font in after(made.argv, "-filter_complex")


def test_a_container_that_cannot_be_entered_midway_is_read_from_its_start_and_a_turned_one_is_turned() -> None:
    made = plan(track(Clip(content=Video(asset_id="phone", in_=1000, out=1010))))
    assert made.argv[2:13] == (*OPENED.split(), "-f", "mpegts", "-i", "file:/media/phone")
    assert "transpose=clock,scale=404:720:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv" in chains(made)[1]
    assert made.samples is None
    assert "aac" not in made.argv


def test_one_channel_goes_to_both_sides_and_sounds_are_placed_by_the_sample() -> None:
    sound = Clip(content=Audio(asset_id="song", in_=10, out=30, fade_in=5, fade_out=4), start=3)
    canvas = replace(CANVAS, frame_rate=Fraction(30000, 1001))
    made = plan(track(sound), track(replace(sound, start=50)), canvas=canvas)
    assert chains(made)[2:] == [
        (
            "[0:a:0]pan=stereo|c0=c0|c1=c0,aresample=48000,aformat=fltp:48000:stereo,"
            "aresample=async=1:min_comp=0.00001:first_pts=16016,atrim=end_sample=32032,apad=whole_len=32032,"
            "asetpts=N/SR/TB,afade=in:0:8008,afade=out:25625:6407,adelay=4805S:all=1[n2]"
        ),
        (
            "[1:a:0]pan=stereo|c0=c0|c1=c0,aresample=48000,aformat=fltp:48000:stereo,"
            "aresample=async=1:min_comp=0.00001:first_pts=16016,atrim=end_sample=32032,apad=whole_len=32032,"
            "asetpts=N/SR/TB,afade=in:0:8008,afade=out:25626:6406,adelay=80080S:all=1[n3]"
        ),
        "[n2][n3]amix=2:normalize=0,atrim=end_sample=112112,apad=whole_len=112112,asetpts=N/SR/TB[n4]",
    ]
    assert (made.frames, made.samples) == (70, 112112)


def test_h265_and_another_size_change_the_encoder_and_the_stage() -> None:
    made = plan(
        track(Clip(content=Text(text="a", length=5, size=72))),
        output=Output(codec=VideoCodec.H265, width=640, height=480, crf=30),
    )
    command = " ".join(made.argv)
    assert "-c:v libx265 -preset veryfast -tag:v hvc1 -threads 2 -crf 30" in command
    assert "-x265-params open-gop=0:log-level=warning" in command
    assert "fontsize=36" in command
    assert "pad=640:480:0:60:black" in command


def test_a_graph_too_long_for_an_argument_travels_in_a_file() -> None:
    made = plan(*[track(*[Clip(content=Image(asset_id="photo", length=1))] * 500)])
    assert after(made.argv, "-/filter_complex") == "graph.txt"
    assert len(made.files["graph.txt"]) > 100_000
    assert max(map(len, made.argv)) < 100


def test_compiling_twice_gives_the_same() -> None:
    edit = [track(Clip(content=Video(asset_id="film"))), track(Clip(content=Text(text="a", length=5, size=30)))]
    assert plan(*edit) == plan(*edit)


def test_what_is_special_to_a_filter_is_escaped_twice() -> None:
    assert quoted("a b/c.ttf") == "a b/c.ttf"
    assert quoted("a:b") == r"a\\:b"
    assert quoted("a'b") == r"a\\\'b"
    assert quoted("a,b") == r"a\,b"
    assert quoted("a\\b") == r"a\\\\b"


# --- outputs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "canvas", "size"),
    [
        (OutputPreset.H264_1080P, (1920, 1080), (1920, 1080)),
        (OutputPreset.H264_720P, (1920, 1080), (1280, 720)),
        (OutputPreset.H264_480P, (1920, 1080), (854, 480)),
        (OutputPreset.H265_1080P, (1080, 1920), (1080, 1920)),
        (OutputPreset.H265_720P, (500, 500), (720, 720)),
        (OutputPreset.H264_720P, (1440, 1080), (960, 720)),
        (OutputPreset.H264_1080P, (4096, 16), (4096, 16)),
        (OutputPreset.H264_1080P, (2048, 64), (4096, 128)),
    ],
)
def test_a_preset_fixes_the_shorter_side(preset: OutputPreset, canvas: tuple[int, int], size: tuple[int, int]) -> None:
    output = preset.output(Canvas(width=canvas[0], height=canvas[1], frame_rate=Fraction(25)))
    assert (output.width, output.height) == size
    assert output.codec.value == preset.value[:4]
    assert output.problems() == []


def test_every_problem_of_an_output_is_named() -> None:
    assert Output(codec=VideoCodec.H264, width=15, height=721, crf=52).problems() == [
        Problem("width", "it must be 16 to 4096 pixels, not 15"),
        Problem("height", "it must be even, not 721"),
        Problem("crf", "it must be 0 to 51, not 52"),
    ]
    assert Output(codec=VideoCodec.H265, width=16, height=4096, crf=0).problems() == []


def test_an_output_comes_back_from_storage_as_it_was() -> None:
    assert Output.from_json(json.loads(json.dumps(HD.to_json()))) == HD


def test_facts_come_back_from_storage_as_they_were() -> None:
    for source in SOURCES.values():
        assert MediaFacts.from_json(json.loads(json.dumps(source.facts.to_json()))) == source.facts


# --- verification ---------------------------------------------------------------------------------------------------

PLANNED = plan(track(Clip(content=Video(asset_id="film", out=50))))
RIGHT = Measured(
    video_codec="h264",
    width=1280,
    height=720,
    frame_rate="25",
    frames=50,
    first_time="0",
    uneven_steps=0,
    audio_codec="aac",
    sample_rate=48000,
    channels=2,
    samples=96000,
)


def test_what_came_out_as_planned_has_no_mismatch() -> None:
    assert mismatches(PLANNED, RIGHT) == []


def test_each_mismatch_is_a_sentence() -> None:
    wrong = replace(RIGHT, frames=49, uneven_steps=1, samples=95999)
    assert mismatches(PLANNED, wrong) == [
        "The number of frames is 49, planned was 50.",
        "The number of uneven frames is 1, planned was 0.",
        "The number of samples is 95999, planned was 96000.",
    ]
    silent = replace(RIGHT, audio_codec=None, sample_rate=None, channels=None, samples=None)
    assert mismatches(PLANNED, silent)[0] == "The audio codec is none, planned was aac."
    assert len(mismatches(replace(PLANNED, samples=None), RIGHT)) == 4
