"""Where a timeline is cut into spans, each made and kept for itself.

Too short a span is dear (each start decodes from the last keyframe, and begins rate control anew), too long a one is
dear to change. And where it is cut must hang on what is near only: else one shot more at the beginning would move every
cut behind it, and nothing kept would fit any more. So cuts are chosen by content, as rsync and content-defined chunking
do: of the places within reach, the one whose shot hashes lowest.
"""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from domain.ffmpeg.stage import Source
from domain.timeline.placing import PlacedTracks
from domain.timeline.value import asset_ids

SHORTEST, USUAL, LONGEST = 4, 6, 8
"""Seconds."""


def marks(tracks: PlacedTracks, sources: Mapping[str, Source]) -> dict[int, int]:
    """Where shots begin, each with a hash of what begins there. Titles and captions begin nothing: they are content.

    The hash tells one shot from another, and that is all: by the bytes of its file and its in-point. What else is
    changed about a shot moves no cut.
    """
    found: dict[int, int] = {}
    for clips in tracks:
        for clip in clips:
            content = clip.clip.content
            if content.is_media:
                files = sorted(sources[asset_id].original.key for asset_id in asset_ids(content))
                known = f"{content.name} {files} {getattr(content, 'in_', 0)}"
                found[clip.start] = found.get(clip.start, 0) ^ zlib.crc32(known.encode())
    return found


def cuts(
    marks: Mapping[int, int],
    length: int,
    rate: Fraction,
    *,
    shortest: float = SHORTEST,
    usual: float = USUAL,
    longest: float = LONGEST,
) -> list[tuple[int, int]]:
    """Tile `length` frames: the first frame and the number of frames of each span.

    The bounds are seconds. A shot that is longer is divided from its own beginning on, so that the one before it may
    change its length and leave it alone.
    """
    least, step, most = (max(1, round(each * rate)) for each in (shortest, usual, longest))
    places = sorted(marks)
    edges = [0]
    while length - edges[-1] > most:
        here = edges[-1]
        near = places[bisect_left(places, here + least) : bisect_right(places, min(here + most, length - least))]
        if near:
            edges.append(min(near, key=lambda place: (marks[place], place)))
            continue
        after = bisect_left(places, here + least)
        left = (places[after] if after < len(places) else length) - here
        edges.append(here + (step if left >= step + least else max(least, left // 2)))
    return [(first, end - first) for first, end in zip(edges, [*edges[1:], length], strict=True)]


def stretches(costs: Iterable[tuple[str, float]], least: float, most: int) -> Iterator[Sequence[str]]:
    """Gather pieces, each with what it costs, into stretches of at least so much work and at most so many pieces."""
    stretch: list[str] = []
    work = 0.0
    for key, cost in costs:
        stretch.append(key)
        work += cost
        if work >= least or len(stretch) == most:
            yield stretch
            stretch, work = [], 0.0
    if stretch:
        yield stretch
