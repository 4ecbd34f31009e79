"""What a render makes, and the pure compiler from a timeline to the command that makes it."""

from domain.render.compiler import Plan, compile_plan
from domain.render.output import Output, OutputPreset, VideoCodec
from domain.render.stage import Source
from domain.render.verify import Measured, mismatches

__all__ = [
    "Measured",
    "Output",
    "OutputPreset",
    "Plan",
    "Source",
    "VideoCodec",
    "compile_plan",
    "mismatches",
]
