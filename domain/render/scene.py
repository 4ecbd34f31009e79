"""A timeline on the stage of an output: the commands that make any stretch of its picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from domain.ffmpeg.command import Command
from domain.ffmpeg.graph import Graph
from domain.ffmpeg.picture import rounded
from domain.ffmpeg.stage import Source, Stage
from domain.render import encode
from domain.render.output import Output
from domain.timeline.edit import Timeline
from domain.timeline.layers import laid
from domain.timeline.placing import PlacedTracks, Rows, end_of, placed


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What a render is made with. All of it shapes the bytes, and so is part of every key."""

    ffmpeg: str
    """Which FFmpeg: what it says of its version and its parts."""
    threads: int = 4
    """Of one encoder."""
    hardware: bool = False
    """Whether a graphics processor encodes, where it can."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A timeline on the stage of an output: any stretch of its frames can be asked for."""

    timeline: Timeline
    tracks: PlacedTracks
    sources: Mapping[str, Source]
    tools: Tools
    width: int
    height: int

    @cached_property
    def stage(self) -> Stage:
        """The canvas, as large as it goes into the picture."""
        canvas = self.timeline.canvas
        scale = min(Fraction(self.width, canvas.width), Fraction(self.height, canvas.height))
        return Stage(
            width=rounded(canvas.width * scale),
            height=rounded(canvas.height * scale),
            rate=canvas.frame_rate,
            scale=scale,
            sources=self.sources,
        )

    @cached_property
    def rows(self) -> Rows:
        """Its clips, to be found by frame."""
        return Rows(self.tracks)

    @cached_property
    def length(self) -> int:
        """In frames."""
        return end_of(self.tracks)

    def seen(self, graph: Graph, first: int, count: int) -> str:
        """Add the picture of so many frames from `first` on to the graph; return its link."""
        tracks = self.rows.between(first, first + count)
        link = laid(graph, self.stage, tracks, first=first, count=count, background=self.timeline.background)
        return graph.chain(*self._finished(), links=[link])

    def _finished(self) -> list[str]:
        tags = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
        stage, size = self.stage, (self.width, self.height)
        if (stage.width, stage.height) == size:
            return [tags]
        left, top = ((whole - part) // 4 * 2 for whole, part in zip(size, (stage.width, stage.height), strict=True))
        return [f"pad={self.width}:{self.height}:{left}:{top}:black", tags]

    def span(self, output: Output, first: int, count: int) -> Command:
        """Encode a stretch of a movie, so that it can be joined to others."""
        graph = Graph()
        seen = self.seen(graph, first, count)
        rate = self.stage.rate
        arguments = encode.video_arguments(
            output, rate, frames=count, threads=self.tools.threads, hardware=self.tools.hardware
        )
        return replace(self._command(graph, seen, arguments, encode.SPAN, count), is_exact=True)

    def picture(self, output: Output, first: int, count: int) -> Command:
        """Make a GIF of a stretch, or a still of its first frame, in one run."""
        graph = Graph()
        link = encode.finished(graph, self.seen(graph, first, count), output, self.stage.rate)
        return self._command(graph, link, encode.picture_arguments(output), encode.result_name(output), count)

    def _command(self, graph: Graph, seen: str, arguments: Sequence[str], result: str, count: int) -> Command:
        # Times stay those of the sources, counted from the start of each file: a seek must not shift them.
        filters = graph.arguments()
        return Command(
            argv=("-copyts", "-start_at_zero", *graph.options, *filters, "-map", seen, *arguments, "-y", result),
            result=result,
            tool=self.tools.ffmpeg,
            inputs=graph.inputs,
            files=graph.files,
            frames=count,
            seconds=float(count / self.stage.rate),
        )


def scene(timeline: Timeline, sources: Mapping[str, Source], tools: Tools, *, width: int = 0, height: int = 0) -> Scene:
    """Set up a timeline without problems, for a picture of this size (0: that of its canvas)."""
    facts = {asset_id: source.facts for asset_id, source in sources.items()}
    return Scene(
        timeline=timeline,
        tracks=placed(timeline, facts),
        sources=sources,
        tools=tools,
        width=width or timeline.canvas.width,
        height=height or timeline.canvas.height,
    )


def preview(timeline: Timeline, sources: Mapping[str, Source], tools: Tools, *, width: int) -> Scene:
    """Set up a timeline for small pictures of it: of this width, or the canvas' if that is less."""
    canvas = timeline.canvas
    width = min(rounded(width), canvas.width)
    height = rounded(Fraction(width * canvas.height, canvas.width))
    return scene(timeline, sources, replace(tools, hardware=False), width=width, height=height)
