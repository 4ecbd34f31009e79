"""FFmpeg is found, runs with its progress, and says why it failed."""

import asyncio
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tasks.ffmpeg import (
    FONT,
    FfmpegFailed,
    FfmpegMissing,
    FfmpegProgress,
    Ran,
    abilities,
    encodes,
    ffmpeg_version,
    find_ffmpeg,
    guarded,
    run_ffmpeg,
)
from tasks.process import Limits

pytestmark = pytest.mark.anyio

ENDLESS = ["-f", "lavfi", "-i", "testsrc=s=320x180:r=25", "-f", "mp4", "endless.mp4"]


async def made(folder: Path, argv: str, limits: Limits | None = None) -> Ran:
    """Run arguments without spaces in them."""
    return await run_ffmpeg(
        find_ffmpeg(None),
        argv.split(),
        folder=folder,
        total_frames=1,
        on_progress=lambda _: None,
        limits=limits or Limits(),
    )


def script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return str(path)


def test_without_a_word_the_one_from_the_wheel_is_taken() -> None:
    assert "imageio_ffmpeg" in str(find_ffmpeg(None))
    assert find_ffmpeg(None) is find_ffmpeg(None)


def test_the_one_named_is_taken_if_it_can_do_all_we_need(tmp_path: Path) -> None:
    same = script(tmp_path / "ffmpeg", f'exec {shlex.quote(str(find_ffmpeg(None)))} "$@"')
    assert find_ffmpeg(same) == Path(same)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo 'ffmpeg version 4.4.2 Copyright'", "is version 4.4"),
        ("echo 'ffmpeg version n8.1 Copyright'", "lacks aac, adelay, aeval"),
        ("exit 1", "does not run"),
    ],
)
def test_one_that_is_named_and_will_not_do_is_refused_with_the_reason(tmp_path: Path, body: str, reason: str) -> None:
    named = script(tmp_path / "ffmpeg", body)
    with pytest.raises(FfmpegMissing, match=reason) as caught:
        find_ffmpeg(named)
    assert f"FFMPEG_BINARY ({named})" in str(caught.value)


def test_one_that_is_named_and_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FfmpegMissing, match=r"does not run: .*No such file"):
        find_ffmpeg(str(tmp_path / "none"))


def test_the_tool_is_known_to_its_build() -> None:
    assert re.fullmatch(
        r"ffmpeg version \S+ Copyright .* \(\S+, build [0-9a-f]{12}\)", ffmpeg_version(find_ffmpeg(None))
    )


def test_what_the_tool_can_do_is_known_by_name(tmp_path: Path) -> None:
    can = abilities(find_ffmpeg(None))
    assert can >= {"libx264", "libx265", "libsvtav1", "libvpx-vp9", "libmp3lame", "flac", "gif", "png", "mjpeg"}
    assert can >= {"xfade", "ass", "color", "ebur128"}
    assert not can & {"=", "Encoders:", "libfdk_aac", "------"}
    with pytest.raises(subprocess.SubprocessError):
        abilities(Path(script(tmp_path / "broken", "exit 1")))


def test_what_it_cannot_do_here_is_found_out_by_trying() -> None:
    binary = find_ffmpeg(None)
    assert [encodes(binary, each) for each in ("libx264", "png", "no-such-encoder")] == [True, True, False]
    nvidia = Path("/dev/nvidia0").exists()
    assert nvidia or not encodes(binary, "h264_nvenc")


FORMATS = "mov,matroska,avi,mpegts,mp3,wav,flac,ogg,aac,aiff,gif,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"


@pytest.mark.parametrize(
    ("given", "guard"),
    [
        ("-f mov -i a", "-format_whitelist mov -protocol_whitelist file -max_pixels 200"),
        ("-i a", f"-format_whitelist {FORMATS} -protocol_whitelist file -max_pixels 200"),
        ("-f concat -i a", f"-format_whitelist concat,{FORMATS} -protocol_whitelist file -max_pixels 200"),
        ("-f lavfi -i a", "-format_whitelist lavfi -protocol_whitelist file"),
        ("-protocol_whitelist http -f wav -i a", "-format_whitelist wav -protocol_whitelist file -max_pixels 200"),
    ],
)
def test_every_input_is_held_to_one_file_of_one_format(given: str, guard: str) -> None:
    before, _, after = given.rpartition("-i ")
    assert " ".join(guarded([*given.split(), "-f", "mp4", "out"], 100)) == f"{before}{guard} -i {after} -f mp4 out"


@pytest.mark.parametrize("demuxer", ["hls", "image2", "dash", "ffconcat", "srt", "imf", "tty", "x11grab", "data"])
def test_a_format_that_leads_elsewhere_is_never_asked_for(demuxer: str) -> None:
    with pytest.raises(ValueError, match=f"{demuxer} is no format"):
        list(guarded(["-f", demuxer, "-i", "a"], None))


async def test_a_run_tells_what_it_cost(tmp_path: Path) -> None:
    ran = await made(tmp_path, "-f lavfi -i testsrc2=s=1280x720:r=25 -frames:v 30 -c:v libx264 out.mp4")
    assert 0.1 < ran.cpu_seconds < 60
    assert ran.cpu_seconds <= ran.wall_seconds * (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(wall_seconds=0.5), "it took longer than 0.5 seconds"),
        (Limits(cpu_seconds=1), "it used more than 1 seconds of processor time"),
        (Limits(memory_bytes=20 * 2**20), "ended with"),
    ],
)
async def test_a_run_that_would_take_more_than_it_may_fails_with_the_reason(
    tmp_path: Path, limits: Limits, reason: str
) -> None:
    async with asyncio.timeout(30):
        with pytest.raises(FfmpegFailed, match=reason):
            await run_ffmpeg(
                find_ffmpeg(None),
                ENDLESS,
                folder=tmp_path,
                total_frames=1,
                on_progress=lambda _: None,
                limits=limits,
            )


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
async def test_the_usual_memory_is_enough_for_a_large_picture(tmp_path: Path, encoder: str) -> None:
    picture = "-f lavfi -i testsrc2=s=3840x2160:r=25 -frames:v 3 -pix_fmt yuv420p"
    await made(tmp_path, f"{picture} -c:v {encoder} a.mkv", Limits(memory_bytes=8 * 2**30))


ASS = """[Script Info]
ScriptType: v4.00+
PlayResX: 320
PlayResY: 180
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,{family},60,&H00FFFFFF,5
[Events]
Format: Start, End, Style, Text
Dialogue: 0:00:00.00,0:00:09.00,Default,Hello
"""


async def seen(folder: Path, family: str) -> bytes:
    """The picture of a word in a family."""
    (folder / "a.ass").write_text(ASS.format(family=family))
    shown = "ass=a.ass:fontsdir=fonts"
    await made(folder, f"-f lavfi -i color=black:s=320x180:r=25 -frames:v 1 -vf {shown} -pix_fmt gray -y a.bmp")
    return (folder / "a.bmp").read_bytes()[-320 * 180 :]


async def test_text_is_set_in_the_fonts_it_brings_and_in_none_of_the_machine(tmp_path: Path) -> None:
    for folder in ("fonts", "fallback"):
        (tmp_path / folder).mkdir()
    assert max(await seen(tmp_path, "DejaVu Sans")) < 50
    (tmp_path / "fonts" / "a.ttf").hardlink_to(FONT)
    brought = await seen(tmp_path, "DejaVu Sans")
    assert max(brought) > 200
    assert max(await seen(tmp_path, "Arial")) < 50
    (tmp_path / "fallback" / "b.ttf").hardlink_to(FONT.with_name("DejaVuSerif.ttf"))
    assert await seen(tmp_path, "DejaVu Sans") == brought
    lacking = await seen(tmp_path, "Arial")
    assert max(lacking) > 200
    assert [await seen(tmp_path, family) for family in ("DejaVu Serif", "Dingbats")] == [lacking] * 2


async def test_a_run_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[FfmpegProgress] = []
    await run_ffmpeg(
        find_ffmpeg(None),
        ["-f", "lavfi", "-i", "testsrc=s=640x360:r=25", "-frames:v", "200", "out.mp4"],
        folder=tmp_path,
        total_frames=200,
        on_progress=told.append,
        limits=Limits(),
    )
    frames = [each.frame for each in told]
    assert frames == sorted(frames)
    assert told[-1].frame == 200
    assert told[-1].fraction == 1.0
    assert told[-1].eta_seconds == 0
    assert told[-1].speed > 0
    assert (tmp_path / "out.mp4").stat().st_size > 0


def test_before_the_first_frame_nothing_is_promised() -> None:
    begun = FfmpegProgress(frame=0, total_frames=100, fps=0.0, speed=0.0)
    assert (begun.fraction, begun.eta_seconds) == (0.0, None)
    halfway = FfmpegProgress(frame=50, total_frames=100, fps=10.0, speed=0.4)
    assert (halfway.fraction, halfway.eta_seconds) == (0.5, 5.0)


async def test_a_failure_says_what_ffmpeg_said(tmp_path: Path) -> None:
    with pytest.raises(FfmpegFailed, match="No such file or directory") as caught:
        await run_ffmpeg(
            find_ffmpeg(None),
            ["-i", "missing.mp4", "out.mp4"],
            folder=tmp_path,
            total_frames=1,
            on_progress=lambda _: None,
            limits=Limits(),
        )
    assert caught.value.code > 0
    assert any("missing.mp4" in line for line in caught.value.tail)


async def test_cancelling_a_run_stops_it_within_a_second(tmp_path: Path) -> None:
    running = asyncio.Event()
    task = asyncio.create_task(
        run_ffmpeg(
            find_ffmpeg(None),
            ENDLESS,
            folder=tmp_path,
            total_frames=10**9,
            on_progress=lambda progress: progress.frame and running.set(),
            limits=Limits(),
        )
    )
    await asyncio.wait_for(running.wait(), 20)
    async with asyncio.timeout(1):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    written = (tmp_path / "endless.mp4").stat().st_size
    assert not _anyone_writes(tmp_path / "endless.mp4")
    assert (tmp_path / "endless.mp4").stat().st_size == written


def _anyone_writes(path: Path) -> bool:
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == path:
                return True
        except OSError:
            continue
    return False


async def test_output_without_end_is_stopped_by_its_limit(tmp_path: Path) -> None:
    with pytest.raises(FfmpegFailed) as caught:
        await run_ffmpeg(
            find_ffmpeg(None),
            ENDLESS,
            folder=tmp_path,
            total_frames=1,
            on_progress=lambda _: None,
            limits=Limits(file_bytes=100_000),
        )
    assert caught.value.code != 0
    assert (tmp_path / "endless.mp4").stat().st_size <= 100_000


def test_the_font_we_ship_is_there_with_its_licence() -> None:
    assert FONT.read_bytes()[:4] == b"\x00\x01\x00\x00"
    assert "Bitstream" in FONT.with_name("LICENSE-DejaVuSans.txt").read_text()
