"""Clips laid over one another: from tracks to one stream of frames.

Any stretch of frames can be asked for, and each of its frames is the same whichever stretch it is made in. What cannot
be seen in a stretch is not made: clips outside of it, and tracks under one that covers the canvas all the while.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from domain.ffmpeg.graph import Graph, counted
from domain.ffmpeg.picture import TO_BT709, colored, microseconds, still
from domain.ffmpeg.stage import Stage
from domain.timeline.content import Shot
from domain.timeline.layer import Layer, is_solid, layer, lies_still
from domain.timeline.placing import Placed, PlacedTracks


def laid(graph: Graph, stage: Stage, tracks: PlacedTracks, *, first: int, count: int, background: str | None) -> str:
    """Add what makes frames `first` to `first + count` of the tracks to the graph; return the link.

    In YUV 4:2:0 of BT.709, limited range; with alpha where there is no background.
    """
    window = Window(graph, stage, first, count, background)
    shown = [list(window.visible(clips)) for clips in tracks]
    covering = [index for index, clips in enumerate(shown) if clips and window.covered_by(clips)]
    seen: str | None = None  # nothing but the background yet
    for clips in shown[covering[-1] if covering else 0 :]:
        if not clips:
            continue
        if window.are_solid(clips) and (window.covered_by(clips) or (seen is None and background is not None)):
            seen = window.spliced(clips)
        else:
            seen = window.over(seen or window.plain(count), clips)
    return seen or window.plain(count)


@dataclass(frozen=True)
class Window:
    """The frames that are asked for."""

    graph: Graph
    stage: Stage
    first: int
    count: int
    background: str | None

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.first + self.count

    def visible(self, clips: Sequence[Placed]) -> Iterator[Placed]:
        """Those of a track's clips that show in it."""
        for clip in clips:
            if clip.start < self.end and clip.end > self.first and clip.clip.content.is_seen:
                yield clip

    def shot(self, clip: Placed) -> Shot:
        """What of a clip is within."""
        start, end = max(clip.start, self.first), min(clip.end, self.end)
        return Shot(graph=self.graph, stage=self.stage, clip=clip, first=start - clip.start, count=end - start)

    def at(self, clip: Placed) -> int:
        """Where a clip begins in the window."""
        return max(clip.start - self.first, 0)

    # What covers the canvas, and so hides what lies below

    def are_solid(self, clips: Sequence[Placed]) -> bool:
        """Whether each of them covers the canvas while it is there."""
        return all(is_solid(self.shot(clip)) for clip in clips)

    def covered_by(self, clips: Sequence[Placed]) -> bool:
        """Whether nothing below them can be seen, from the first frame to the last."""
        end = self.first
        for clip in clips:
            if clip.start > end:
                return False
            end = clip.end
        return end >= self.end and self.are_solid(clips)

    def _layer(self, clip: Placed) -> Layer:
        return layer(self.shot(clip), see_through=self.background is None)

    # Laying

    def plain(self, count: int) -> str:
        """The background, or nothing at all, for so many frames."""
        opacity = 0 if self.background is None else 1
        color = colored(self.background or "#000000", self.stage, opacity=opacity)
        return self.graph.chain(color, f"scale={TO_BT709}", f"format={self._pixels}", *still(count, self.stage.rate))

    @property
    def _pixels(self) -> str:
        return "yuva420p" if self.background is None else "yuv420p"

    def spliced(self, clips: Sequence[Placed]) -> str:
        """Clips that cover the canvas one after the other, with the background where there is none."""
        pieces: list[str] = []
        end = self.first
        for run in _runs(clips):
            start = max(run[0].start, self.first)
            if start > end:
                pieces.append(self.plain(start - end))
            pieces += self._given_way(run, {})
            end = run[-1].end
        if end < self.end:
            pieces.append(self.plain(self.end - end))
        return self._joined(pieces)

    def over(self, below: str, clips: Sequence[Placed]) -> str:
        """Lay a track's clips over what is below."""
        for run in _runs(clips):
            below = self._one_over(below, run[0]) if len(run) == 1 else self._run_over(below, run)
        return below

    def _one_over(self, below: str, clip: Placed) -> str:
        shot, at = self.shot(clip), self.at(clip)
        is_opaque = self.background is not None  # what is drawn on nothing would mix with it
        if is_opaque and lies_still(shot, fades=True) and not clip.clip.effects:
            drawn = clip.clip.content.drawn(shot, below, at)
            if drawn is not None:
                return drawn
        above = self._layer(clip)
        link = self.graph.chain(f"setpts=N+{at}", links=[above.link]) if at else above.link
        return self._over(below, link, above.place(at))

    def _run_over(self, below: str, run: Sequence[Placed]) -> str:
        """A transition is between two whole pictures, what lies below with the one clip over it and with the other.

        So it is right for clips of any shape and transparency.
        """
        first, end = max(run[0].start, self.first), min(run[-1].end, self.end)
        parts = [(start, stop) for start, stop, _ in self._segments(run)]
        around = [each for each in ((self.first, first), (end, self.end)) if each[0] < each[1]]
        copies = [part for part, clips in zip(parts, self._segments(run), strict=True) for _ in clips[2]]
        links = self._cut(below, self.first, self.count, [*copies, *around])
        under = dict[tuple[int, int], list[str]]()
        for part, link in zip([*copies, *around], links, strict=True):
            under.setdefault(part, []).append(link)
        pieces = self._given_way(run, under)
        before = under.get((self.first, first), []) if self.first < first else []
        behind = under.get((end, self.end), []) if end < self.end else []
        return self._joined([*before, *pieces, *behind])

    def _given_way(self, run: Sequence[Placed], under: dict[tuple[int, int], list[str]]) -> list[str]:
        """The pieces of a run: each clip alone, and each transition, over what is under them if there is anything.

        Only the frames of a transition go through its filter, which makes them of full colour resolution and back: the
        others would not stay as they are.
        """
        segments = list(self._segments(run))
        own: dict[int, list[str]] = {}
        layers: dict[int, Layer] = {}
        for clip in run:
            shown = [(start, stop) for start, stop, clips in segments if clip in clips]
            layers[id(clip)] = its = self._layer(clip)
            own[id(clip)] = self._cut(its.link, shown[0][0], shown[-1][1] - shown[0][0], shown)
        pieces: list[str] = []
        for start, stop, clips in segments:
            seen: list[str] = []
            for clip in clips:
                link = own[id(clip)].pop(0)
                if under:
                    begun = start - max(clip.start, self.first)
                    link = self._over(under[start, stop].pop(0), link, layers[id(clip)].place(-begun))
                seen.append(link)
            pieces.append(seen[0] if len(seen) == 1 else self._xfade(seen[0], seen[1], clips[1], start))
        return pieces

    def _segments(self, run: Sequence[Placed]) -> Iterator[tuple[int, int, list[Placed]]]:
        """From frame to frame, what of a run is there: one clip, or two in a transition."""
        edges = {edge for clip in run for edge in (clip.start, clip.end) if self.first < edge < self.end}
        edges |= {max(run[0].start, self.first), min(run[-1].end, self.end)}
        for start, stop in pairwise(sorted(edges)):
            yield start, stop, [clip for clip in run if clip.start <= start < clip.end]

    def _cut(self, link: str, first: int, count: int, parts: Sequence[tuple[int, int]]) -> list[str]:
        """The parts of a stream, each counted from 0; `parts` by frames of the timeline, the stream begins at first."""
        if list(parts) == [(first, first + count)]:
            return [link]
        copies = self.graph.fork(f"split={len(parts)}", links=[link], outputs=len(parts)) if len(parts) > 1 else [link]
        return [
            self.graph.chain(
                f"trim=start_frame={start - first}:end_frame={stop - first}", counted(self.stage.rate), links=[copy]
            )
            for copy, (start, stop) in zip(copies, parts, strict=True)
        ]

    def _joined(self, pieces: Sequence[str]) -> str:
        if len(pieces) == 1:
            return pieces[0]
        return self.graph.chain(f"concat=n={len(pieces)}:v=1:a=0", counted(self.stage.rate), links=pieces)

    def _xfade(self, seen: str, other: str, clip: Placed, start: int) -> str:
        """Let one stream give way to another in the transition into this clip; they show it from frame `start` on."""
        assert clip.clip.transition  # noqa: S101 - a run is held together by them
        kind, rate = clip.clip.transition.kind, self.stage.rate
        times = f"duration={microseconds(clip.fade_in, rate)}:offset={microseconds(clip.start - start, rate)}"
        mixed = [f"xfade={kind.xfade}:{times}", f"format={self._pixels}", counted(rate)]
        return self.graph.chain(*mixed, links=[seen, other])

    def _over(self, below: str, above: str, place: tuple[str, str]) -> str:
        x, y = place
        # With several threads, one reads the alpha below for chroma that another has changed already, now and then.
        alone = ":threads=1" if self.background is None else ""
        return self.graph.chain(f"overlay=x={x}:y={y}:eof_action=pass:repeatlast=0{alone}", links=[below, above])


def _runs(clips: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    """Clips that give way one to the next; most often a single one."""
    run: list[Placed] = []
    for clip in clips:
        if run and not (clip.fade_in and clip.start < run[-1].end):
            yield run
            run = []
        run.append(clip)
    if run:
        yield run
