"""A bus that becomes quieter while another is heard."""

import math
from collections.abc import Iterator

from domain.ffmpeg.graph import Graph
from domain.timeline.bus import Ducking

HEARD = 0.01
"""The peak, at -40 dBFS, from which on a bus counts as heard. Speech lies far above it, the noise of a room below."""
SETTLED = math.exp(-4)
"""FFmpeg's compressor goes all but this part of the way to a higher level in `attack`, to a lower one in `release`."""
MOST_AT_ONCE = 30.0
"""Decibels that one compressor can do, whose ratio is at most 20; more take two."""


def ducked(graph: Graph, link: str, heard: str, ducking: Ducking) -> str:
    """Make a sound quieter by so many decibels while the other is heard.

    How loud the other one is must not matter. So a gate first takes away what does not count as heard, and the rest is
    boosted until it is cut off: what the compressor measures is then 1 while something is heard, and 0 else. It works
    from SETTLED (-34.7 dB) on, with the ratio that lowers a level of 1 by just so many decibels. So it is back at full
    level, by as many decibels a second all the way, when the level it follows has come down to there: after `release`.
    """
    steps = 1 if ducking.decibels <= MOST_AT_ONCE else 2
    signals = graph.fork(
        f"agate=threshold={HEARD}:ratio=9000:range=0:knee=1:attack=1:release=20:detection=peak:link=maximum",
        f"volume={1000 / HEARD}",
        "asoftclip=hard",
        *([f"asplit={steps}"] if steps > 1 else []),
        links=[heard],
        outputs=steps,
    )
    for signal in signals:
        link = graph.chain(f"sidechaincompress={':'.join(_options(ducking, steps))}", links=[link, signal])
    return link


def _options(ducking: Ducking, steps: int) -> Iterator[str]:
    room = -20 * math.log10(SETTLED)
    yield f"threshold={SETTLED:.9f}"
    yield f"ratio={room / (room - ducking.decibels / steps):.9f}"
    yield f"attack={ducking.attack_ms}:release={ducking.release_ms}"
    yield "knee=1:detection=peak:link=maximum"
