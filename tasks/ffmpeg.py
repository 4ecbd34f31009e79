"""Find FFmpeg, and run it with its progress; whatever it is to read, it opens no other file."""

import hashlib
import math
import os
import platform
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from domain.media import CONTAINERS
from persistence.settings import Settings
from tasks.process import Ended, Limits, run

OLDEST = (7, 1)
FASTEST = 100_000.0
NEEDED_ENCODERS = frozenset({"libx264", "libx265", "aac", "flac"})
"""The others (AV1, VP9, MP3, NVENC, ...) are asked for by name: `abilities`."""
NEEDED_FILTERS = frozenset(
    {"xfade", "drawtext", "overlay", "fps", "tpad", "trim", "setpts", "loop", "concat", "split", "format"}
    | {"scale", "crop", "pad", "rotate", "perspective", "ass", "gblur", "eq", "hue", "colorchannelmixer", "lut3d"}
    | {"chromakey", "alphamerge", "alphaextract"}
    | {"blend", "negate", "lutrgb", "extractplanes", "maskedmerge"}
    | {"aresample", "amix", "adelay", "afade", "atempo", "aeval", "asetnsamples", "sidechaincompress"}
    | {"agate", "asoftclip", "alimiter", "aselect", "apad", "atrim", "asetpts", "aformat", "anullsrc", "pan", "volume"}
    | {"ebur128", "ametadata"}
)
DEMUXERS = ",".join(dict.fromkeys(CONTAINERS.values()))
"""What an original may be read as."""
OUR_DEMUXERS = {
    "lavfi": "lavfi",
    "concat": f"concat,{DEMUXERS}",
    "rawvideo": "rawvideo",
}
"""For inputs that we write ourselves, each with what it may open."""
FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"


class FfmpegMissing(Exception):
    """No usable FFmpeg; the message says what was looked at, and what to do."""


class FfmpegFailed(Exception):
    """FFmpeg ended with an error."""

    def __init__(self, code: int, tail: Sequence[str]) -> None:
        """Keep the exit status (negative for a signal) and the last lines it said."""
        super().__init__(f"ffmpeg ended with {code}: {tail[-1] if tail else 'it said nothing'}")
        self.code = code
        self.tail = tuple(tail)


@dataclass(frozen=True, kw_only=True)
class FfmpegProgress:
    """How far a run has come."""

    frame: int
    total_frames: int
    fps: float
    """Frames a second, averaged since the start; 0 before the first."""
    speed: float
    """Seconds of video made in each second; 0 before the first."""

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.frame / self.total_frames) if self.total_frames else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left at this pace; None before there is one."""
        left = max(0, self.total_frames - self.frame)
        return left / self.fps if self.fps else None if left else 0.0


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a run has cost."""

    cpu_seconds: float
    """Over all its threads."""
    wall_seconds: float


@cache
def find_ffmpeg(override: str | None) -> Path:
    """The FFmpeg to use: the one named, else the wheel's, else that on PATH; only one that does all we need.

    Raises FfmpegMissing.
    """
    looked: list[str] = []
    for name, path in _candidates(override):
        unfit = _unfit(path)
        if unfit is None:
            return path
        looked.append(f"{name} ({path}) {unfit}")
    remedy = "install FFmpeg 7.1 or newer with libx264 and libx265, or name one in FFMPEG_BINARY"
    raise FfmpegMissing(f"no usable FFmpeg: {'; '.join(looked) or 'there is none'}; {remedy}")


def _candidates(override: str | None) -> Iterator[tuple[str, Path]]:
    if override:
        yield "FFMPEG_BINARY", Path(override)
        return  # whoever names one wants that one, or to hear what is wrong with it
    wheel = find_spec("imageio_ffmpeg")  # looked into, not asked: it would read the environment and search on its own
    for folder in (wheel and wheel.submodule_search_locations) or ():
        for path in sorted(Path(folder, "binaries").glob("ffmpeg-*")):
            yield "the imageio-ffmpeg wheel", path
    found = shutil.which("ffmpeg")
    if found:
        yield "PATH", Path(found)


def _unfit(path: Path) -> str | None:
    """Say what a binary lacks; None when it can do all we need."""
    try:
        said, have = ffmpeg_version(path), abilities(path)
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not run: {error}"
    version = re.match(r"ffmpeg version n?(\d+)\.(\d+)", said)  # a build from git has no number, and is new enough
    if version and (int(version[1]), int(version[2])) < OLDEST:
        return f"is version {version[1]}.{version[2]}"
    lacks = sorted((NEEDED_ENCODERS | NEEDED_FILTERS) - have)
    return f"lacks {', '.join(lacks)}" if lacks else None


@cache
def ffmpeg_version(path: Path) -> str:
    """Which FFmpeg it is, to the very build and kind of machine: others may make other bytes of the same command.

    Its name for people, and a hash of all that it says of its configuration and libraries. Blocks. Raises OSError,
    subprocess.SubprocessError.
    """
    said = _ask(path, "-version")
    build = hashlib.sha256(said.encode()).hexdigest()[:12]
    name = said.partition("\n")[0].strip()
    return f"{name} ({platform.machine()}, build {build})"


@cache
def abilities(path: Path) -> frozenset[str]:
    """The names of its encoders and filters. That one is there does not mean the machine has what it needs. Blocks.

    Raises OSError, subprocess.SubprocessError.
    """
    listed = _ask(path, "-encoders") + _ask(path, "-filters")
    return frozenset(re.findall(r"^ [A-Z.|]{2,6} (\S+)", listed, re.MULTILINE)) - {"="}


@cache
def encodes(path: Path, encoder: str) -> bool:
    """Whether it really encodes with this: NVENC, say, is in many builds, and its hardware in few machines. Blocks."""
    picture = ["-f", "lavfi", "-i", "color=s=256x256:r=25:d=0.2,format=yuv420p", "-c:v", encoder, "-f", "null", "-"]
    try:
        return encoder in abilities(path) and bool(_ask(path, "-nostdin", "-v", "error", *picture) == "")
    except (OSError, subprocess.SubprocessError):
        return False


def _ask(path: Path, *question: str) -> str:
    command = [path, "-hide_banner", *question]
    return subprocess.run(command, capture_output=True, check=True, timeout=30, text=True).stdout  # noqa: S603 - ours


def usual_limits(settings: Settings) -> Limits:
    """What a run of FFmpeg may use: generous for honest work, and an end for all other.

    Its time is that of an attempt and a little more, so that an attempt which takes too long is told as that.
    """
    seconds = math.ceil(settings.attempt_hours * 3600) + 60
    return Limits(
        cpu_seconds=seconds * (os.cpu_count() or 1),
        wall_seconds=seconds,
        file_bytes=settings.max_upload_bytes,
        memory_bytes=settings.child_memory_bytes,
        max_pixels=settings.max_pixels,
    )


async def run_ffmpeg(
    binary: Path,
    argv: Sequence[str],
    *,
    folder: Path,
    total_frames: int,
    on_progress: Callable[[FfmpegProgress], None],
    limits: Limits,
) -> Ran:
    """Run FFmpeg in a folder, telling about five times a second how far it is. Raises FfmpegFailed.

    It reads what lies in its folder and the inputs that `argv` names, each as nothing but the format it is said to be
    (`-f`, else any that we take); see `guarded`. Cancelling the task that waits here kills it first.
    """
    values: dict[str, str] = {}

    def on_line(line: str) -> None:
        key, _, value = line.partition("=")
        values[key] = value.strip()
        if key == "progress":  # the last line of each report
            on_progress(_progress(values, total_frames))

    quiet = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"]
    try:
        ended = await run(
            [binary, *quiet, "-progress", "pipe:1", "-stats_period", "0.2", *guarded(argv, limits.max_pixels)],
            folder=folder,
            limits=limits,
            on_line=on_line,
            readable=_named(argv, folder),
        )
    except TimeoutError:
        raise FfmpegFailed(-signal.SIGKILL, [f"it took longer than {limits.wall_seconds:g} seconds"]) from None
    if ended.code:
        raise FfmpegFailed(ended.code, _reason(ended, limits))
    return Ran(cpu_seconds=ended.cpu_seconds, wall_seconds=ended.wall_seconds)


def guarded(argv: Sequence[str], max_pixels: int | None) -> Iterator[str]:
    """The arguments, with what holds each input to being one file of one format, and no bomb, put before it.

    Raises ValueError for a demuxer that could lead elsewhere.
    """
    demuxer = ""
    for before, word in zip(["", *argv], argv, strict=False):
        if before == "-f":
            demuxer = word
        if word == "-i":
            yield from _guards(demuxer, max_pixels)
            demuxer = ""
        yield word


def _guards(demuxer: str, max_pixels: int | None) -> list[str]:
    if demuxer in OUR_DEMUXERS:
        formats = OUR_DEMUXERS[demuxer]
    elif not demuxer or demuxer in CONTAINERS.values():
        formats = demuxer or DEMUXERS
    else:
        raise ValueError(f"{demuxer} is no format that an input may have")
    # A decoder counts whole blocks, more than is seen.
    pixels = ["-max_pixels", str(max_pixels * 2)] if max_pixels and demuxer != "lavfi" else []
    return ["-format_whitelist", formats, "-protocol_whitelist", "file", *pixels]


def _named(argv: Sequence[str], folder: Path) -> list[Path]:
    """The inputs that lie elsewhere."""
    names = (name.removeprefix("file:") for option, name in pairwise(argv) if option == "-i")
    return [folder / name for name in names if name.startswith("/")]


def _reason(ended: Ended, limits: Limits) -> Sequence[str]:
    """What it said. Of processor time that ran out it says nothing."""
    if limits.cpu_seconds is None or ended.cpu_seconds < limits.cpu_seconds:
        return ended.tail
    return [*ended.tail, f"it used more than {limits.cpu_seconds} seconds of processor time"]


def _progress(values: dict[str, str], total_frames: int) -> FfmpegProgress:
    return FfmpegProgress(
        frame=int(_number(values.get("frame"))),
        total_frames=total_frames,
        fps=_number(values.get("fps")),
        speed=_speed(values.get("speed", "")),
    )


def _speed(text: str) -> float:
    """FFmpeg's figure; its last report may divide by next to nothing, and tells nothing then."""
    speed = _number(text.removesuffix("x"))
    return speed if speed < FASTEST else 0.0


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:  # "N/A" before there is anything to say
        return 0.0
