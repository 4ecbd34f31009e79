"""Small media to test with, made by the real FFmpeg, and eyes to read them with.

A *counter* is a video whose every frame carries its own number in pixels: sixteen blocks, white for 1 and black for 0,
that survive scaling and compression. So a test can say which frame of the source stands where in a result.
"""

import subprocess
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av

from tasks.ffmpeg import find_ffmpeg

WIDTH, HEIGHT = 320, 180
COLUMNS, ROWS = 8, 2
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-g", "12", "-pix_fmt", "yuv420p")


def ffmpeg(*arguments: str | Path, feed: bytes | None = None) -> None:
    """Run FFmpeg; its complaint is the failure."""
    command = [find_ffmpeg(None), "-v", "error", "-y", *arguments]
    subprocess.run(command, input=feed, check=True, stdin=None if feed else subprocess.DEVNULL)


def drawn(number: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """One grey frame that shows a number."""
    rows: list[bytes] = []
    for row in range(ROWS):
        bits = (number >> (row * COLUMNS + column) & 1 for column in range(COLUMNS))
        line = b"".join(bytes([235 if bit else 16]) * (width // COLUMNS + 1) for bit in bits)[:width]
        rows.append(line * (height // ROWS + 1))
    return b"".join(rows)[: width * height]


def counter(
    path: Path,
    *,
    frames: int,
    rate: str = "25",
    first: int = 1,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    options: Iterable[str] = H264,
) -> Path:
    """A video without sound whose frames show first, first + 1, …"""
    width, height = size
    feed = b"".join(drawn(first + each, width, height) for each in range(frames))
    raw = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", rate, "-i", "-")
    ffmpeg(*raw, *options, path, feed=feed)
    return path


def plain(path: Path, color: str, *, frames: int = 50, rate: str = "25", size: str = "320x180") -> Path:
    """A video of one colour, without sound."""
    ffmpeg("-f", "lavfi", "-i", f"color={color}:s={size}:r={rate}", "-frames:v", str(frames), *H264, path)
    return path


def tone(path: Path, *, seconds: float, hertz: int = 440, sample_rate: int = 48000, channels: int = 2) -> Path:
    """A sine of amplitude 0.5 in every channel."""
    wave = "|".join([f"0.5*sin(2*PI*{hertz}*t)"] * channels)
    ffmpeg("-f", "lavfi", "-i", f"aevalsrc={wave}:s={sample_rate}:d={seconds}", path)
    return path


def still(path: Path, color: str, *, size: str = "320x180") -> Path:
    """A picture of one colour."""
    ffmpeg("-f", "lavfi", "-i", f"color={color}:s={size},format=rgb24", "-frames:v", "1", path)
    return path


def joined(path: Path, *parts: Path, options: Iterable[str] = ("-c", "copy")) -> Path:
    """The streams of several files in one."""
    inputs = [argument for part in parts for argument in ("-i", part)]
    maps = [argument for index in range(len(parts)) for argument in ("-map", str(index))]
    ffmpeg(*inputs, *maps, *options, path)
    return path


class Picture:
    """A decoded frame, read pixel by pixel."""

    def __init__(self, frame: av.VideoFrame) -> None:
        """Take the planes out."""
        self.width, self.height = frame.width, frame.height
        self._planes = [(bytes(plane), plane.line_size) for plane in frame.planes]

    def luma(self, x: int, y: int) -> int:
        """The brightness of a pixel, 16 to 235."""
        plane, line = self._planes[0]
        return plane[y * line + x]

    def yuv(self, x: int, y: int) -> tuple[int, int, int]:
        """A pixel."""
        (_, (u, u_line), (v, v_line)) = self._planes
        return self.luma(x, y), u[y // 2 * u_line + x // 2], v[y // 2 * v_line + x // 2]

    def number(self, x: int = 0, y: int = 0, width: int | None = None, height: int | None = None) -> int:
        """The number a counter shows, in this part of the picture."""
        width, height = width or self.width, height or self.height
        total = 0
        for bit in range(COLUMNS * ROWS):
            row, column = divmod(bit, COLUMNS)
            across, down = (2 * column + 1) * width // (2 * COLUMNS), (2 * row + 1) * height // (2 * ROWS)
            total |= (self.luma(x + across, y + down) > 125) << bit
        return total


def pictures(path: Path) -> list[Picture]:
    """Every frame of a file."""
    with av.open(path) as container:
        return [Picture(frame) for frame in container.decode(video=0)]


def numbers(path: Path) -> list[int]:
    """What each frame of a counter shows."""
    return [picture.number() for picture in pictures(path)]


def shown_at(path: Path, rate: Fraction, length: int, in_: int = 0) -> list[int]:
    """What a counter should show on each frame of a timeline, worked out from the times in its file.

    A frame is shown from the timeline's frame nearest to its time (the later of two equally near) until the next is.
    """
    with av.open(path) as container:
        stream = container.streams.video[0]
        start = Fraction(container.start_time or 0, av.time_base)
        frames = [(frame.pts * stream.time_base - start, Picture(frame).number()) for frame in container.decode(stream)]
    return [_last_before(frames, in_ + each, rate) for each in range(length)]


def _last_before(frames: list[tuple[Fraction, int]], position: int, rate: Fraction) -> int:
    begun = [number for time, number in frames if int(time * rate + Fraction(1, 2)) <= position]
    return begun[-1] if begun else frames[0][1]


def samples(path: Path) -> Iterator[tuple[float, ...]]:
    """Every sample of the sound, each channel from -1 to 1, at the file's own rate."""
    with av.open(path) as container:
        resampler = av.AudioResampler(format="flt")
        for frame in container.decode(audio=0):
            for each in resampler.resample(frame):
                count = each.layout.nb_channels
                values = memoryview(bytes(each.planes[0])).cast("f")[: each.samples * count]
                yield from zip(*(values[channel::count] for channel in range(count)), strict=True)
