"""The small copy of a video that is worked with: quick to enter anywhere, and quick to decode."""

from dataclasses import replace
from fractions import Fraction

from domain.ffmpeg.command import Command
from domain.ffmpeg.graph import Graph
from domain.ffmpeg.picture import TO_BT709, rounded
from domain.ffmpeg.stage import Source
from domain.media import MediaKind
from domain.timeline.contents.still import in_matrix, size_of, turned
from domain.timeline.contents.video import OPAQUE

SIDE = 540
"""Pixels of its shorter side, at most."""
GROUP = 15
"""Frames from keyframe to keyframe: so many are decoded at most to show one."""
SETTLING = 0.125
"""Seconds by which a seek in it aims early: hardly any, for its frames are stored in the order they are shown in."""
CLOCK = 90_000
COPIED = OPAQUE | {"vp8", "vp9"}
"""Codecs of which a small copy is made: those without transparent parts, for it has none. WebM may hold transparency
beside VP8 and VP9, but FFmpeg's decoders leave that out, of a render as of the copy."""
RESULT = "proxy.mp4"


def proxy(source: Source, *, tool: str) -> Command | None:
    """What makes a video's small copy, each of its frames at its own time; None where none would look the same."""
    if source.facts.kind is not MediaKind.VIDEO or source.facts.video_codec not in COPIED:
        return None
    graph = Graph()
    number = source.open(graph)
    width, height = proxy_size(source)
    matrix = f"in_color_matrix={found}:" if (found := in_matrix(source.facts)) else ""
    seen = graph.chain(
        *turned(source.facts),
        f"scale={width}:{height}:{matrix}{TO_BT709}",
        "setsar=1",
        "format=yuv420p",
        # In the original a sound may come first; here nothing does, and times are counted from what does.
        "setpts='if(eq(N,0)*gt(PTS,0),0,PTS)'",
        links=[f"[{number}:V:0]"],
    )
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-threads", "2", "-bf", "0", "-g", str(GROUP)]
    tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    times = ["-fps_mode", "passthrough", "-enc_time_base", f"1/{CLOCK}", "-video_track_timescale", str(CLOCK)]
    bare = ["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-movflags", "+faststart"]
    filters = graph.arguments()
    return Command(
        argv=(
            *("-copyts", "-start_at_zero", *graph.options, *filters, "-map", seen),
            *(*encoder, *tags, *times, *bare, "-an", "-f", "mp4", "-y", RESULT),
        ),
        result=RESULT,
        tool=tool,
        inputs=graph.inputs,
        files=graph.files,
        frames=source.facts.frame_count or 0,
        seconds=source.facts.duration_seconds or 0.0,
    )


def proxy_size(source: Source) -> tuple[int, int]:
    """Its sides: those of the original, if it is small."""
    width, height = size_of(source.facts)
    scale = min(Fraction(SIDE, min(width, height)), Fraction(1))
    return rounded(width * scale), rounded(height * scale)


def proxied(source: Source, command: Command) -> Source:
    """The small copy in the place of the original: it is as long, and its frames have the same times."""
    width, height = proxy_size(source)
    facts = replace(
        source.facts,
        container="mp4",
        video_codec="h264",
        width=width,
        height=height,
        rotation=0,
        color_matrix="bt709",
        shown_late_seconds=0.0,  # no frame waits for another
    )
    return replace(source, original=command, facts=facts, settling=SETTLING)
