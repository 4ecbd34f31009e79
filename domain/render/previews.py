"""Small pictures and clips of places in a timeline, made in a moment."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from domain.ffmpeg.command import Command
from domain.ffmpeg.stage import Source
from domain.refusals import InvalidInput
from domain.render.output import Format, Output, Speed, VideoCodec
from domain.render.proxy import proxied, proxy
from domain.render.scene import Tools, preview
from domain.timeline import Timeline

NARROWEST, WIDEST = 16, 1920
"""Pixels."""
LONGEST_CLIP = 30
"""Seconds."""
CLIP_CRF = 30


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What is to be seen, and how it is made."""

    command: Command
    width: int
    height: int
    format: Format


def quick(sources: Mapping[str, Source], tools: Tools) -> dict[str, Command]:
    """For each video what makes its small copy, by the id of the asset."""
    copies = {asset_id: proxy(source, tool=tools.ffmpeg) for asset_id, source in sources.items()}
    return {asset_id: copy for asset_id, copy in copies.items() if copy}


def seen(
    timeline: Timeline,
    sources: Mapping[str, Source],
    tools: Tools,
    *,
    kept: Collection[str],
    first: int,
    count: int,
    width: int,
    as_clip: bool,
) -> Preview:
    """A frame of a timeline without problems, or a clip (without sound) of some, as small as is asked for.

    `kept`: the keys of the small copies that are there; for other videos the file itself is used. Refuses frames that
    the timeline does not have.
    """
    copies = quick(sources, tools)
    small = {
        asset_id: proxied(source, copy) if (copy := copies.get(asset_id)) and copy.key in kept else source
        for asset_id, source in sources.items()
    }
    scene = preview(timeline, small, tools, width=width)
    if not 0 <= first < scene.length:
        problem = f"the timeline's frames are 0 to {scene.length - 1}, {first} is none of them"
        raise InvalidInput(path="first" if as_clip else "frame", problem=problem)
    most = int(min(scene.length - first, LONGEST_CLIP * scene.stage.rate))
    if not 1 <= count <= most:
        raise InvalidInput(path="count", problem=f"from there it must be 1 to {most} frames, not {count}")
    if as_clip:
        output = Output(
            format=Format.MP4,
            codec=VideoCodec.H264,
            width=scene.width,
            height=scene.height,
            crf=CLIP_CRF,
            speed=Speed.FASTER,
        )
        command = scene.span(output, first, count)
    else:
        output = Output(format=Format.JPEG, width=scene.width, height=scene.height, frame=first)
        command = scene.picture(output, first, 1)
    return Preview(command=command, width=scene.width, height=scene.height, format=output.format)


def must_be_width(width: int) -> None:
    """Refuse a width that no preview has."""
    if not NARROWEST <= width <= WIDEST:
        raise InvalidInput(path="width", problem=f"it must be {NARROWEST} to {WIDEST} pixels, not {width}")
