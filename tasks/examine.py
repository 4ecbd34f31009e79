"""Look into a media file with PyAV, and say what is there as one line of JSON.

Run as a script by `tasks.probe`, in a limited child: what is read here may be made to break a decoder. It knows nothing
of ours, so that nothing of ours is there to break. It observes; `tasks.probe` judges, except where going on would cost
too much: then it says {"rejected": why}.
"""

import json
import re
import sys
from fractions import Fraction
from typing import Any, BinaryIO, TextIO

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

PACKETS_TO_DECODE = 300
"""A first frame that has not come after so many packets will not come."""
COUNTED = {"opus", "mp3"}
"""Sound whose length only its decoder knows to the sample: its packets are all of a length, or count milliseconds."""
STRICT = {"jpeg_pipe", "png_pipe"}
"""Pictures whose decoders, left to themselves, fill up what is missing with grey."""
UNDECODABLE = "The file is in a format we cannot decode."
MATRICES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c"}


class Rejected(Exception):
    """The file is no good; the message is a sentence for its owner."""


class Seen:
    """What the packets of one stream add up to, in its time base."""

    def __init__(self, stream: Stream) -> None:
        """Begin with nothing seen."""
        self.stream = stream
        self.time_base = stream.time_base or Fraction(1, 1000)
        self.packets = 0
        self.times: list[int] = []
        self.durations: list[int] = []
        self.late = 0
        self.first_frame: Any = None
        self.last_is_corrupt = False
        self.counting = False
        self.samples = 0

    def add(self, packet: "Packet[Any]") -> None:
        """Count a packet and, until one frame is there, decode."""
        self.last_is_corrupt = packet.is_corrupt
        if self.counting:
            self._count(packet.decode())
        elif self.first_frame is None and self.packets < PACKETS_TO_DECODE:
            self.first_frame = next(iter(packet.decode()), None)
        if packet.is_discard:
            return
        self.packets += 1
        time = packet.dts if packet.pts is None else packet.pts
        if packet.pts is not None and packet.dts is not None:
            self.late = max(self.late, packet.pts - packet.dts)
        if time is not None:
            self.times.append(time)
            self.durations.append(packet.duration or 0)

    def finish(self) -> None:
        """Ask the decoder for what it still holds."""
        if self.counting:
            self._count(self.stream.codec_context.decode(None))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]  # typed per kind of stream only
        elif self.first_frame is None and self.packets:
            self.first_frame = next(iter(self.stream.codec_context.decode(None)), None)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType, reportUnknownVariableType]  # typed per kind of stream only

    def _count(self, frames: list[Any]) -> None:
        """Take decoded sound."""
        for frame in frames:
            self.first_frame = self.first_frame or frame
            self.samples += frame.samples

    @property
    def start(self) -> Fraction | None:
        """Seconds to its first moment."""
        return min(self.times) * self.time_base if self.times else None

    def end(self, usual_duration: Fraction) -> Fraction | None:
        """Seconds to the end of its last frame; `usual_duration` stands in where the packet has none."""
        if not self.times:
            return None
        time, duration = max(zip(self.times, self.durations, strict=True))
        return time * self.time_base + (duration * self.time_base or usual_duration)


class Bytes:
    """A file as bytes only: without a name, by which a demuxer could be guessed or another file be found."""

    def __init__(self, file: BinaryIO) -> None:
        """Offer just what a demuxer needs."""
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def opened(file: BinaryIO, formats: str, max_pixels: int) -> InputContainer:
    """Open a file that can lead to no other: no name, no protocol, and only the demuxers we know."""
    options = {"format_whitelist": formats, "protocol_whitelist": "none", "max_pixels": str(max_pixels * 2)}
    try:
        # Tags of old files are in any encoding, and nobody here reads them.
        return av.open(Bytes(file), mode="r", options=options, buffer_size=2**20, metadata_errors="replace")
    except (FFmpegError, ValueError):
        if _head(file)[4:8] == b"ftyp":
            raise Rejected("The file is incomplete or damaged: it begins as MP4, but its index is missing.") from None
        raise Rejected("The file is not a media file of a kind we can read.") from None


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(64)


def chosen(container: InputContainer) -> tuple[VideoStream | None, AudioStream | None]:
    """The first real picture and the first sound, as FFmpeg's `V:0` and `a:0` choose them."""
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    videos = [each for each in container.streams.video if not each.disposition & covers]
    found = next(iter(videos), None), next(iter(container.streams.audio), None)
    for each in found:
        if each and each.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]  # so it is for a codec that is not even known by name
            raise Rejected(UNDECODABLE)
    return found


def read(container: InputContainer, max_pixels: int, *, counting: bool = False) -> dict[int, Seen]:
    """Read every packet; decode the first frame of the picture and of the sound; `counting`: the whole of COUNTED."""
    seen = {stream.index: Seen(stream) for stream in chosen(container) if stream}
    for each in seen.values():
        context = each.stream.codec_context
        if not context.is_decoder:
            raise Rejected(UNDECODABLE)
        each.counting = counting and context.codec.canonical_name in COUNTED
        context.thread_count = 1
        context.options = {"max_pixels": str(max_pixels * 2)}  # it counts whole blocks, more than is seen
        if container.format.name in STRICT:
            context.options["err_detect"] = "explode"
    try:
        # Asked for no stream, it would give the packets of all.
        for packet in container.demux([each.stream for each in seen.values()]) if seen else ():
            if packet.size:
                seen[packet.stream_index].add(packet)
        for each in seen.values():
            each.finish()
    except FFmpegError:
        raise Rejected("The file is damaged: a part of it cannot be read.") from None
    return seen


def probe(file: BinaryIO, formats: str, max_pixels: int) -> dict[str, Any]:
    """Everything `tasks.probe` judges by."""
    size = file.seek(0, 2)
    head = _head(file)
    file.seek(0)
    with opened(file, formats, max_pixels) as container:
        video, audio = chosen(container)
        if video and video.width * video.height > max_pixels:
            raise Rejected(_too_many(video.width, video.height, max_pixels))
        seen = read(container, max_pixels)
        start = Fraction(container.start_time or 0, av.time_base)
        return {
            "format": container.format.name,
            "brand": container.metadata.get("major_brand", ""),
            "is_webm": b"webm" in head,
            "announced_seconds": container.duration / av.time_base if container.duration else None,
            "start_seconds": float(start),
            "breaks_off": _breaks_off(container, head, size) or any(each.last_is_corrupt for each in seen.values()),
            "video": video and _video(video, seen[video.index], start),
            "audio": audio and _audio(audio, seen[audio.index], start),
        }


def _video(stream: VideoStream, seen: Seen, start: Fraction) -> dict[str, Any]:
    frame: VideoFrame | None = seen.first_frame
    if stream.container.format.name == "avi":
        seen.durations = [0] * len(seen.durations)  # they count ticks there, not frames
    rate = _rate(stream, seen)
    end = seen.end(1 / rate if rate else Fraction(0))
    return {
        "codec": stream.codec_context.codec.canonical_name,
        "packets": seen.packets,
        "decodes": frame is not None,
        "width": frame.width if frame else stream.width,
        "height": frame.height if frame else stream.height,
        "pixel_shape": str(stream.sample_aspect_ratio or 1),
        "rotation": -frame.rotation % 360 if frame else 0,
        "matrix": MATRICES.get(int(frame.colorspace)) if frame else None,
        "rate": rate and str(rate),
        "seconds": None if end is None else float(end - start),
        "late": float(seen.late * seen.time_base),
    }


def _audio(stream: AudioStream, seen: Seen, start: Fraction) -> dict[str, Any]:
    end = seen.end(Fraction(0))
    return {
        "codec": stream.codec_context.codec.canonical_name,
        "packets": seen.packets,
        "decodes": seen.first_frame is not None,
        "channels": stream.codec_context.channels,
        "sample_rate": stream.codec_context.sample_rate,
        "seconds": None if end is None else float(end - start),
    }


def _rate(stream: VideoStream, seen: Seen) -> Fraction | None:
    """Frames a second: the exact rate the file states where its frames agree on average, else that average."""
    stated = stream.guessed_rate
    first, end = seen.start, seen.end(1 / stated if stated else Fraction(0))
    if first is None or end is None or end <= first:
        return stated
    frames = len(seen.times)
    if stated and abs(stated * (end - first) - frames) <= max(Fraction(frames, 200), 1):
        return stated
    return (frames / (end - first)).limit_denominator(1001)


def _breaks_off(container: InputContainer, head: bytes, size: int) -> bool:
    """Whether the file tells of data after its own end: in an MP4's index, or in the header of a RIFF or AIFF file."""
    if head[:4] in {b"RIFF", b"FORM"}:
        announced = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
        return announced + 8 > size and announced != 2**32 - 1  # which is "until it ends", from who could not go back
    if container.format.name.startswith("mov"):
        return any(entry.pos + entry.size > size for stream in container.streams for entry in stream.index_entries)
    return False


def _too_many(width: int, height: int, max_pixels: int) -> str:
    return f"A picture of {width} x {height} has {width * height:,} pixels; {max_pixels:,} are allowed."


def measure(file: BinaryIO, formats: str, max_pixels: int, rate: str = "") -> dict[str, Any]:
    """What a made file is, exactly, for comparison with its plan: a movie, its picture or its sound alone, or a still.

    `rate`: the frames a second that its frames are judged by; the rate that the file states if not said.
    """
    with opened(file, formats, max_pixels) as container:
        video, audio = chosen(container)
        if video is None and audio is None:
            raise Rejected("The file holds neither picture nor sound.")
        seen = read(container, max_pixels, counting=True)
        return {
            "container": container.format.name.split(",")[0],
            **(_pictures(video, seen[video.index], rate) if video else {}),
            **(_sound(audio, seen[audio.index]) if audio else {}),
        }


def _pictures(stream: VideoStream, seen: Seen, rate: str) -> dict[str, Any]:
    stated = stream.average_rate or Fraction(1)
    return {
        "video_codec": stream.codec_context.codec.canonical_name,
        "width": stream.width,
        "height": stream.height,
        "frame_rate": str(stated),
        "frames": seen.packets,
        "first_time": str(seen.start),
        "uneven_steps": _uneven(seen, Fraction(rate) if rate else stated),
    }


def _uneven(seen: Seen, rate: Fraction) -> int:
    """How many frames do not come, or the last one does not end, as near to their time as the file can say it.

    Where a clock has a tick for each frame (MP4) that is exactly; else (WebM, GIF) to half a tick. The end may be off
    by another one: there, lengths are cut off to whole ticks.
    """
    if not seen.times:
        return 0
    step = 1 / (rate * seen.time_base)
    first, *_ = times = sorted(seen.times)
    over, under = step.as_integer_ratio()  # a day has millions of frames: fractions are too slow for all of them
    uneven = sum(2 * abs((time - first) * under - over * number) > under for number, time in enumerate(times))
    last, duration = max(zip(seen.times, seen.durations, strict=True))
    end = abs(last + duration - first - step * len(times))
    return uneven + (end > (0 if under == 1 else Fraction(3, 2)))


def _sound(stream: AudioStream, seen: Seen) -> dict[str, Any]:
    return {
        "audio_codec": stream.codec_context.codec.canonical_name,
        "sample_rate": stream.codec_context.sample_rate,
        "channels": stream.codec_context.channels,
        "samples": _samples(stream, seen),
    }


def _samples(stream: AudioStream, seen: Seen) -> int | None:
    """Samples from time 0 on: what lies before is the encoder's lead-in, which players skip."""
    if stream.codec_context.codec.canonical_name in COUNTED:
        return seen.samples
    end = seen.end(Fraction(0))
    rate = stream.codec_context.sample_rate
    return None if end is None or seen.start is None else round((end - max(seen.start, 0)) * rate)


def _too_large(said: list[tuple[int, str, str]], max_pixels: int) -> str | None:
    """Whether a decoder refused a size that stood nowhere but in the picture itself."""
    for _, _, message in said:
        if found := re.match(r"Picture size (\d+)x(\d+)", message):
            return _too_many(int(found[1]), int(found[2]), max_pixels)
    return None


def main(arguments: list[str], out: TextIO) -> None:
    """Answer one question about one file."""
    verb, path, formats, max_pixels, *more = arguments
    with av.logging.Capture() as said:
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - as light as can be
                answer = {"probe": probe, "measure": measure}[verb](file, formats, int(max_pixels), *more)
        except Rejected as reason:
            answer = {"rejected": _too_large(said, int(max_pixels)) or str(reason)}
        except MemoryError:
            answer = {"rejected": "Reading the file needs too much memory."}
    out.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    av.logging.set_level(av.logging.ERROR)
    main(sys.argv[1:], sys.stdout)
