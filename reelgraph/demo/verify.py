"""Whether the video is right, judged from its bytes alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame

from reelgraph.demo.failure import DemoFailed

SAMPLE_RATE = 48_000
_AAC_FRAME = 1024
_STEP = 40
"""Of so many pixels, in both directions, one is looked at to find the cut."""
_SILENT = 0.01


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the edit says must come out."""

    width: int
    height: int
    frame_rate: int
    frames: int
    cut: int
    """The first frame behind the one hard cut, where the picture changes more than anywhere else."""

    @property
    def seconds(self) -> Fraction:
        """How long it lasts."""
        return Fraction(self.frames, self.frame_rate)


def check(path: Path, expected: Expected) -> None:
    """Decode all of it; raise DemoFailed with a line for each thing that is not as expected."""
    if wrong := problems(path, expected):
        raise DemoFailed("\n  ".join([f"the video {path} is not right:", *wrong]))


def problems(path: Path, expected: Expected) -> list[str]:
    """What is not as expected, a sentence each."""
    try:
        found = [*_index_first(path), *_read(path, expected)]
    except FFmpegError as error:
        return [f"it cannot be decoded: {error}"]
    return [f"{name} is {is_}, expected was {wanted}" for name, is_, wanted in found if is_ != wanted]


_Fact = tuple[str, object, object]
"""What is looked at, what it is, what it should be."""


def _index_first(path: Path) -> Iterator[_Fact]:
    boxes = list(_boxes(path))
    yield "the first box behind the file type", next((each for each in boxes if each in {"moov", "mdat"}), None), "moov"


def _boxes(path: Path) -> Iterator[str]:
    """The types of the outermost boxes of an MP4 file."""
    end = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + 8 <= end:
            file.seek(at)
            head = file.read(16)
            size = int.from_bytes(head[:4])
            yield head[4:8].decode("latin-1")
            at += max(8, {0: end, 1: int.from_bytes(head[8:16])}.get(size, size))


def _read(path: Path, expected: Expected) -> Iterator[_Fact]:
    with av.open(path) as container:
        kinds = sorted(stream.type for stream in container.streams)
        yield "the list of streams", kinds, ["audio", "video"]
        if kinds != ["audio", "video"]:
            return
        yield from _picture(container, expected)
        container.seek(0)
        yield from _sound(container, expected)
        length = Fraction(container.duration or 0, av.time_base)
        yield "the duration", f"{float(length):.2f} s", f"{float(expected.seconds):.2f} s"


def _picture(container: InputContainer, expected: Expected) -> Iterator[_Fact]:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    times: list[Fraction] = []
    thumbnails: list[bytes] = []
    for frame in container.decode(stream):
        times.append((frame.pts or 0) * (frame.time_base or Fraction(0)))
        thumbnails.append(_thumbnail(frame))
    yield "the video codec", stream.codec_context.name, "h264"
    yield "the size", f"{stream.width}x{stream.height}", f"{expected.width}x{expected.height}"
    yield "the pixel format", stream.pix_fmt, "yuv420p"
    yield "the frame rate", str(stream.average_rate), str(expected.frame_rate)
    yield "the number of frames", len(times), expected.frames
    planned = [Fraction(number, expected.frame_rate) for number in range(len(times))]
    yield "the number of frames that come at a wrong time", sum(map(Fraction.__ne__, times, planned)), 0
    yield "the frame of the cut", _largest_change(thumbnails), expected.cut


def _thumbnail(frame: VideoFrame) -> bytes:
    """The brightness of a pixel here and there."""
    luma, line = memoryview(frame.planes[0]), frame.planes[0].line_size
    rows = (luma[row * line : row * line + frame.width : _STEP] for row in range(0, frame.height, _STEP))
    return b"".join(bytes(each) for each in rows)


def _largest_change(thumbnails: list[bytes]) -> int:
    changes = [sum(abs(a - b) for a, b in zip(before, after, strict=True)) for before, after in pairwise(thumbnails)]
    return 1 + changes.index(max(changes)) if changes else 0


def _sound(container: InputContainer, expected: Expected) -> Iterator[_Fact]:
    stream = container.streams.audio[0]
    resampler = av.AudioResampler(format="flt", layout="mono")
    samples, loudest = 0, 0.0
    for frame in container.decode(stream):
        samples += frame.samples
        for part in resampler.resample(frame):
            values = memoryview(bytes(part.planes[0])).cast("f")[: part.samples]
            loudest = max(loudest, *map(abs, values))
    yield "the audio codec", stream.codec_context.name, "aac"
    yield "the sample rate", stream.sample_rate, SAMPLE_RATE
    yield "the number of channels", stream.channels, 2
    # Decoders differ in whether they drop what fills up the last frame.
    planned = round(expected.seconds * SAMPLE_RATE)
    yield "the number of samples", samples if not planned <= samples < planned + _AAC_FRAME else planned, planned
    yield "whether there is anything to hear", loudest > _SILENT, True
