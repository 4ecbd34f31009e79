"""The golden pictures: written once, looked at by eye, and from then on what each example must look like."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import av

from tasks.ffmpeg import find_ffmpeg
from tests.golden.examples import EXAMPLES
from tests.golden.studio import CANVAS, Studio

FOLDER = Path(__file__).parent / "pictures"
SIZE = f"{CANVAS.width}x{CANVAS.height}"

MEAN = 1.5
"""By how many steps of 255 a picture may differ on the average: another FFmpeg may round otherwise."""
FAR, FAR_SHARE = 32, 0.01
"""How large a part of the samples may differ by more than so many steps: edges may shift by a fraction of a pixel."""


def path_of(name: str) -> Path:
    """Where a golden picture lies."""
    return FOLDER / f"{name}.png"


def drawn(studio: Studio, name: str) -> bytes:
    """An example as it looks now, in RGB."""
    example = EXAMPLES[name]
    (picture,) = studio.frames(example.edit, example.frame, 1, as_rgb=True)
    return picture


def read(path: Path) -> bytes:
    """A picture's samples, in RGB."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name == "rgb24"
        (plane,) = frame.planes
        rows, stride = bytes(plane), plane.line_size
        return b"".join(rows[at : at + 3 * frame.width] for at in range(0, stride * frame.height, stride))


def write(path: Path, samples: bytes) -> None:
    """Keep a picture as a PNG."""
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", SIZE, "-i", "-")
    packed = ("-frames:v", "1", "-pred", "mixed", "-compression_level", "9", "-y")
    subprocess.run([find_ffmpeg(None), "-v", "error", *raw, *packed, path], input=samples, check=True)


def difference(one: Sequence[int], other: Sequence[int]) -> tuple[float, float]:
    """The mean difference of the samples, and the share of those that are far from one another."""
    steps = [abs(here - there) for here, there in zip(one, other, strict=True)]
    return sum(steps) / len(steps), sum(step > FAR for step in steps) / len(steps)


def is_alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two pictures are the same but for rounding."""
    mean, far = difference(one, other)
    return mean <= MEAN and far <= FAR_SHARE
