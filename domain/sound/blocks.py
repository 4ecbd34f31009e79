"""The sounds of a bus, added up in blocks that are kept, each for itself.

A sample is the same whichever block it is made in, and in whatever order and groups sounds are added: each sound is
rounded to whole numbers of 32 bits first, and doubles, which hold sums of these exactly, add them.
"""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from domain.ffmpeg.command import Command
from domain.ffmpeg.graph import Graph
from domain.render.spans import cuts
from domain.sound.extraction import quickened
from domain.sound.heard import Sound
from domain.sound.samples import KEPT, SAMPLE_RATE, added, command, kept, opened, stretch

MOST_INPUTS = 32
"""Of one command. Where more sounds are heard in a block, groups of them are added up first."""
WAV = ("-c:a", "pcm_s32le", "-map_metadata", "-1", "-fflags", "+bitexact", "-f", "wav")
"""How the sum of a group is kept: to the last bit."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How long blocks are, in seconds."""

    shortest: float = 20.0
    usual: float = 30.0
    longest: float = 60.0


BOUNDS = Bounds()


@dataclass(frozen=True)
class Voice:
    """A sound with the command that makes what it plays."""

    sound: Sound
    plays: Command
    entry: int
    """The first sample of that."""

    def link(self, graph: Graph, first: int, end: int) -> str:
        """Add what is heard of it between two samples of the timeline, in its place behind the first of them."""
        start, stop = max(self.sound.start, first), min(self.sound.end, end)
        link = stretch(graph, self.plays, self.entry + start - self.sound.start, stop - start)
        levels = [each for level in self.sound.levels for each in level.filters(start, stop - start)]
        place = [f"adelay={start - first}S:all=1"] if start > first else []
        return graph.chain(*levels, "asetpts=N", "aformat=s32", "aformat=dblp", *place, links=[link])


def blocks(
    sounds: Sequence[Sound], extracts: Mapping[str, Command], length: int, *, tool: str, bounds: Bounds = BOUNDS
) -> list[Command]:
    """The commands that make the sum of sounds, one block behind the other from sample 0 to `length`."""
    voices = [_voice(sound, extracts[sound.asset_id], tool) for sound in sounds]
    tiles = cuts(_marks(voices), length, Fraction(SAMPLE_RATE), **vars(bounds))
    within: list[list[Voice]] = [[] for _ in tiles]
    starts = [first for first, _ in tiles]
    for voice in voices:
        for tile in range(bisect_right(starts, voice.sound.start) - 1, bisect_left(starts, voice.sound.end)):
            within[tile].append(voice)
    found: list[Command] = []
    for (first, count), here in zip(tiles, within, strict=True):
        found += [_sum(here, first, count, tool, "block.flac")] if here else _silences(count, tool)
    return found


def _voice(sound: Sound, extract: Command, tool: str) -> Voice:
    if sound.speed == 1:
        return Voice(sound, extract, sound.entry)
    return Voice(sound, quickened(extract, sound.entry, sound.length, sound.speed, tool=tool), 0)


def _marks(voices: Sequence[Voice]) -> dict[int, int]:
    """Where sounds begin, each with a hash of what begins there."""
    marks: dict[int, int] = {}
    for voice in voices:
        start = voice.sound.start
        marks[start] = marks.get(start, 0) ^ zlib.crc32(f"{voice.plays.key} {voice.entry}".encode())
    return marks


def _sum(voices: Sequence[Voice], first: int, count: int, tool: str, result: str) -> Command:
    graph = Graph()
    groups = list(_groups(voices))
    if len(groups) > 1:
        parts = [_sum(group, first, count, tool, "group.wav") for group in groups]
        links = [graph.chain("aformat=dblp", links=[opened(graph, part)]) for part in parts]
    else:
        links = [voice.link(graph, first, first + count) for voice in voices]
    link = kept(graph, links=[added(graph, links, count)])
    return command(graph, link, WAV if result.endswith("wav") else KEPT, result, tool=tool, length=count)


def _groups(voices: Sequence[Voice]) -> Iterator[Sequence[Voice]]:
    """At most as many as a command may have inputs, each as small as can be."""
    size = 1
    while len(voices) > size * MOST_INPUTS:
        size *= MOST_INPUTS
    if size == 1:
        yield voices
        return
    for start in range(0, len(voices), size):
        yield voices[start : start + size]


def _silences(length: int, tool: str) -> Iterator[Command]:
    """Silence: as often as it fits the same piece, the last one with what is over."""
    usual = round(BOUNDS.usual * SAMPLE_RATE)
    more = max(1, length // usual) - 1
    for count in (*[usual] * more, length - usual * more):
        graph = Graph()
        link = kept(graph, f"anullsrc=r={SAMPLE_RATE}:cl=stereo", f"atrim=end_sample={count}")
        yield command(graph, link, KEPT, "block.flac", tool=tool, length=count)
