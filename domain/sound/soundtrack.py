"""The whole sound of a timeline: its buses, joined from blocks, are mixed and encoded in one go."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from domain.ffmpeg.command import Command, Measure
from domain.ffmpeg.graph import Graph
from domain.ffmpeg.stage import Source
from domain.sound.blocks import blocks
from domain.sound.ducking import ducked
from domain.sound.extraction import extracted
from domain.sound.heard import Sound, heard
from domain.sound.loudness import MEASURED, brought, measuring
from domain.sound.samples import HEADROOM, added, command, exactly, samples
from domain.timeline.bus import Bus
from domain.timeline.edit import Timeline
from domain.timeline.placing import PlacedTracks


def soundtrack(
    timeline: Timeline,
    tracks: PlacedTracks,
    sources: Mapping[str, Source],
    *,
    length: int,
    rate: Fraction,
    tool: str,
    encode: Sequence[str],
    result: str,
) -> Command | None:
    """Encode all that is heard in `length` frames, to exactly as many samples; None where nothing is.

    `encode` are the arguments behind the `-map`, encoder and container; `result` is the file they write.
    """
    buses = {bus.name: bus for bus in timeline.buses}
    sounds: dict[str | None, list[Sound]] = {}
    for sound in heard(tracks, sources, rate):
        if sound.bus is None or buses[sound.bus].volume:
            sounds.setdefault(sound.bus, []).append(sound)
    if not sounds:
        return None
    used = {sound.asset_id for each in sounds.values() for sound in each}
    extracts = {asset_id: extracted(sources[asset_id], tool=tool) for asset_id in used}
    total = samples(length, rate)
    playing = [
        Playing(buses.get(name or ""), blocks(its, extracts, total, tool=tool))
        for name, its in sorted(sounds.items(), key=lambda each: each[0] or "")
    ]
    graph = Graph()
    link = mixed(graph, playing, total)
    if timeline.loudness is None:
        return command(graph, link, encode, result, tool=tool, length=total)
    measured = _measured(playing, total, tool)
    name = f"in/{measured.key}"
    graph.need(name, measured)
    link = graph.chain(*brought(), *exactly(total), links=[link])
    measure = Measure(input=name, target=timeline.loudness)
    return command(graph, link, encode, result, tool=tool, length=total, measure=measure)


@dataclass(frozen=True)
class Playing:
    """A bus on which something is heard; None is the mix itself."""

    bus: Bus | None
    blocks: Sequence[Command]

    @property
    def name(self) -> str | None:
        """What clips call it."""
        return self.bus and self.bus.name

    def link(self, graph: Graph) -> str:
        """Add it to a graph, whole, at its own level. Times in its files are of no account: samples follow samples."""
        names = [f"in/{block.key}" for block in self.blocks]
        lines = ["ffconcat version 1.0", *(f"file {name}" for name in names)]
        listed = graph.write("".join(f"{line}\n" for line in lines))
        number = graph.open(["-f", "concat", "-i", listed])
        for name, block in zip(names, self.blocks, strict=True):
            graph.need(name, block)
        volume = HEADROOM * (self.bus.volume if self.bus else 1)
        return graph.chain("asetpts=N", "aformat=fltp", f"volume={volume:.9f}", links=[f"[{number}:a]"])


def mixed(graph: Graph, playing: Sequence[Playing], length: int) -> str:
    """Add the mix of all buses to a graph."""
    needed = Counter(each.bus.ducking.under for each in playing if each.bus and each.bus.ducking)
    links: list[tuple[Playing, str]] = []
    copies: dict[str, list[str]] = {}
    for each in playing:
        link = each.link(graph)
        if each.name and needed[each.name]:
            link, *copies[each.name] = graph.fork(
                f"asplit={needed[each.name] + 1}", links=[link], outputs=needed[each.name] + 1
            )
        links.append((each, link))
    sounds: list[str] = []
    for each, link in links:
        ducking = each.bus and each.bus.ducking
        is_ducked = ducking and copies.get(ducking.under)
        sounds.append(ducked(graph, link, copies[ducking.under].pop(), ducking) if ducking and is_ducked else link)
    return added(graph, sounds, length)


def _measured(playing: Sequence[Playing], length: int, tool: str) -> Command:
    graph = Graph()
    link = graph.chain(*measuring(length), links=[mixed(graph, playing, length)])
    return replace(command(graph, link, ["-f", "null"], "-", tool=tool, length=length), result=MEASURED)
