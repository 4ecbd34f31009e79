"""How sound is counted and kept."""

from collections.abc import Sequence
from fractions import Fraction

from domain.ffmpeg.command import Command, Measure
from domain.ffmpeg.graph import Graph, seconds

SAMPLE_RATE, CHANNELS = 48_000, 2

HEADROOM = 8
"""Kept sounds are this much quieter than they are, so that a sum of loud ones is not cut off before its level is set.

A power of two: sounds of 16 bits, whole as they are, lose nothing on the way through 24 bits.
"""

FLAC = ("-c:a", "flac", "-bits_per_raw_sample", "24", "-map_metadata", "-1", "-fflags", "+bitexact")
KEPT = (*FLAC, "-f", "flac")
"""How sound is kept: without loss, 24 bits."""

DEMUXERS = {"flac": "flac", "mp4": "mov", "wav": "wav"}
"""By the end of a file's name."""

FRAME = 4608
"""Samples that FLAC compresses at once. Said, because FFmpeg goes by the first frame it is handed, however small."""

SEEK_EARLIER = SAMPLE_RATE
"""Samples that a seek aims before the one it needs."""


def samples(frames: int, rate: Fraction) -> int:
    """The sample on which a frame begins: rounded from the start of the timeline, so that no error adds up."""
    return int(frames * SAMPLE_RATE / rate + Fraction(1, 2))


def exactly(length: int) -> list[str]:
    """Cut or pad with silence to a number of samples, and number them from 0."""
    return [f"atrim=end_sample={length}", f"apad=whole_len={length}", "asetpts=N"]


def opened(graph: Graph, sound: Command, *, at: int = 0) -> str:
    """Open a kept sound, ready to be read from a sample on; return the link. Its times are its samples' numbers."""
    name = f"in/{sound.key}"
    early = seconds(Fraction(at - SEEK_EARLIER, SAMPLE_RATE))
    # By its times, not from where it starts.
    seek = ["-noaccurate_seek", "-seek_timestamp", "1", "-ss", early] if at > SEEK_EARLIER else []
    demuxer = DEMUXERS[sound.result.rpartition(".")[2]]
    number = graph.open(["-threads", "1", *seek, "-f", demuxer, "-i", f"file:{name}"], sound, at=name)
    return f"[{number}:a]"


def stretch(graph: Graph, sound: Command, first: int, length: int) -> str:
    """Exactly these samples of a kept sound, as doubles, which calculate them exactly.

    Each stands where its time says, so it is the same from wherever one begins to read. Silence stands before a sound
    that starts late, and behind its end.
    """
    from_first = f"aresample=async=1:min_comp=0.00001:min_hard_comp=0.00001:first_pts={first}"
    return graph.chain(from_first, *exactly(length), "aformat=dblp", links=[opened(graph, sound, at=first)])


def added(graph: Graph, links: Sequence[str], length: int) -> str:
    """The sum of sounds, for exactly so many samples."""
    adding = [f"amix={len(links)}:normalize=0"] if len(links) > 1 else []
    return graph.chain(*adding, *exactly(length), links=links)


def kept(graph: Graph, *filters: str, links: Sequence[str] = ()) -> str:
    """Add a chain whose result is to be kept: in frames, and in whole numbers, as FLAC takes them."""
    return graph.chain(*filters, f"asetnsamples={FRAME}:p=0", "aformat=s32", links=links)


def command(
    graph: Graph,
    link: str,
    encode: Sequence[str],
    result: str,
    *,
    tool: str,
    length: int,
    from_zero: bool = False,
    measure: Measure | None = None,
) -> Command:
    """What makes the samples of a link, which are so many, into a file.

    Times stay those of the sources, so that a seek does not shift them; they may be counted from where a file starts.
    """
    filters = graph.arguments()
    start = ["-start_at_zero"] if from_zero else []
    return Command(
        argv=("-copyts", *start, *graph.options, *filters, "-map", link, *encode, "-y", result),
        result=result,
        tool=tool,
        inputs=graph.inputs,
        files=graph.files,
        seconds=length / SAMPLE_RATE,
        measure=measure,
    )
