"""What a render would have to do, before anything runs."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from domain.ffmpeg.command import Command
from domain.piece import Pace, Piece
from domain.render.estimate import SOUND_BYTES, cost
from domain.render.movie import Movie


@dataclass(frozen=True, kw_only=True)
class PlannedSpan:
    """A stretch of the movie that is made, or kept, as one piece."""

    first: int
    count: int
    is_cached: bool


@dataclass(frozen=True, kw_only=True)
class RenderPlan:
    """What a render would do."""

    frames: int
    spans: tuple[PlannedSpan, ...]
    has_sound: bool
    sound_is_cached: bool
    processor_seconds: float
    size: int
    """About how many bytes the file will have."""

    @property
    def cached_spans(self) -> int:
        """How many need not be made."""
        return sum(each.is_cached for each in self.spans)

    @property
    def frames_to_encode(self) -> int:
        """Of spans that are not kept; all where the picture is made in one run."""
        return sum(each.count for each in self.spans if not each.is_cached) if self.spans else self.frames


def missing(wanted: Iterable[Command], kept: Collection[str]) -> Iterator[Command]:
    """What must be made so that these can be, in order. What only leads to something that is kept is not needed."""
    seen: set[str] = set(kept)

    def need(command: Command) -> Iterator[Command]:
        if command.key not in seen:
            seen.add(command.key)
            for each in command.inputs.values():
                if isinstance(each, Command):
                    yield from need(each)
            yield command

    for command in wanted:
        yield from need(command)


def render_plan(movie: Movie, kept: Mapping[str, Piece], pace: Pace) -> RenderPlan:
    """Compare a movie with the pieces that are there. What is put together in the end costs next to nothing."""
    made = missing(movie.parts, kept)
    alone = () if movie.spans else (movie.command,)  # a GIF, a still, a sound: made in one run, every time
    encoded = sum(cost(each, pace) for each in (*made, *alone))
    known = sum(kept[each.key].size for each in movie.spans if each.key in kept)
    unknown = sum(each.frames for each in movie.spans or (movie.command,) if each.key not in kept)
    return RenderPlan(
        frames=movie.frames,
        spans=tuple(_spans(movie, kept)),
        has_sound=movie.sound is not None,
        sound_is_cached=movie.sound is not None and movie.sound.key in kept,
        processor_seconds=encoded,
        size=round(
            known + unknown * pace.bytes_per_frame + (movie.frames / movie.rate * SOUND_BYTES if movie.sound else 0)
        ),
    )


def _spans(movie: Movie, kept: Collection[str]) -> Iterator[PlannedSpan]:
    first = 0
    for span in movie.spans:
        yield PlannedSpan(first=first, count=span.frames, is_cached=span.key in kept)
        first += span.frames
