"""How loud a sound is, by EBU R 128, and what brings it to a target."""

import re
from collections.abc import Sequence

from domain.sound.samples import SAMPLE_RATE

SILENCE = -70.0
"""LUFS up to which there is nothing to hear: the absolute gate of the standard."""
MEASURED = "loudness.txt"
CEILING = -1.0
"""The highest true peak, in decibels, of what was made louder: the standard's own."""
OVERSAMPLED = 4 * SAMPLE_RATE
"""Peaks between samples are found at four times the rate, as ITU-R BS.1770 does."""


def measuring(length: int) -> Sequence[str]:
    """The filters that write how loud so many samples are into the file MEASURED: the figures of the last second."""
    return (
        "ebur128=metadata=1",
        f"aselect=gte(t\\,{length / SAMPLE_RATE - 1:.3f})",
        f"ametadata=print:key=lavfi.r128.I:file={MEASURED}",
    )


def gain(measured: str, target: float) -> str:
    """The decibels, as FFmpeg reads them, that bring what was measured to a target in LUFS; 0 for silence.

    `measured` is what `measuring` wrote.
    """
    values = re.findall(r"^lavfi\.r128\.I=(.*)$", measured, re.MULTILINE)
    try:
        loudness = float(values[-1]) if values else SILENCE
    except ValueError:
        return "0"
    return f"{target - loudness:.2f}" if SILENCE < loudness < -SILENCE else "0"


def brought() -> Sequence[str]:
    """The filters that give a sound the gain that was measured, and hold its peaks below CEILING.

    The gain is the same from beginning to end: what is quiet stays quiet next to what is loud. The limiter looks 5 ms
    ahead and turns down only what would lie above CEILING, also between two samples; below, it changes nothing.
    """
    limit = 10 ** (CEILING / 20)
    return (
        "volume={measured}dB",
        f"aresample={OVERSAMPLED}",
        f"alimiter=limit={limit:.9f}:level=0:attack=5:release=50:latency=1",
        f"aresample={SAMPLE_RATE}",
    )
