"""Find FFmpeg, and run it with its progress."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tasks.process import Limits, run

OLDEST = (5, 1)
FASTEST = 100_000.0
NEEDED_ENCODERS = frozenset({"libx264", "libx265", "aac"})
NEEDED_FILTERS = frozenset({"xfade", "drawtext", "overlay", "fps", "tpad", "aresample", "amix", "adelay"})
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
    remedy = "install FFmpeg 5.1 or newer with libx264 and libx265, or name one in FFMPEG_BINARY"
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
        said = [_ask(path, question) for question in ("-version", "-encoders", "-filters")]
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not run: {error}"
    version = re.match(r"ffmpeg version n?(\d+)\.(\d+)", said[0])  # a build from git has no number, and is new enough
    if version and (int(version[1]), int(version[2])) < OLDEST:
        return f"is version {version[1]}.{version[2]}"
    have = set(re.findall(r"^\s*\S+\s+(\S+)", said[1] + said[2], re.MULTILINE))
    lacks = sorted((NEEDED_ENCODERS | NEEDED_FILTERS) - have)
    return f"lacks {', '.join(lacks)}" if lacks else None


def _ask(path: Path, question: str) -> str:
    command = [path, "-hide_banner", question]
    return subprocess.run(command, capture_output=True, check=True, timeout=30, text=True).stdout  # noqa: S603 - ours


async def run_ffmpeg(
    binary: Path,
    argv: Sequence[str],
    *,
    folder: Path,
    total_frames: int,
    on_progress: Callable[[FfmpegProgress], None],
    limits: Limits,
) -> None:
    """Run FFmpeg in a folder, telling about five times a second how far it is. Raises FfmpegFailed.

    Cancelling the task that waits here kills it first.
    """
    values: dict[str, str] = {}

    def on_line(line: str) -> None:
        key, _, value = line.partition("=")
        values[key] = value.strip()
        if key == "progress":  # the last line of each report
            on_progress(_progress(values, total_frames))

    quiet = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"]
    ended = await run(
        [binary, *quiet, "-progress", "pipe:1", "-stats_period", "0.2", *argv],
        folder=folder,
        limits=limits,
        on_line=on_line,
    )
    if ended.code:
        raise FfmpegFailed(ended.code, ended.tail)


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
