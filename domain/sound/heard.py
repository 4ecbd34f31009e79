"""What is heard of a timeline: each stretch of an asset's sound at its place, and how loud it is there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

from domain.ffmpeg.curve import Curve, Key
from domain.ffmpeg.graph import quoted
from domain.ffmpeg.stage import Source
from domain.sound.samples import samples
from domain.timeline.edit import Track
from domain.timeline.placing import Placed, PlacedTracks


@runtime_checkable
class Plays(Protocol):
    """A content that plays a stretch of an asset's sound."""

    @property
    def asset_id(self) -> str: ...
    @property
    def in_(self) -> int: ...
    @property
    def speed(self) -> float: ...
    @property
    def volume(self) -> float: ...


@runtime_checkable
class Holds(Protocol):
    """A content with clips of its own."""

    @property
    def tracks(self) -> tuple[Track, ...]: ...
    @property
    def volume(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Level:
    """How loud a clip is, over its length: a volume, and fades. In samples from its start."""

    start: int
    """On the timeline."""
    length: int
    volume: Curve
    fades_in: tuple[int, ...]
    fades_out: tuple[int, ...]
    """Where there are two, of a cross-fade and of its own, both hold."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing is heard at all."""
        return not any(key.value for key in self.volume.keys)

    def filters(self, first: int, length: int) -> Iterator[str]:
        """What makes samples, doubles of which `first` on the timeline is the first, so loud.

        Each sample is multiplied by what hangs on its place in the clip alone, and by the same numbers in the same
        order, whichever stretch it is made in. `afade` goes by the time of a sample; so that it can be begun anywhere,
        times are the samples' places in the clip.
        """
        at = first - self.start
        fades = [f"afade=in:ss=0:ns={fade}" for fade in self.fades_in if at < fade]
        ends = [(self.length - fade, fade) for fade in self.fades_out]
        fades += [f"afade=out:ss={begin}:ns={fade}" for begin, fade in ends if at + length > begin]
        if fades:
            yield from (f"asetpts=N+{at}", *fades)
        volume = self.volume.within(at, length)
        factor = volume.expression("n")
        if len({key.value for key in volume.keys}) > 1:
            yield f"aeval={quoted(f'val(0)*({factor})|val(1)*({factor})')}"
        elif factor != "1":
            yield f"volume={factor}:precision=double"


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A stretch of an asset's sound at its place. In samples."""

    asset_id: str
    entry: int
    """Its first sample in the sound of the asset."""
    speed: Fraction
    start: int
    """On the timeline."""
    length: int
    levels: tuple[Level, ...]
    """Of its clip, and of the compositions in which that lies, the innermost first."""
    bus: str | None

    @property
    def end(self) -> int:
        """The sample after its last."""
        return self.start + self.length


def heard(tracks: PlacedTracks, sources: Mapping[str, Source], rate: Fraction) -> Iterator[Sound]:
    """Everything that is heard of these tracks."""

    def within(tracks: PlacedTracks, at: int, around: tuple[Level, ...], bus: str | None) -> Iterator[Sound]:
        for clip in (clip for clips in tracks for clip in clips):
            content = clip.clip.content
            if not isinstance(content, Plays | Holds):
                continue
            level = _level(clip, content.volume, at + clip.start, rate)
            if level.is_silent:
                continue
            levels, its_bus = (level, *around), bus if around else clip.clip.bus
            if isinstance(content, Holds):
                assert clip.inner  # noqa: S101 - it was placed with what it holds
                yield from within(clip.inner.tracks, at + clip.start, levels, its_bus)
            elif sources[content.asset_id].facts.has_sound:
                yield Sound(
                    asset_id=content.asset_id,
                    entry=samples(content.in_, rate),
                    speed=Fraction(str(content.speed)),
                    start=level.start,
                    length=level.length,
                    levels=levels,
                    bus=its_bus,
                )

    yield from within(tracks, 0, (), None)


def _level(clip: Placed, volume: float, start: int, rate: Fraction) -> Level:
    first = samples(start, rate)

    def sample(frame: int) -> int:
        return samples(start + frame, rate) - first

    length = sample(clip.length)
    fade_in, fade_out = clip.fades
    keys = [Key(sample(key.frame), key.value, key.easing) for key in clip.clip.keys.volume]
    return Level(
        start=first,
        length=length,
        volume=Curve.of(volume, keys),
        fades_in=tuple(sample(each) for each in (clip.fade_in, fade_in) if each),
        fades_out=tuple(length - sample(clip.length - each) for each in (clip.fade_out, fade_out) if each),
    )
