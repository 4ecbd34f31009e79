"""The sound of an asset, whole: taken out of its file once, at the rate and in the form in which it is mixed."""

from fractions import Fraction

from domain.ffmpeg.command import Command
from domain.ffmpeg.graph import Graph
from domain.ffmpeg.stage import Source
from domain.sound.samples import FLAC, FRAME, HEADROOM, KEPT, SAMPLE_RATE, command, exactly, kept, stretch

LONGEST_JITTER = 0.01
"""Seconds by which times in a file may be off without meaning it: Matroska rounds to milliseconds, AAC and MP3 lose 20
at least when they lose a packet."""
TIMED = (*FLAC, "-movie_timescale", str(SAMPLE_RATE), "-f", "mp4")
"""How an extract is kept: its file says, to the sample, when it starts."""
FASTEST_STEP, SLOWEST_STEP = Fraction(2), Fraction(1, 2)
"""Beyond the one, FFmpeg leaves out samples instead of blending them; the other is the least it takes."""


def extracted(source: Source, *, tool: str) -> Command:
    """The whole sound of an asset: stereo, 48 kHz, with times from the start of the file on. It is HEADROOM quieter.

    Gaps are filled with silence. Surround is mixed down as ITU-R BS.775 says (centre and surround at -3 dB, no LFE);
    one channel goes to both sides as it is.

    A late start is not filled, only kept. In recorded television sound turns from stereo to surround and back: FFmpeg
    then begins its graph anew, which must not begin with silence again.
    """
    graph = Graph()
    link = kept(
        graph,
        "aformat=fltp",  # mixing down whole numbers would make all of it quieter, lest they overflow
        *(["pan=stereo|c0=c0|c1=c0"] if source.facts.channels == 1 else []),
        f"aresample={SAMPLE_RATE}",
        f"aformat=fltp:{SAMPLE_RATE}:stereo",
        f"volume={1 / HEADROOM}",
        f"aresample=async=1:min_comp=0.00001:min_hard_comp={LONGEST_JITTER}",
        f"apad=whole_len={FRAME}",  # so that there is something, whatever the file holds
        links=[f"[{source.open(graph)}:a:0]"],
    )
    length = round((source.facts.duration_seconds or 0) * SAMPLE_RATE)
    return command(graph, link, TIMED, "sound.mp4", tool=tool, length=length, from_zero=True)


def quickened(sound: Command, first: int, length: int, speed: Fraction, *, tool: str) -> Command:
    """`length` samples of a sound played at another speed from its sample `first` on; voices keep their pitch.

    Made for itself, and as a whole: what is heard at a moment hangs on all that came before.
    """
    graph = Graph()
    needed = -int(-length * speed // 1)
    steps = [f"atempo={float(step):.9g}" for step in _steps(speed)]
    link = kept(graph, *steps, *exactly(length), links=[stretch(graph, sound, first, needed)])
    return command(graph, link, KEPT, "sound.flac", tool=tool, length=length)


def _steps(speed: Fraction) -> list[Fraction]:
    """A speed as a product of such as can be done at once."""
    for step in (FASTEST_STEP, SLOWEST_STEP):
        if (speed > step > 1) or (speed < step < 1):
            return [step, *_steps(speed / step)]
    return [speed]
