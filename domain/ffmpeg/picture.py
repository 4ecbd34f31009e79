"""Pictures in the form in which all are put together: even sides, YUV 4:2:0 of BT.709, counted frames."""

from fractions import Fraction

from domain.ffmpeg.graph import counted
from domain.ffmpeg.stage import Stage

TO_BT709 = "out_color_matrix=bt709:out_range=tv:out_chroma_loc=left"
SMALLEST = 2
"""The smallest side of a picture on the stage, in pixels."""


def colored(value: str, stage: Stage, *, opacity: float = 1) -> str:
    """One frame of a colour, in RGB so that the way to BT.709 is ours."""
    size = f"{stage.width}x{stage.height}"
    pixels = "gbrp" if opacity == 1 else "rgba"
    return f"color=0x{value[1:7]}@{opacity:g}:s={size}:r={stage.rate},trim=end_frame=1,format={pixels}"


def rounded(side: Fraction | float) -> int:
    """The nearest even number of pixels, never less than the smallest side."""
    return max(SMALLEST, 2 * round(Fraction(side) / 2))


def still(count: int, rate: Fraction) -> list[str]:
    """Hold the first frame for a number of frames."""
    return ["loop=-1:1", counted(rate), f"trim=end_frame={count}"]


def microseconds(frames: int, rate: Fraction) -> str:
    """The time of a frame as fades and transitions keep it: in microseconds, which round back to the right frame."""
    return f"{float(frames / rate):.6f}"
