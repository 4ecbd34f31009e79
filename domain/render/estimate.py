"""What making a piece costs, before it is made: to share work out, and to tell people."""

import hashlib
import json

from domain.ffmpeg.command import Command
from domain.piece import Pace
from domain.render.output import Output, Speed, VideoCodec
from domain.render.scene import Tools

STRETCH_SECONDS = 15.0
"""Of processor time: less than this is not worth a job of its own."""
MOST_STRETCHES = 400
_FRAME_SECONDS = {VideoCodec.H264: 2.9e-8, VideoCodec.H265: 1.0e-7, VideoCodec.AV1: 8.0e-8, VideoCodec.VP9: 1.0e-7}
"""Processor seconds for each pixel. That of H.264 was measured on grainy footage at 1080p on an x86 machine, the others
are guesses beside it; a start, until a project has figures of its own. Better too high: stretches are then shorter."""
_SPEEDS = {Speed.FASTER: 0.5, Speed.BALANCED: 1.0, Speed.SMALLER: 2.5}
_PIXEL_BYTES = {VideoCodec.H264: 0.012, VideoCodec.H265: 0.008, VideoCodec.AV1: 0.006, VideoCodec.VP9: 0.007}
_SOUND_SECONDS = 0.02
"""Processor seconds for each second of sound that is mixed or encoded."""
SOUND_BYTES = 24_000
"""For each second of sound, at 192 kbit/s."""


def signature(output: Output, tools: Tools) -> str:
    """What pieces cost alike: those of one encoder, with the same settings and size."""
    asked = {"output": output.to_json(), "threads": tools.threads, "hardware": tools.hardware, "ffmpeg": tools.ffmpeg}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def usual_pace(output: Output) -> Pace:
    """What a frame costs as far as anybody knows before the first one is made."""
    pixels = max(output.width * output.height, 1)
    codec = output.codec or VideoCodec.H264
    return Pace(
        cpu_seconds_per_frame=pixels * _FRAME_SECONDS[codec] * _SPEEDS[output.speed],
        bytes_per_frame=pixels * _PIXEL_BYTES[codec],
    )


def cost(command: Command, pace: Pace) -> float:
    """Processor seconds that a piece will take."""
    return command.frames * pace.cpu_seconds_per_frame if command.frames else command.seconds * _SOUND_SECONDS
