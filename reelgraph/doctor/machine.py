"""The machine we are on: FFmpeg, fonts, the sandbox of what reads hostile files, and room on the disks."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

from persistence.settings import Settings
from persistence.storage import StorageFullError
from persistence.storage.disk import check_room
from reelgraph.doctor.finding import Finding, failure, ok, warning
from reelgraph.reach import line
from tasks.ffmpeg import FONT, NEEDED_ENCODERS, NEEDED_FILTERS, FfmpegFailed, FfmpegMissing, find_ffmpeg, run_ffmpeg
from tasks.process import Limits, run

_LITTLE = 5 * 2**30
"""Bytes. With less than that free a few uploads may fill a disk."""
_FILE_BYTES = 2**20
_REPORT = f"""
import json, os, resource
print(json.dumps({{
    "network": os.readlink("/proc/self/ns/net") if os.path.exists("/proc/self/ns/net") else "",
    "files": resource.getrlimit(resource.RLIMIT_FSIZE)[0] == {_FILE_BYTES},
}}))
"""


async def ffmpeg(settings: Settings) -> AsyncIterator[Finding]:
    """Look for an FFmpeg that can do all we need, and let it write with our font."""
    try:
        binary = await asyncio.to_thread(find_ffmpeg, settings.ffmpeg_binary)
    except FfmpegMissing as missing:
        yield failure("FFmpeg", str(missing))
        return
    yield ok("FFmpeg", f"{await asyncio.to_thread(_version, binary)}, {binary}")
    yield ok("FFmpeg", f"has the encoders and filters we need ({len(NEEDED_ENCODERS)} and {len(NEEDED_FILTERS)})")
    yield await _font(binary)


async def sandbox(_settings: Settings) -> AsyncIterator[Finding]:
    """Start a child as FFmpeg is started, and let it tell what it may do."""
    lines: list[str] = []
    with TemporaryDirectory() as folder:
        ended = await run(
            [sys.executable, "-IS", "-c", _REPORT],
            folder=Path(folder),
            limits=Limits(cpu_seconds=10, file_bytes=_FILE_BYTES),
            on_line=lines.append,
        )
    if ended.code or not lines:
        yield failure("sandbox", f"children do not start: {ended.tail[-1] if ended.tail else f'exit {ended.code}'}")
        return
    told = json.loads(lines[-1])
    if not told["files"]:
        yield failure("sandbox", "children run without their limits; let this user set resource limits (setrlimit)")
    elif told["network"] in {"", _network()}:
        yield warning(
            "sandbox",
            "children run within their limits, but could reach the network; allow unprivileged user namespaces here,"
            " or run the workers where nothing of yours can be reached",
        )
    else:
        yield ok("sandbox", "children run without network and within their limits")


async def scratch(settings: Settings) -> AsyncIterator[Finding]:
    """Look at the folder of running jobs."""
    yield await asyncio.to_thread(folder_found, "scratch", "SCRATCH_PATH", settings.scratch_path)


def folder_found(subject: str, setting: str, folder: Path) -> Finding:
    """Write to the folder, which a process would make if it is not there, and look how much room there is."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix="doctor-"):
            free = shutil.disk_usage(folder).free
        check_room(folder, 0)
    except StorageFullError as full:
        return failure(subject, f"{folder}: {full}; make room, or set {setting}")
    except OSError as error:
        return failure(
            subject, f"{folder} cannot be written: {error.strerror}; give this user the folder, or set {setting}"
        )
    said = f"{folder} can be written, {_size(free)} free"
    if free < _LITTLE:
        return warning(subject, f"{said}; make room before uploads fill it")
    return ok(subject, said)


async def _font(binary: Path) -> Finding:
    """Draw a letter with the font we ship."""
    if not FONT.is_file():
        return failure("fonts", f"{FONT} is missing; install reelgraph again")
    draw = f"drawtext=fontfile={FONT.name}:text=ok:fontsize=16"
    argv = ["-f", "lavfi", "-i", "color=s=64x64:r=1", "-vf", draw, "-frames:v", "1", "-f", "null", "-"]
    try:
        await run_ffmpeg(
            binary,
            argv,
            folder=FONT.parent,
            total_frames=1,
            on_progress=lambda _: None,
            limits=Limits(cpu_seconds=30),
        )
    except (FfmpegFailed, OSError) as error:
        return failure("fonts", f"FFmpeg cannot write with {FONT.name}: {line(error)}; use one with libfreetype")
    return ok("fonts", f"FFmpeg writes with {FONT.name}")


def _version(binary: Path) -> str:
    said = subprocess.run([binary, "-version"], capture_output=True, check=True, timeout=30, text=True).stdout
    version = re.match(r"ffmpeg version (\S+)", said)
    return version[1] if version else "of no known version"


def _network() -> str:
    try:
        return str(Path("/proc/self/ns/net").readlink())
    except OSError:
        return ""


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
