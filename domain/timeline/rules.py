"""What makes an edit sound. Every problem is named at once, with the path of the value that must change."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from domain.media import MediaFacts, MediaKind
from domain.refusals import Problem
from domain.timeline.edit import Audio, Canvas, Clip, Image, Text, Timeline, Track, Video, content_name
from domain.timeline.placing import Facts, Lengths, content_length, length, source_lengths

SMALLEST_SIDE, LARGEST_SIDE = 16, 4096
LOWEST_RATE, HIGHEST_RATE = 1, 120
LARGEST_DENOMINATOR = 1001
MOST_TRACKS, MOST_CLIPS = 50, 200
MOST_HOURS = 24
MOST_CHARACTERS, MOST_LINES, MOST_LINES_IN_ALL = 5_000, 50, 500
SMALLEST_TEXT, LARGEST_TEXT = 4, 2_000
LOUDEST = 10.0

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


def problems(timeline: Timeline, facts: Facts) -> list[Problem]:
    """Everything that is wrong with the timeline; empty when it can be kept and rendered."""
    found = [*_canvas(timeline.canvas), *_color("background", timeline.background)]
    too_many = list(_counts(timeline))
    if too_many:
        return found + too_many  # a million clips need no million sentences
    usable_rate = not any(_rate(timeline.canvas))
    lengths: Lengths = source_lengths(timeline, facts) if usable_rate else {}
    for index, track in enumerate(timeline.tracks):
        found += _track(f"tracks.{index}.clips", track, facts, lengths)
    return found or list(_length(timeline, facts))


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
    clips = sum(len(track.clips) for track in timeline.tracks)
    if clips > MOST_CLIPS:
        yield Problem("tracks", f"{clips} clips are more than the {MOST_CLIPS} allowed")
    if not clips:
        yield Problem("tracks", "there is no clip: a timeline needs at least one")
    texts = [clip.content.text for track in timeline.tracks for clip in track.clips if isinstance(clip.content, Text)]
    lines = sum(text.count("\n") + 1 for text in texts)
    if lines > MOST_LINES_IN_ALL:
        yield Problem("tracks", f"{lines} lines of text are more than the {MOST_LINES_IN_ALL} allowed in all")


def _length(timeline: Timeline, facts: Facts) -> Iterator[Problem]:
    frames, most = length(timeline, facts), int(MOST_HOURS * 3600 * timeline.canvas.frame_rate)
    if frames > most:
        yield Problem("tracks", f"it lasts {frames} frames, more than the {most} of {MOST_HOURS} hours")


def _track(path: str, track: Track, facts: Facts, sources: Lengths) -> Iterator[Problem]:
    for index, clip in enumerate(track.clips):
        yield from _content(f"{path}.{index}.content", clip, facts, sources)
    lengths = [content_length(clip.content, sources) for clip in track.clips]
    yield from _places(path, track.clips, lengths)
    yield from _transitions(path, track.clips, lengths)


# --- contents -------------------------------------------------------------------------------------------------------


def _content(path: str, clip: Clip, facts: Facts, sources: Lengths) -> Iterator[Problem]:
    content = clip.content
    path = f"{path}.{content_name(content)}"
    match content:
        case Text():
            yield from _text(path, content)
        case Image():
            yield from _asset(path, content, facts)
            yield from _at_least(f"{path}.length", content.length, 1)
        case Video() | Audio():
            yield from _asset(path, content, facts)
            yield from _stretch(path, content, sources.get(content.asset_id))
            if not 0 <= content.volume <= LOUDEST:  # also refuses NaN
                yield Problem(f"{path}.volume", f"it must be 0 to {LOUDEST:g}, not {content.volume:g}")
    if isinstance(content, Text | Audio):
        yield from _fades(path, content, content_length(content, sources))


def _text(path: str, text: Text) -> Iterator[Problem]:
    if not text.text.strip():
        yield Problem(f"{path}.text", "it is empty")
    elif len(text.text) > MOST_CHARACTERS:
        yield Problem(f"{path}.text", f"{len(text.text)} characters are more than the {MOST_CHARACTERS} allowed")
    elif any(unicodedata.category(each) in {"Cc", "Cs"} and each not in "\r\n\t" for each in text.text):
        yield Problem(f"{path}.text", "it contains control characters")
    elif len(text.text.splitlines()) > MOST_LINES:
        yield Problem(f"{path}.text", f"{len(text.text.splitlines())} lines are more than the {MOST_LINES} allowed")
    if not SMALLEST_TEXT <= text.size <= LARGEST_TEXT:
        yield Problem(f"{path}.size", f"it must be {SMALLEST_TEXT} to {LARGEST_TEXT} pixels, not {text.size}")
    yield from _color(f"{path}.color", text.color)
    yield from _at_least(f"{path}.length", text.length, 1)


def _asset(path: str, content: Video | Image | Audio, facts: Facts) -> Iterator[Problem]:
    path, name = f"{path}.assetId", f"asset {content.asset_id!r}"
    if content.asset_id not in facts:
        yield Problem(path, f"there is no {name} in this project")
        return
    known = facts[content.asset_id]
    if known is None:
        yield Problem(path, f"{name} is not ready")
        return
    match content:
        case Video() if known.kind is not MediaKind.VIDEO:
            yield Problem(path, f"{name} is {_named(known)}, not a video")
        case Image() if known.kind is not MediaKind.IMAGE:
            yield Problem(path, f"{name} is {_named(known)}, not an image")
        case Audio() if not known.has_sound:
            yield Problem(path, f"{name} is {_named(known)} without sound")
        case _:
            pass


def _named(facts: MediaFacts) -> str:
    return {MediaKind.VIDEO: "a video", MediaKind.IMAGE: "an image", MediaKind.AUDIO: "a sound"}[facts.kind]


def _stretch(path: str, content: Video | Audio, frames: int | None) -> Iterator[Problem]:
    if content.in_ < 0:
        yield Problem(f"{path}.in", f"it must not be negative, it is {content.in_}")
    if content.out is not None and content.out <= max(content.in_, 0):
        yield Problem(f"{path}.out", f"the out-point {content.out} must come after the in-point {content.in_}")
    if frames is None:
        return
    if content.in_ >= frames:
        yield Problem(f"{path}.in", f"the source has only {frames} frames at this rate; {content.in_} is beyond them")
    if content.out is not None and content.out > frames:
        yield Problem(f"{path}.out", f"the source has only {frames} frames at this rate; {content.out} is beyond them")


def _fades(path: str, content: Text | Audio, length: int | None) -> Iterator[Problem]:
    yield from _at_least(f"{path}.fadeIn", content.fade_in, 0)
    yield from _at_least(f"{path}.fadeOut", content.fade_out, 0)
    faded = max(content.fade_in, 0) + max(content.fade_out, 0)
    if length is not None and 0 < length < faded:
        yield Problem(f"{path}.fadeOut", f"fading in and out takes {faded} frames, the clip lasts {length}")


def _at_least(path: str, value: int, least: int) -> Iterator[Problem]:
    if value < least:
        yield Problem(path, f"it must be at least {least}, not {value}")


def _color(path: str, color: str) -> Iterator[Problem]:
    if not _COLOR.fullmatch(color):
        yield Problem(path, f"it must be a colour like #1a2b3c, not {color!r}")


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
            if isinstance(before.content, Audio) or isinstance(clip.content, Audio):
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
