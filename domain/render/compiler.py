"""From a timeline to one FFmpeg command: pure, the same every time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from domain.render.graph import Graph, counted
from domain.render.output import Output, VideoCodec, even
from domain.render.picture import TO_BT709, Picture, color, picture, still
from domain.render.sound import CHANNELS, SAMPLE_RATE, mixed, samples, sound
from domain.render.stage import Source, Stage
from domain.timeline.edit import Timeline
from domain.timeline.placing import Placed, placed

MAX_PIXELS = 50_000_000
KEYFRAME_SECONDS = 2
RESULT = "render.mp4"

_ENCODERS = {
    # Threads are pinned: they change the bytes. Groups of pictures are closed, so that a file can be cut and joined.
    VideoCodec.H264: (
        ["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-threads", "4"],
        ["-x264-params", "open-gop=0"],
    ),
    VideoCodec.H265: (
        ["-c:v", "libx265", "-preset", "veryfast", "-tag:v", "hvc1", "-threads", "2"],
        ["-x265-params", "open-gop=0:log-level=warning"],
    ),
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A command, what it needs beside it, and what must come out."""

    argv: tuple[str, ...]
    """The arguments, without the ffmpeg binary itself. They are meant for a folder of their own."""
    files: Mapping[str, str]
    """Text files to write into that folder first: name → content."""
    result: str
    """The name of the file that then appears in it."""
    codec: VideoCodec
    width: int
    height: int
    frame_rate: Fraction
    frames: int
    samples: int | None
    """Of sound, at SAMPLE_RATE; None where the edit has none, and the file no audio track."""


def compile_plan(
    timeline: Timeline,
    output: Output,
    sources: Mapping[str, Source],
    *,
    font: Path,
    max_pixels: int = MAX_PIXELS,
) -> Plan:
    """Plan the render of a timeline without problems."""
    tracks = placed(timeline, {asset_id: source.facts for asset_id, source in sources.items()})
    length = max(clip.end for clips in tracks for clip in clips)
    stage = _stage(timeline, output, sources, font, max_pixels)
    graph = Graph()
    seen = graph.chain(
        color(timeline.background, stage), f"scale={TO_BT709}", "format=yuv420p", *still(length, stage.rate)
    )
    for clips in tracks:
        for run in _runs(graph, stage, clips):
            seen = _laid(graph, stage.rate, seen, run)
    seen = graph.chain(*_finished(stage, output), links=[seen])
    sounds = [link for clips in tracks for clip in clips if (link := sound(graph, stage, clip))]
    heard = mixed(graph, sounds, samples(length, stage.rate)) if sounds else None
    return Plan(
        argv=tuple(_argv(graph, output, stage.rate, seen=seen, heard=heard)),
        files=graph.files,
        result=RESULT,
        codec=output.codec,
        width=output.width,
        height=output.height,
        frame_rate=stage.rate,
        frames=length,
        samples=samples(length, stage.rate) if heard else None,
    )


def _stage(timeline: Timeline, output: Output, sources: Mapping[str, Source], font: Path, max_pixels: int) -> Stage:
    canvas = timeline.canvas
    scale = min(Fraction(output.width, canvas.width), Fraction(output.height, canvas.height))
    return Stage(
        width=even(canvas.width * scale),
        height=even(canvas.height * scale),
        rate=canvas.frame_rate,
        scale=scale,
        font=font,
        max_pixels=max_pixels,
        sources=sources,
    )


Run = list[tuple[Placed, Picture]]
"""Clips that fade one into the next; most often a single one."""


def _runs(graph: Graph, stage: Stage, clips: Sequence[Placed]) -> Iterator[Run]:
    run: Run = []
    for clip in clips:
        seen = picture(graph, stage, clip)
        if seen is None:
            continue
        if run and not clip.fade_in:
            yield run
            run = []
        run.append((clip, seen))
    if run:
        yield run


def _laid(graph: Graph, rate: Fraction, below: str, run: Run) -> str:
    """Lay a run over what is below.

    A cross-fade is between two whole pictures, what lies below with the one clip over it and with the other, and so is
    right for clips of any shape and transparency.
    """
    first, *rest = graph.fork(f"split={len(run)}", links=[below], outputs=len(run)) if len(run) > 1 else [below]
    seen = _over(graph, first, run[0][1], at=run[0][0].start)
    for copy, (clip, its) in zip(rest, run[1:], strict=True):
        from_here = graph.chain(f"trim=start_frame={clip.start}", counted(rate), links=[copy])
        other = _over(graph, from_here, its, at=0)
        times = f"duration={_seconds(clip.fade_in, rate)}:offset={_seconds(clip.start, rate)}"
        seen = graph.chain(f"xfade=fade:{times}", counted(rate), links=[seen, other])
    return seen


def _over(graph: Graph, below: str, picture: Picture, *, at: int) -> str:
    above = graph.chain(f"setpts=N+{at}", links=[picture.link]) if at else picture.link
    return graph.chain(f"overlay={picture.x}:{picture.y}:eof_action=pass:repeatlast=0", links=[below, above])


def _seconds(frames: int, rate: Fraction) -> str:
    """Microseconds are what xfade keeps; they round back to the right frame."""
    return f"{float(frames / rate):.6f}"


def _finished(stage: Stage, output: Output) -> list[str]:
    tags = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    if (stage.width, stage.height) == (output.width, output.height):
        return [tags]
    left, top = (output.width - stage.width) // 4 * 2, (output.height - stage.height) // 4 * 2
    return [f"pad={output.width}:{output.height}:{left}:{top}:black", tags]


def _argv(graph: Graph, output: Output, rate: Fraction, *, seen: str, heard: str | None) -> Iterator[str]:
    encoder, parameters = _ENCODERS[output.codec]
    # Times stay those of the sources, counted from the start of each file: a seek must not shift them.
    yield from ["-copyts", "-start_at_zero", *graph.inputs, *graph.arguments()]
    yield from ["-map", seen, *encoder, "-crf", str(output.crf), "-pix_fmt", "yuv420p"]
    yield from ["-g", str(round(KEYFRAME_SECONDS * rate)), *parameters]
    # No -frames:v: the graph ends by itself, and that limit would also cut the last samples of the sound.
    yield from ["-fps_mode", "cfr", "-r", str(rate)]
    if heard:
        yield from ["-map", heard, "-c:a", "aac", "-b:a", "192k", "-ar", str(SAMPLE_RATE), "-ac", str(CHANNELS)]
    yield from ["-map_metadata", "-1", "-map_chapters", "-1", "-movflags", "+faststart", "-f", "mp4", "-y", RESULT]
