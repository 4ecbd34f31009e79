"""How pictures and sound are compressed, and joined without being compressed again. Pure: from outputs to arguments.

A movie is made in three steps, each a run of FFmpeg of its own: spans of its picture, its sound, and the join of all of
them by copying. Where the quality of one part depends on the others (a bitrate, a size) the picture is a single span.
GIFs, stills and sound alone are one run each.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from domain.ffmpeg.graph import Graph
from domain.render.output import Format, Output, Speed, VideoCodec

SAMPLE_RATE, CHANNELS = 48_000, 2
KEYFRAME_SECONDS = 2
"""Between pictures that need no other: players seek to these, and streams are cut at these."""
LEAST_TICKS = 10_000
MOST_TICKS = 2**31 - 1
REORDERED = 2
"""Frames by which the encoders below let decoding run ahead of showing, at most: pyramids of B-frames need two."""
MICROSECONDS = 1_000_000
SPAN = "span.mp4"

BT709 = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
BARE = ["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"]
"""Nothing about the sources or the tools goes into a file, nor numbers drawn by lot, which WebM and Ogg are full of."""

SOFTWARE = {
    VideoCodec.H264: "libx264",
    VideoCodec.H265: "libx265",
    VideoCodec.AV1: "libsvtav1",
    VideoCodec.VP9: "libvpx-vp9",
}
HARDWARE = {VideoCodec.H264: "h264_nvenc", VideoCodec.H265: "hevc_nvenc", VideoCodec.AV1: "av1_nvenc"}

# Where each encoder gives most for its time. `medium` is what x264 and x265 are tuned at. SVT-AV1's 8 takes about as
# long as x264's `slow`; 10 and above warn of visible faults. libvpx has -cpu-used 0 to 5 when it is not in a hurry.
_PRESETS = {
    "libx264": {Speed.FASTER: "veryfast", Speed.BALANCED: "medium", Speed.SMALLER: "slow"},
    "libx265": {Speed.FASTER: "veryfast", Speed.BALANCED: "medium", Speed.SMALLER: "slow"},
    "libsvtav1": {Speed.FASTER: "9", Speed.BALANCED: "8", Speed.SMALLER: "5"},
    "libvpx-vp9": {Speed.FASTER: "5", Speed.BALANCED: "4", Speed.SMALLER: "2"},
    "nvenc": {Speed.FASTER: "p2", Speed.BALANCED: "p5", Speed.SMALLER: "p7"},
}


_PICTURES = {Format.GIF: "gif", Format.PNG: "png", Format.JPEG: "mjpeg"}
_IN_SAMPLES = ["-movie_timescale", str(SAMPLE_RATE)]
_SOUNDS = {
    Format.MP4: ["aac", *_IN_SAMPLES, "-f", "ipod"],
    Format.AAC: ["aac", *_IN_SAMPLES, "-movflags", "+faststart", "-f", "ipod"],
    Format.WEBM: ["libopus", "-f", "ogg"],
    Format.MP3: ["libmp3lame", "-f", "mp3"],
    Format.WAV: ["pcm_s16le", "-f", "wav"],
}
"""The encoder of each format's sound, and the file it writes."""


def encoder(codec: VideoCodec, *, hardware: bool = False) -> str:
    """The name of the encoder that FFmpeg must have. No hardware makes VP9."""
    return HARDWARE.get(codec, SOFTWARE[codec]) if hardware else SOFTWARE[codec]


def encoders(output: Output, *, hardware: bool = False) -> frozenset[str]:
    """All that FFmpeg must have to make this. A build need not have those for AV1, VP9, Opus and MP3."""
    picture = encoder(output.codec, hardware=hardware) if output.codec else _PICTURES.get(output.format)
    sound = _SOUNDS[output.format][0] if output.format in _SOUNDS else None
    return frozenset(each for each in (picture, sound) if each)


# Pictures of movies


def video_arguments(output: Output, rate: Fraction, *, frames: int, threads: int, hardware: bool = False) -> list[str]:
    """Encode one span of a movie, of so many frames, to SPAN; for a movie that is not incremental, all of it.

    Goes behind the `-map` of a picture whose frames are numbered at `rate`. The span is an MP4 file whatever the codec
    and the format of the movie: its times are exact, and joins copy from it.
    """
    assert output.codec is not None  # noqa: S101 - Output.problems
    name = encoder(output.codec, hardware=hardware)
    # Groups of pictures are closed and begin at fixed distances, so that every span can be decoded for itself and
    # behind any other. Threads are pinned: they change the bytes. So is what the colours mean.
    group = round(KEYFRAME_SECONDS * rate)
    return [
        "-c:v",
        name,
        *_encoding(name, output, threads),
        *_quality(name, output, frames, rate),
        *("-g", str(group)),
        *(["-keyint_min", str(group)] if name in {"libx264", "libx265", "libvpx-vp9"} else []),
        *("-pix_fmt", "yuv420p"),
        *BT709,
        # As many frames as planned, one after the other: else one of uncertain length might be repeated at the end.
        *("-fps_mode", "cfr", "-r", str(rate), "-frames:v", str(frames)),
        *("-an", *BARE, *_clock(output.codec, rate), "-f", "mp4"),
    ]


def _encoding(name: str, output: Output, threads: int) -> list[str]:
    preset = _PRESETS.get(name, _PRESETS["nvenc"])[output.speed]
    match name:
        case "libx264":
            # Stitchable: the headers are the same whatever the pictures are like. Lossless is a profile of its own.
            profile = [] if output.crf == 0 else ["-profile:v", "high"]
            parameters = "open-gop=0:scenecut=0:stitchable=1"
            return ["-preset", preset, *profile, "-threads", str(threads), "-x264-params", parameters]
        case "libx265":
            # -threads are frames at a time, which change the bytes; the pool works on these and does not.
            parameters = f"open-gop=0:scenecut=0:pools={threads}:log-level=warning"
            return ["-preset", preset, "-threads", "2" if threads > 1 else "1", "-x265-params", parameters]
        case "libsvtav1":
            return ["-preset", preset, "-svtav1-params", f"scd=0:lp={min(threads, 6)}"]
        case "libvpx-vp9":
            hurry = ["-deadline", "good", "-cpu-used", preset]
            return [*hurry, "-row-mt", "1", "-tile-columns", "2", "-threads", str(threads)]
        case _:
            # Without the pyramid, so that no more frames are reordered than by the others.
            tune = "lossless" if output.codec is VideoCodec.H264 and output.crf == 0 else "hq"
            order = [] if name == "av1_nvenc" else ["-bf", "2", "-b_ref_mode", "disabled"]
            return ["-preset", preset, "-tune", tune, *order, "-no-scenecut", "1", "-forced-idr", "1"]


def _quality(name: str, output: Output, frames: int, rate: Fraction) -> list[str]:
    if output.crf is None:
        bitrate = output.picture_bitrate(frames, rate)
        # So little room for more that a single pass keeps to the average. SVT-AV1 takes no cap beside a bitrate.
        return ["-b:v", str(bitrate), *([] if name == "libsvtav1" else _cap(bitrate * 3 // 2))]
    cap = output.max_bitrate
    if name == "libvpx-vp9":  # knows no other cap: beside a quality, its bitrate is one
        return ["-crf", str(output.crf), "-b:v", str(cap or 0)]
    if name in SOFTWARE.values():
        return ["-crf", str(output.crf), *_cap(cap)]
    if output.codec is VideoCodec.H264 and output.crf == 0:
        return ["-rc", "constqp", "-qp", "0"]
    return ["-rc", "vbr", "-cq", str(output.crf), "-b:v", "0", *_cap(cap)]


def _cap(bitrate: int | None) -> list[str]:
    """Hold the bits of each two seconds below what this rate brings in them."""
    return ["-maxrate", str(bitrate), "-bufsize", str(bitrate * 2)] if bitrate else []


def ticks(rate: Fraction) -> int:
    """Ticks a second of a movie's clock, of which a frame takes a whole number at any rate, 24000/1001 too.

    All spans of a rate, and the movie, have the same clock: where clocks differ, joining corrupts times in silence.
    """
    clock = rate.numerator
    while clock < LEAST_TICKS:
        clock *= 2  # as FFmpeg does by itself: players know the numbers that come of it
    return clock


def _clock(codec: VideoCodec | None, rate: Fraction) -> list[str]:
    """How an MP4 counts time: exactly, also where it says how long the whole is, in another clock shared with sound."""
    both = lcm(ticks(rate), SAMPLE_RATE)
    clock = both if both <= MOST_TICKS else ticks(rate)
    tag = ["-tag:v", "hvc1"] if codec is VideoCodec.H265 else []  # without it, Apple's players show nothing
    return [*tag, "-video_track_timescale", str(ticks(rate)), "-movie_timescale", str(clock)]


# Sound


def sound_name(output: Output) -> str:
    """The file that `sound_arguments` writes: for sound alone it is the result."""
    return f"sound.{'ogg' if output.format is Format.WEBM else 'm4a' if output.is_movie else output.format.extension}"


def sound_arguments(output: Output) -> list[str]:
    """Encode the whole sound to `sound_name`. Goes behind the `-map` of its samples.

    Each container is one that says to the sample what players skip of what encoders put before and behind: an edit
    list, a pre-skip, a LAME header. In WebM itself times are whole milliseconds; from Ogg they are copied unspoilt.
    """
    name, *container = _SOUNDS[output.format]
    bitrate = ["-b:a", str(output.bits_of_sound)] if output.bits_of_sound else []
    return ["-vn", *BARE, "-ar", str(SAMPLE_RATE), "-ac", str(CHANNELS), "-c:a", name, *bitrate, *container]


# Joining


@dataclass(frozen=True, kw_only=True)
class Joining:
    """A run of FFmpeg that copies."""

    argv: tuple[str, ...]
    files: Mapping[str, str]
    """To be written beside it first: name → content."""
    result: str


def result_name(output: Output) -> str:
    """The finished file."""
    return sound_name(output) if output.is_sound else f"result.{output.format.extension}"


def join_arguments(output: Output, spans: Sequence[tuple[str, int]], rate: Fraction, sound: str | None) -> Joining:
    """Join spans (name and number of frames) and the sound to a movie, by copying.

    Names are relative, of letters, digits and `._-/` only: the list that FFmpeg reads trusts no others.
    """
    frame = ticks(rate) // rate
    delay = REORDERED if output.codec in {VideoCodec.H264, VideoCodec.H265} else 0
    # Encoders let decoding run ahead less in a span of one to three frames, so that behind it decoding times would step
    # back, which FFmpeg "repairs". Counted anew over the whole they are even; when to show a frame stays as it is.
    times = f"setts=pts=PTS:dts=(N-{delay})*{frame}"
    mp4 = [*_clock(output.codec, rate), "-movflags", "+faststart"]
    return Joining(
        argv=(
            *("-f", "concat", "-i", "spans.txt"),
            *(("-f", "ogg" if output.format is Format.WEBM else "mov", "-i", f"file:{sound}") if sound else ()),
            *("-map", "0:v", *(("-map", "1:a") if sound else ()), "-c", "copy", "-bsf:v", times),
            *(*BARE, *(mp4 if output.format is Format.MP4 else []), "-f", output.format.extension),
            *("-y", result_name(output)),
        ),
        files={"spans.txt": "".join(f"{line}\n" for line in _list(spans, rate))},
        result=result_name(output),
    )


def _list(spans: Sequence[tuple[str, int]], rate: Fraction) -> Iterable[str]:
    """The spans with the time each takes. That is said in microseconds, which most frames are not a whole number of.

    So the ends of the spans are rounded, not their lengths: an error stays below one tick and never adds up.
    """
    yield "ffconcat version 1.0"
    done = 0
    for name, frames in spans:
        start, end = (round(each / rate * MICROSECONDS) for each in (done, done + frames))
        done += frames
        yield f"file {name}"
        yield f"duration {(end - start) // MICROSECONDS}.{(end - start) % MICROSECONDS:06d}"


# GIFs and stills


def finished(graph: Graph, link: str, output: Output, rate: Fraction) -> str:
    """Turn the finished picture of a GIF or a still into the colours that its format has; return the new link.

    What comes in are frames in BT.709 at `rate`: those of the whole timeline, or the one frame of a still.
    """
    match output.format:
        case Format.GIF:
            # Each frame of the GIF shows what the timeline shows at that moment, the first one the first.
            thinned = graph.chain(
                f"fps={output.gif_rate(rate)}:round=up", f"scale={FROM_BT709}", "format=bgra", links=[link]
            )
            seen, counted = graph.fork("split=2", links=[thinned], outputs=2)
            palette = graph.chain("palettegen=stats_mode=full", links=[counted])
            return graph.chain("paletteuse=dither=sierra2_4a:diff_mode=rectangle", links=[seen, palette])
        case Format.PNG:
            return graph.chain(f"scale={FROM_BT709}", "format=rgb24", links=[link])
        case Format.JPEG:
            # The colours of JPEG are BT.601 over the full range, by the standard and in every viewer.
            return graph.chain(
                f"scale={FROM_BT709}:out_color_matrix=bt601:out_range=pc", "format=yuvj420p", links=[link]
            )
        case _:
            return link


FROM_BT709 = "in_color_matrix=bt709:in_range=tv:flags=bicubic+accurate_rnd+full_chroma_int"


def picture_arguments(output: Output) -> list[str]:
    """Encode a GIF or a still to `result_name`. Goes behind the `-map` of what `finished` made of its picture."""
    encoded = ["-an", *BARE, "-c:v", _PICTURES[output.format]]
    if output.format is Format.GIF:
        return [*encoded, "-loop", "0", "-f", "gif"]
    quality = ["-q:v", "2"] if output.format is Format.JPEG else []
    return [*encoded, *quality, "-frames:v", "1", "-f", "image2", "-update", "1"]


def gif_frames(output: Output, frames: int, rate: Fraction) -> int:
    """How many frames a GIF has of a timeline of so many."""
    return -(-frames * output.gif_rate(rate) // rate)
