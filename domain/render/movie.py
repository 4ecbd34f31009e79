"""From a timeline to the commands that make a file of it: pure, the same every time.

A movie is joined, by copying, from spans of its picture and from its sound; each of these is a command with a key of
its own, so that what is known already is not made again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from domain.ffmpeg.command import Command
from domain.ffmpeg.stage import Source
from domain.render import encode
from domain.render.output import Format, Output
from domain.render.scene import Tools, scene
from domain.render.spans import cuts, marks
from domain.render.verify import Expected
from domain.sound.samples import samples
from domain.sound.soundtrack import soundtrack
from domain.timeline.edit import Timeline


@dataclass(frozen=True, kw_only=True)
class Movie:
    """How a timeline is made into a file."""

    command: Command
    """What makes the file, out of all the others."""
    spans: tuple[Command, ...]
    """The pieces of its picture, in order; empty for one that is made in one run."""
    sound: Command | None
    """Its whole sound, encoded; None where nothing is heard."""
    poster: Command | None
    """A JPEG of one of its frames, if that was asked for."""
    expected: Expected
    frames: int
    rate: Fraction

    @property
    def parts(self) -> tuple[Command, ...]:
        """What the file is put together from."""
        return tuple(each for each in self.command.inputs.values() if isinstance(each, Command))

    @property
    def pieces(self) -> tuple[Command, ...]:
        """All that is made on the way, in an order in which it can be made."""
        return tuple(self.command.tree())[:-1]


def movie(timeline: Timeline, output: Output, sources: Mapping[str, Source], tools: Tools) -> Movie:
    """Plan how to make a timeline without problems into a file."""
    whole = scene(timeline, sources, tools, width=output.width, height=output.height)
    rate, length = whole.stage.rate, whole.length
    sound = None
    if output.hears:
        sound = soundtrack(
            timeline,
            whole.tracks,
            sources,
            length=length,
            rate=rate,
            tool=tools.ffmpeg,
            encode=encode.sound_arguments(output),
            result=encode.sound_name(output),
        )
    spans: tuple[Command, ...] = ()
    if output.is_movie:
        stretch = cuts(marks(whole.tracks, sources), length, rate) if output.is_incremental else [(0, length)]
        spans = tuple(whole.span(output, first, count) for first, count in stretch)
        command = _joined(output, spans, sound, rate, tools)
    elif output.is_sound:
        if sound is None:
            raise NothingToHear
        command = sound
    else:
        first, count = (0, length) if output.format is Format.GIF else (output.frame or 0, 1)
        command = whole.picture(output, first, count)
    heard = samples(length, rate) if sound else None
    made = Movie(
        command=command,
        spans=spans,
        sound=sound,
        poster=output.poster and whole.picture(output.poster, output.poster.frame or 0, 1),
        expected=Expected.of(output, rate, length, heard),
        frames=length,
        rate=rate,
    )
    for each in made.command.tree():  # who plans does so in a thread, and this is half of the work
        _ = each.key
    return made


class NothingToHear(Exception):
    """A file of sound was asked for, of a timeline that is silent."""


def _joined(output: Output, spans: Sequence[Command], sound: Command | None, rate: Fraction, tools: Tools) -> Command:
    names = [f"spans/{number:05d}.mp4" for number in range(len(spans))]
    sound_name = f"in/{sound.result}" if sound else None
    frames = [(name, span.frames) for name, span in zip(names, spans, strict=True)]
    joining = encode.join_arguments(output, frames, rate, sound_name)
    inputs = dict(zip(names, spans, strict=True))
    return Command(
        argv=joining.argv,
        result=joining.result,
        tool=tools.ffmpeg,
        files=joining.files,
        inputs={**inputs, **({sound_name: sound} if sound and sound_name else {})},
        frames=sum(count for _, count in frames),
        seconds=float(sum(count for _, count in frames) / rate),
    )
