"""What makes an edit sound. Every problem is named at once, with the path of the value that must change."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from types import NoneType
from typing import cast

from domain.refusals import Problem, TimelineInvalid
from domain.timeline.bus import LOUDEST, bus_problems
from domain.timeline.checks import Check, Facts
from domain.timeline.content import Lengths
from domain.timeline.edit import Canvas, Clip, Timeline, Track
from domain.timeline.motion import FARTHEST, LARGEST_SCALE
from domain.timeline.placing import PlacedTracks, end_of, placed_tracks, source_lengths
from domain.timeline.value import Kinds, Part, parts
from domain.timeline.variable import MOST_PLACES, open_variables, places, variable_problems, with_defaults

SMALLEST_SIDE, LARGEST_SIDE = 16, 4096
LOWEST_RATE, HIGHEST_RATE = 1, 120
LARGEST_DENOMINATOR = 1001
MOST_TRACKS, MOST_CLIPS = 50, 5_000
MOST_EFFECTS = 20
MOST_HOURS = 24
USUAL_SPAN = 6
"""Seconds of picture that are planned, made and kept as one."""
MOST_STEPS = 100_000
"""Of a plan: it is kept in memory, one or two kilobytes for each."""
QUIETEST_LUFS, LOUDEST_LUFS = -40.0, -5.0


def problems(timeline: Timeline, facts: Facts) -> list[Problem]:
    """Everything that is wrong with the timeline; empty when it can be kept (and, filled in, rendered)."""
    check = Check(facts, unfilled=open_variables(timeline.variables))
    variable_problems(check.at("variables"), timeline.variables)
    if timeline.variables:
        if crowded := list(_crowded(check, timeline)):
            return check.found + crowded
        try:
            timeline = with_defaults(timeline)
        except TimelineInvalid as invalid:
            return check.found + invalid.problems
    check.found += [*_canvas(timeline.canvas)]
    check.color("background", timeline.background)
    if too_many := list(_counts(timeline)):
        return check.found + too_many  # a million clips need no million sentences
    _unknown_variables(check, timeline)
    bus_problems(check.at("buses"), timeline.buses)
    if timeline.loudness is not None:
        check.between("loudness", timeline.loudness, QUIETEST_LUFS, LOUDEST_LUFS, " LUFS")
    usable_rate = not any(_rate(timeline.canvas))
    lengths: Lengths = source_lengths(timeline, facts) if usable_rate else {}
    buses = frozenset(bus.name for bus in timeline.buses)
    track_problems(check.at("tracks"), timeline.tracks, lengths, buses)
    if not check.found and not check.unfilled:
        check.found += _length(placed_tracks(timeline.tracks, lengths), timeline.canvas.frame_rate)
    return check.found


def track_problems(check: Check, tracks: Sequence[Track], sources: Lengths, buses: frozenset[str]) -> None:
    """What is wrong with tracks, of the timeline or of a composition in it."""
    if len(tracks) > MOST_TRACKS:
        check.wrong(f"{len(tracks)} tracks are more than the {MOST_TRACKS} allowed")
        return
    for index, track in enumerate(tracks):
        _track(check.at(index, "clips"), track, sources, buses)


def _canvas(canvas: Canvas) -> Iterator[Problem]:
    yield from side_problems("canvas.", canvas.width, canvas.height)
    yield from _rate(canvas)


def side_problems(path: str, width: int, height: int) -> Iterator[Problem]:
    """What is wrong with the sides of a picture, of a canvas or of what is made of it."""
    for name, side in (("width", width), ("height", height)):
        if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            yield Problem(f"{path}{name}", f"it must be {SMALLEST_SIDE} to {LARGEST_SIDE} pixels, not {side}")
        elif side % 2:
            yield Problem(f"{path}{name}", f"it must be even, not {side}")


def _rate(canvas: Canvas) -> Iterator[Problem]:
    rate = canvas.frame_rate
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        yield Problem("canvas.frameRate", f"it must be {LOWEST_RATE} to {HIGHEST_RATE} frames a second, not {rate}")
    elif rate.denominator > LARGEST_DENOMINATOR:
        yield Problem("canvas.frameRate", f"it must be a common rate such as 25 or 30000/1001, not {rate}")


def _counts(timeline: Timeline) -> Iterator[Problem]:
    if len(timeline.tracks) > MOST_TRACKS:
        yield Problem("tracks", f"{len(timeline.tracks)} tracks are more than the {MOST_TRACKS} allowed")
    clips = sum(isinstance(part, Clip) for part in parts(timeline))
    if clips > MOST_CLIPS:
        yield Problem("tracks", f"{clips} clips are more than the {MOST_CLIPS} allowed")
    if not clips:
        yield Problem("tracks", "there is no clip: a timeline needs at least one")


def _length(tracks: PlacedTracks, rate: Fraction) -> Iterator[Problem]:
    frames, most = end_of(tracks), int(MOST_HOURS * 3600 * rate)
    if frames > most:
        yield Problem("tracks", f"it lasts {frames} frames, more than the {most} of {MOST_HOURS} hours")
    elif (steps := _steps(tracks, round(USUAL_SPAN * rate))) > MOST_STEPS:
        yield Problem(
            "tracks",
            f"it takes about {steps} steps to render, more than the {MOST_STEPS} allowed: one for each clip with a "
            f"picture, and one for each of its effects, in every {USUAL_SPAN} seconds; make it shorter, or of fewer "
            "clips at a time, or leave out effects",
        )


def _steps(tracks: PlacedTracks, span: int) -> int:
    """How much a plan has to say, about: of every span, what is seen in it and is done to it."""
    seen = (clip for clips in tracks for clip in clips if clip.clip.content.is_seen)
    return sum(
        -(-clip.length // span) * (1 + len(clip.clip.effects)) + (_steps(clip.inner.tracks, span) if clip.inner else 0)
        for clip in seen
    )


_NO_TEXT = frozenset({int, float, bool, NoneType})
"""Of thousands of clips, most fields hold nothing to look into."""


def _unknown_variables(check: Check, timeline: Timeline) -> None:
    known = {variable.name for variable in timeline.variables}
    for here, text in _texts(check, timeline):
        for name in places(text):
            if name not in known:
                here.wrong(f"there is no variable {name!r}; declare it, or write it otherwise")


def _crowded(check: Check, timeline: Timeline) -> Iterator[Problem]:
    """Texts with too many places for variables. To be known before any is filled."""
    for here, text in _texts(check, timeline):
        if text.count("{{") > MOST_PLACES and (found := len(places(text))) > MOST_PLACES:
            message = f"{found} places for variables are more than the {MOST_PLACES} allowed in one text"
            yield Problem(here.path, message)


def _texts(here: Check, value: object) -> Iterator[tuple[Check, str]]:
    """All that is written in an edit, each with its place."""
    if isinstance(value, tuple):
        for index, each in enumerate(cast("tuple[object, ...]", value)):
            yield from _texts(here.at(index), each)
    elif isinstance(value, Part):
        step = here.at(value.name) if isinstance(value, Kinds) else here
        for name, each in vars(value).items():
            if type(each) not in _NO_TEXT and name != "variables":
                yield from _texts(step.at(name), each)
    elif isinstance(value, str):
        yield here, value


def _track(check: Check, track: Track, sources: Lengths, buses: frozenset[str]) -> None:
    lengths = [clip.content.lasts(sources) for clip in track.clips]
    for index, (clip, lasts) in enumerate(zip(track.clips, lengths, strict=True)):
        here = check.at(index)
        content = clip.content
        content.problems(here.at("content", content.name), sources)
        _clip(here, clip, lasts, buses)
    check.found += _places(check.path, track.clips, lengths)
    check.found += _transitions(check.path, track.clips, lengths)


def _clip(check: Check, clip: Clip, lasts: int | None, buses: frozenset[str]) -> None:
    if clip.crop:
        clip.crop.problems(check.at("crop"))
    for name in ("position", "anchor"):
        for side in ("x", "y"):
            check.at(name).between(side, getattr(getattr(clip, name), side), -FARTHEST, FARTHEST)
    check.between("scale", clip.scale, 0.01, LARGEST_SCALE)
    check.between("rotation", clip.rotation, -36_000, 36_000, " degrees")
    check.between("opacity", clip.opacity, 0, 1)
    clip.keys.problems(check.at("keyframes"))
    fade_problems(check, clip.fade_in, clip.fade_out, lasts)
    if len(clip.effects) > MOST_EFFECTS:
        check.at("effects").wrong(f"{len(clip.effects)} effects are more than the {MOST_EFFECTS} allowed")
    elif clip.effects and not clip.content.is_seen:
        check.at("effects").wrong("there is no picture to do anything to")
    else:
        for index, effect in enumerate(clip.effects):
            effect.problems(check.at("effects", index, effect.name), clip.content)
    if clip.bus is not None and clip.bus not in buses:
        check.at("bus").wrong(f"there is no bus {clip.bus!r}")


def fade_problems(check: Check, fade_in: int, fade_out: int, lasts: int | None) -> None:
    """What is wrong with fades of something that lasts so many frames."""
    check.at_least("fade_in", fade_in, 0)
    check.at_least("fade_out", fade_out, 0)
    faded = max(fade_in, 0) + max(fade_out, 0)
    if lasts is not None and 0 < lasts < faded:
        check.at("fade_out").wrong(f"fading in and out takes {faded} frames, the clip lasts {lasts}")


def stretch_problems(check: Check, in_: int, out: int | None, frames: int | None) -> None:
    """What is wrong with the in-point and the out-point in something of so many frames."""
    if in_ < 0:
        check.at("in_").wrong(f"it must not be negative, it is {in_}")
    if out is not None and out <= max(in_, 0):
        check.at("out").wrong(f"the out-point {out} must come after the in-point {in_}")
    if frames is None:
        return
    if in_ >= frames:
        check.at("in_").wrong(f"the source has only {frames} frames at this rate; {in_} is beyond them")
    if out is not None and out > frames:
        check.at("out").wrong(f"the source has only {frames} frames at this rate; {out} is beyond them")


def volume_problems(check: Check, volume: float) -> None:
    """What is wrong with a factor on sound."""
    check.between("volume", volume, 0, LOUDEST)


# --- places ---------------------------------------------------------------------------------------------------------


def _places(path: str, clips: tuple[Clip, ...], lengths: list[int | None]) -> Iterator[Problem]:
    """Yield clips that start before the one before has ended, or elsewhere than their transition says."""
    end: int | None = 0
    for index, (clip, lasts) in enumerate(zip(clips, lengths, strict=True)):
        fade = max(clip.transition.frames, 0) if clip.transition and index else 0
        if clip.start is not None:
            yield from _start(f"{path}.{index}.start", clip.start, end, fade)
        start = clip.start if clip.start is not None or end is None else end - fade
        end = None if start is None or lasts is None else start + max(lasts, 0)


def _start(path: str, start: int, end_before: int | None, fade: int) -> Iterator[Problem]:
    if start < 0:
        yield Problem(path, f"it must not be negative, it is {start}")
    elif end_before is None:
        return
    elif fade and start != end_before - fade:
        yield Problem(
            path, f"with its transition the clip starts at {end_before - fade}, not at {start}; leave the start out"
        )
    elif not fade and start < end_before:
        yield Problem(
            path, f"it starts at {start}, but the clip before ends at {end_before}, and there is no transition"
        )


def _transitions(path: str, clips: tuple[Clip, ...], lengths: list[int | None]) -> Iterator[Problem]:
    if clips and clips[0].transition:
        yield Problem(f"{path}.0.transition", "the first clip of a track has nothing to come from")
    fade_before = 0
    for index, (before, clip) in enumerate(pairwise(clips), start=1):
        fade = clip.transition.frames if clip.transition else 0
        if clip.transition:
            here = f"{path}.{index}.transition"
            if not (before.content.is_seen and clip.content.is_seen):
                yield Problem(here, "a transition needs a picture on both sides; for sound, use fades")
            yield from _transition(f"{here}.frames", fade, fade_before, lengths[index - 1], lengths[index])
        fade_before = fade


def _transition(path: str, fade: int, fade_before: int, before: int | None, after: int | None) -> Iterator[Problem]:
    if fade < 1:
        yield Problem(path, f"it must be at least 1, not {fade}")
        return
    for which, lasts in (("before", before), ("after", after)):
        if lasts is not None and 0 < lasts < fade:
            yield Problem(path, f"{fade} frames are more than the {lasts} of the clip {which}")
    if before is not None and max(fade, fade_before) <= before < fade + fade_before:
        yield Problem(path, f"with {fade} frames it begins before the transition into the clip before is over")
