"""FFmpeg is found, runs with its progress, and says why it failed."""

import asyncio
import shlex
from pathlib import Path

import pytest

from tasks.ffmpeg import FONT, FfmpegFailed, FfmpegMissing, FfmpegProgress, find_ffmpeg, run_ffmpeg
from tasks.process import Limits

pytestmark = pytest.mark.anyio

ENDLESS = ["-f", "lavfi", "-i", "testsrc=s=320x180:r=25", "-f", "mp4", "endless.mp4"]


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
        ("echo 'ffmpeg version n6.1 Copyright'", "lacks aac, adelay, amix"),
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
