"""Clips laid over one another: from tracks to one stream of frames.

Any stretch of frames can be asked for, and each of its frames is the same whichever stretch it is made in. What cannot
be seen in a stretch is not made: clips outside of it, and tracks under one that covers the canvas all the while.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from domain.ffmpeg.curve import Curve
from domain.ffmpeg.graph import Graph, counted, frame_number
from domain.ffmpeg.stage import Stage
from domain.timeline.content import Picture, Shot
from domain.timeline.edit import Crop, Fit
from domain.timeline.effect import PREMULTIPLY, Fitted
from domain.timeline.motion import Point, number, point
from domain.timeline.placing import Placed, PlacedTracks

TO_BT709 = "out_color_matrix=bt709:out_range=tv:out_chroma_loc=left"
MIDDLE = Point()
SMALLEST = 2
"""The smallest side of a picture on the stage, in pixels."""
NARROWEST = 4
"""What at least is left of a picture when it is cropped, in pixels: two for each of chroma, or none would be left."""


def laid(graph: Graph, stage: Stage, tracks: PlacedTracks, *, first: int, count: int, background: str | None) -> str:
    """Add what makes frames `first` to `first + count` of the tracks to the graph; return the link.

    In YUV 4:2:0 of BT.709, limited range; with alpha where there is no background.
    """
    window = Window(graph, stage, first, count, background)
    shown = [list(window.visible(clips)) for clips in tracks]
    covering = [index for index, clips in enumerate(shown) if clips and window.covered_by(clips)]
    seen: str | None = None  # nothing but the background yet
    for clips in shown[covering[-1] if covering else 0 :]:
        if not clips:
            continue
        if window.are_solid(clips) and (window.covered_by(clips) or (seen is None and background is not None)):
            seen = window.spliced(clips)
        else:
            seen = window.over(seen or window.plain(count), clips)
    return seen or window.plain(count)


def colored(value: str, stage: Stage, *, opacity: float = 1) -> str:
    """One frame of a colour, in RGB so that the way to BT.709 is ours."""
    size = f"{stage.width}x{stage.height}"
    pixels = "gbrp" if opacity == 1 else "rgba"
    return f"color=0x{value[1:7]}@{opacity:g}:s={size}:r={stage.rate},trim=end_frame=1,format={pixels}"


def rounded(side: Fraction | float) -> int:
    """The nearest even number of pixels, never less than the smallest side."""
    return max(SMALLEST, 2 * round(Fraction(side) / 2))


def still(count: int, rate: Fraction) -> list[str]:
    """Hold the first frame for a number of frames."""
    return ["loop=-1:1", counted(rate), f"trim=end_frame={count}"]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A clip's frames, ready to be laid over what is below."""

    link: str
    place: Callable[[int], tuple[str, str]]
    """Where, if its first frame is laid over frame so-and-so: from the left, from the top; perhaps expressions."""


@dataclass(frozen=True)
class Window:
    """The frames that are asked for."""

    graph: Graph
    stage: Stage
    first: int
    count: int
    background: str | None

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.first + self.count

    def visible(self, clips: Sequence[Placed]) -> Iterator[Placed]:
        """Those of a track's clips that show in it."""
        for clip in clips:
            if clip.start < self.end and clip.end > self.first and clip.clip.content.is_seen:
                yield clip

    def shot(self, clip: Placed) -> Shot:
        """What of a clip is within."""
        start, end = max(clip.start, self.first), min(clip.end, self.end)
        return Shot(graph=self.graph, stage=self.stage, clip=clip, first=start - clip.start, count=end - start)

    def at(self, clip: Placed) -> int:
        """Where a clip begins in the window."""
        return max(clip.start - self.first, 0)

    # What covers the canvas, and so hides what lies below

    def are_solid(self, clips: Sequence[Placed]) -> bool:
        """Whether each of them covers the canvas while it is there."""
        return all(self._is_solid(clip) for clip in clips)

    def covered_by(self, clips: Sequence[Placed]) -> bool:
        """Whether nothing below them can be seen, from the first frame to the last."""
        end = self.first
        for clip in clips:
            if clip.start > end:
                return False
            end = clip.end
        return end >= self.end and self.are_solid(clips)

    def _is_solid(self, clip: Placed) -> bool:
        edit, shot = clip.clip, self.shot(clip)
        if not _lies_still(clip, shot) or any(effect.makes_alpha for effect in edit.effects):
            return False
        if edit.effects and any(clip.fades):  # see `_layer`
            return False
        shape = edit.content.shape(self.stage)
        if shape is None or edit.crop:
            return False
        return edit.fit is not Fit.CONTAIN or _fitted(*shape, Fit.CONTAIN, self.stage) == self._size

    @property
    def _size(self) -> tuple[int, int]:
        return self.stage.width, self.stage.height

    # Laying

    def plain(self, count: int) -> str:
        """The background, or nothing at all, for so many frames."""
        opacity = 0 if self.background is None else 1
        color = colored(self.background or "#000000", self.stage, opacity=opacity)
        return self.graph.chain(color, f"scale={TO_BT709}", f"format={self._pixels}", *still(count, self.stage.rate))

    @property
    def _pixels(self) -> str:
        return "yuva420p" if self.background is None else "yuv420p"

    def spliced(self, clips: Sequence[Placed]) -> str:
        """Clips that cover the canvas one after the other, with the background where there is none."""
        pieces: list[str] = []
        end = self.first
        for run in _runs(clips):
            start = max(run[0].start, self.first)
            if start > end:
                pieces.append(self.plain(start - end))
            pieces += self._given_way(run, {})
            end = run[-1].end
        if end < self.end:
            pieces.append(self.plain(self.end - end))
        return self._joined(pieces)

    def over(self, below: str, clips: Sequence[Placed]) -> str:
        """Lay a track's clips over what is below."""
        for run in _runs(clips):
            below = self._one_over(below, run[0]) if len(run) == 1 else self._run_over(below, run)
        return below

    def _one_over(self, below: str, clip: Placed) -> str:
        shot, at = self.shot(clip), self.at(clip)
        is_opaque = self.background is not None  # what is drawn on nothing would mix with it
        if is_opaque and _lies_still(clip, shot, fades=True) and not clip.clip.effects:
            drawn = clip.clip.content.drawn(shot, below, at)
            if drawn is not None:
                return drawn
        layer = self._layer(clip)
        link = self.graph.chain(f"setpts=N+{at}", links=[layer.link]) if at else layer.link
        return self._over(below, link, layer.place(at))

    def _run_over(self, below: str, run: Sequence[Placed]) -> str:
        """A transition is between two whole pictures, what lies below with the one clip over it and with the other.

        So it is right for clips of any shape and transparency.
        """
        first, end = max(run[0].start, self.first), min(run[-1].end, self.end)
        parts = [(start, stop) for start, stop, _ in self._segments(run)]
        around = [each for each in ((self.first, first), (end, self.end)) if each[0] < each[1]]
        copies = [part for part, clips in zip(parts, self._segments(run), strict=True) for _ in clips[2]]
        links = self._cut(below, self.first, self.count, [*copies, *around])
        under = dict[tuple[int, int], list[str]]()
        for part, link in zip([*copies, *around], links, strict=True):
            under.setdefault(part, []).append(link)
        pieces = self._given_way(run, under)
        before = under.get((self.first, first), []) if self.first < first else []
        behind = under.get((end, self.end), []) if end < self.end else []
        return self._joined([*before, *pieces, *behind])

    def _given_way(self, run: Sequence[Placed], under: dict[tuple[int, int], list[str]]) -> list[str]:
        """The pieces of a run: each clip alone, and each transition, over what is under them if there is anything.

        Only the frames of a transition go through its filter, which makes them of full colour resolution and back: the
        others would not stay as they are.
        """
        segments = list(self._segments(run))
        own: dict[int, list[str]] = {}
        layers: dict[int, Layer] = {}
        for clip in run:
            shown = [(start, stop) for start, stop, clips in segments if clip in clips]
            layers[id(clip)] = layer = self._layer(clip)
            own[id(clip)] = self._cut(layer.link, shown[0][0], shown[-1][1] - shown[0][0], shown)
        pieces: list[str] = []
        for start, stop, clips in segments:
            seen: list[str] = []
            for clip in clips:
                link = own[id(clip)].pop(0)
                if under:
                    begun = start - max(clip.start, self.first)
                    link = self._over(under[start, stop].pop(0), link, layers[id(clip)].place(-begun))
                seen.append(link)
            pieces.append(seen[0] if len(seen) == 1 else self._xfade(seen[0], seen[1], clips[1], start))
        return pieces

    def _segments(self, run: Sequence[Placed]) -> Iterator[tuple[int, int, list[Placed]]]:
        """From frame to frame, what of a run is there: one clip, or two in a transition."""
        edges = {edge for clip in run for edge in (clip.start, clip.end) if self.first < edge < self.end}
        edges |= {max(run[0].start, self.first), min(run[-1].end, self.end)}
        for start, stop in pairwise(sorted(edges)):
            yield start, stop, [clip for clip in run if clip.start <= start < clip.end]

    def _cut(self, link: str, first: int, count: int, parts: Sequence[tuple[int, int]]) -> list[str]:
        """The parts of a stream, each counted from 0; `parts` by frames of the timeline, the stream begins at first."""
        if list(parts) == [(first, first + count)]:
            return [link]
        copies = self.graph.fork(f"split={len(parts)}", links=[link], outputs=len(parts)) if len(parts) > 1 else [link]
        return [
            self.graph.chain(
                f"trim=start_frame={start - first}:end_frame={stop - first}", counted(self.stage.rate), links=[copy]
            )
            for copy, (start, stop) in zip(copies, parts, strict=True)
        ]

    def _joined(self, pieces: Sequence[str]) -> str:
        if len(pieces) == 1:
            return pieces[0]
        return self.graph.chain(f"concat=n={len(pieces)}:v=1:a=0", counted(self.stage.rate), links=pieces)

    def _xfade(self, seen: str, other: str, clip: Placed, start: int) -> str:
        """Let one stream give way to another in the transition into this clip; they show it from frame `start` on."""
        assert clip.clip.transition  # noqa: S101 - a run is held together by them
        kind, rate = clip.clip.transition.kind, self.stage.rate
        times = f"duration={_seconds(clip.fade_in, rate)}:offset={_seconds(clip.start - start, rate)}"
        mixed = [f"xfade={kind.xfade}:{times}", f"format={self._pixels}", counted(rate)]
        return self.graph.chain(*mixed, links=[seen, other])

    def _over(self, below: str, above: str, place: tuple[str, str]) -> str:
        x, y = place
        # With several threads, one reads the alpha below for chroma that another has changed already, now and then.
        alone = ":threads=1" if self.background is None else ""
        return self.graph.chain(f"overlay=x={x}:y={y}:eof_action=pass:repeatlast=0{alone}", links=[below, above])

    # One clip

    def _layer(self, clip: Placed) -> Layer:
        """A clip's picture: cut, fitted, changed by its effects, turned, faded, scaled and put in its place."""
        shot, edit = self.shot(clip), clip.clip
        picture = edit.content.picture(shot)
        assert picture  # noqa: S101 - only clips with pictures are visible
        turn = number(edit.rotation, edit.keys.rotation).within(shot.first, shot.count)
        see = number(edit.opacity, edit.keys.opacity).within(shot.first, shot.count)
        grow = number(edit.scale, edit.keys.scale).within(shot.first, shot.count)
        fades = list(_fades(shot))
        size = self._size
        if picture.own_size:
            across, down = _uncut(picture.width, picture.height, edit.crop)
            size = rounded(across), rounded(down)
        elif not picture.fills_stage:
            size = _fitted(picture.width, picture.height, edit.fit, self.stage, edit.crop)
        if not grow.moves and grow.at(0) != 1:
            size = (rounded(size[0] * grow.at(0)), rounded(size[1] * grow.at(0)))
        is_turned = turn.moves or turn.at(0) % 360 != 0
        # Effects round otherwise with alpha than without: a clip that fades anywhere has it everywhere, if it has any.
        is_faded = bool(fades) or see.moves or see.at(0) != 1 or (bool(edit.effects) and any(clip.fades))
        needs_alpha = picture.alpha or is_turned or is_faded or any(each.makes_alpha for each in edit.effects)
        fitted = Fitted(shot=shot, width=size[0], height=size[1], alpha=needs_alpha)
        cut = _cut(edit.crop, edit.fit, picture, self.stage)
        held = still(shot.count, self.stage.rate) if picture.still else []
        changes = bool(edit.effects) or turn.moves  # else a still is turned once, and held then
        link = self.graph.chain(
            *cut,
            *_scaled(picture, size, is_whole=not cut),
            f"format={fitted.pixels}",
            *(held if changes else []),
            links=[picture.link],
        )
        for effect in edit.effects:
            link = effect.applied(link, fitted)
        if is_turned:
            was_opaque = not picture.alpha and not any(each.makes_alpha for each in edit.effects)
            link = self._turned(link, turn, fitted, was_opaque=was_opaque, once=bool(held) and not changes)
        link = self.graph.chain(
            *([] if changes else held),
            *_opaque(see),
            *_fading(fades, shot),
            # Transitions round otherwise with alpha than without: on a see-through stage everything has it.
            *([f"format={self._pixels}"] if self.background is None else []),
            counted(self.stage.rate),
            links=[link],
        )
        if see.moves:
            link = _dimmed(self.graph, link, see.expression(frame_number(self.stage.rate)))
        if grow.moves:
            factor = grow.expression(frame_number(self.stage.rate))
            wide, high = (f"max(2,2*round({side}*({factor})/2))" for side in ("iw", "ih"))
            # No other filter may follow but overlay: they take frames to stay as large as the first was.
            link = self.graph.chain(f"scale=w='{wide}':h='{high}':eval=frame", links=[link])
        if picture.fills_stage and _lies_still(clip, shot, fades=True):
            return Layer(link=link, place=lambda _: ("0", "0"))
        return Layer(link=link, place=self._place(clip, shot, size, grow, is_turned=is_turned))

    def _turned(self, link: str, turn: Curve, fitted: Fitted, *, was_opaque: bool, once: bool) -> str:
        """Rotate about the middle, on a box that holds every position; with a see-through border, for smooth edges."""
        rate = self.stage.rate
        angle = turn.scaled(math.pi / 180).expression(frame_number(rate))
        box = f"ow='2*ceil(rotw({angle})/2)':oh='2*ceil(roth({angle})/2)'"
        if turn.moves:
            box = "ow='2*ceil(hypot(iw,ih)/2)':oh=ow"
        border, rotated = "pad=iw+4:ih+4:2:2:black@0", f"rotate=a='{angle}':{box}:c=black@0"
        if not was_opaque:
            return self.graph.chain(*fitted.premultiplied(border, rotated), links=[link])
        # A third of the price: the border has the colours of the edges, which may be mixed as they are.
        wider = self.graph.chain(
            "format=yuv420p", border, "fillborders=left=2:right=2:top=2:bottom=2:mode=smear", links=[link]
        )
        mask = self.graph.chain(
            f"color=white:s={fitted.width}x{fitted.height}:r={rate}",
            "trim=end_frame=1",
            "format=gray",
            "pad=iw+4:ih+4:2:2:black",
            *(still(fitted.shot.count, rate) if not once else [counted(rate)]),
        )
        return self.graph.chain("alphamerge", rotated, links=[wider, mask])

    def _place(
        self, clip: Placed, shot: Shot, size: tuple[int, int], grow: Curve, *, is_turned: bool
    ) -> Callable[[int], tuple[str, str]]:
        """Where the picture's left upper corner goes, so that its anchor stands at its position."""
        edit = clip.clip
        curves = [each.within(shot.first, shot.count) for each in point(edit.position, edit.keys.position)]
        anchors = (edit.anchor.x, edit.anchor.y)
        if not (grow.moves or is_turned or any(each.moves for each in curves)):
            x, y = (
                str(_even(side * Fraction(curve.at(0)) - Fraction(anchor) * own))
                for side, curve, anchor, own in zip(self._size, curves, anchors, size, strict=True)
            )
            return lambda _: (x, y)

        def place(at: int) -> tuple[str, str]:
            # The number is that of the frame below; `w` and `h` are the picture's sides as it comes, turned and all.
            # The filter goes down to the next place on whole chroma pixels: half of them more makes it the nearest.
            n = frame_number(shot.rate, plus=-at)
            factor = "" if not grow.moves else f"*({grow.expression(n)})"
            x, y = (
                f"'{side}*({curve.expression(n)})+{0.5 - anchor:g}*{own}{factor}-{it}/2+1'"
                for side, it, curve, anchor, own in zip("WH", "wh", curves, anchors, size, strict=True)
            )
            return x, y

        return place


def _runs(clips: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    """Clips that give way one to the next; most often a single one."""
    run: list[Placed] = []
    for clip in clips:
        if run and not (clip.fade_in and clip.start < run[-1].end):
            yield run
            run = []
        run.append(clip)
    if run:
        yield run


def _lies_still(clip: Placed, shot: Shot, *, fades: bool = False) -> bool:
    """Whether it lies on the canvas as it was fitted, opaque; `fades`: but for its fades."""
    edit = clip.clip
    moved = edit.keys.position or edit.keys.scale or edit.keys.rotation or edit.keys.opacity
    usual = edit.position == edit.anchor == MIDDLE and edit.scale == 1 and edit.rotation == 0 and edit.opacity == 1
    return usual and not moved and (fades or not list(_fades(shot)))


def _fitted(width: int, height: int, fit: Fit, stage: Stage, crop: Crop | None = None) -> tuple[int, int]:
    """The size in which a picture of this size comes to lie on the stage, before it is scaled."""
    if fit is not Fit.CONTAIN:
        return stage.width, stage.height
    wide, high = _uncut(width, height, crop)
    scale = min(stage.width / wide, stage.height / high)
    return rounded(wide * scale), rounded(high * scale)


def _uncut(width: int, height: int, crop: Crop | None) -> tuple[Fraction, Fraction]:
    """The sides of what is left of a picture."""
    if crop is None:
        return Fraction(width), Fraction(height)
    return _left(width, crop.left, crop.right), _left(height, crop.top, crop.bottom)


def _left(side: int, one: float, other: float) -> Fraction:
    return max(side * (1 - Fraction(one) - Fraction(other)), Fraction(min(side, NARROWEST)))


def _cut(crop: Crop | None, fit: Fit, picture: Picture, stage: Stage) -> list[str]:
    """Cut off what is not wanted, and what would stick out. Before scaling: a very flat picture as a whole is huge."""
    if picture.fills_stage:
        return []
    filters: list[str] = []
    wide, high = _uncut(picture.width, picture.height, crop)
    if crop:
        across, down = (
            f"'max({name}*{float(1 - Fraction(one) - Fraction(other)):g},min({name},{NARROWEST}))'"
            for name, one, other in (("iw", crop.left, crop.right), ("ih", crop.top, crop.bottom))
        )
        filters.append(f"crop={across}:{down}:iw*{crop.left:g}:ih*{crop.top:g}")
    if fit is Fit.COVER and not picture.own_size:
        shape = Fraction(stage.width) * high / (stage.height * wide)
        across = max(min(shape, Fraction(1)), min(16 / wide, Fraction(1)))
        down = max(min(1 / shape, Fraction(1)), min(16 / high, Fraction(1)))
        if (across, down) != (1, 1):
            filters.append(f"crop=iw*{across}:ih*{down}")
    return filters


def _scaled(picture: Picture, size: tuple[int, int], *, is_whole: bool) -> list[str]:
    fits = is_whole and (picture.width, picture.height) == size
    if picture.is_ours and fits:
        return []
    matrix = f"in_color_matrix={picture.in_matrix}:" if picture.in_matrix else ""
    if picture.is_ours:
        matrix = "in_color_matrix=bt709:in_range=tv:"
    if not picture.alpha or fits:
        return [f"scale={size[0]}:{size[1]}:{matrix}{TO_BT709}", "setsar=1"]
    # Pixels are mixed: what cannot be seen must not lend its colour (most often black) to the edges of what can.
    there, back = f"scale={matrix}{TO_BT709}", "unpremultiply=inplace=1"
    return [there, *PREMULTIPLY, f"scale={size[0]}:{size[1]}", back, "setsar=1"]


def _opaque(see: Curve) -> list[str]:
    return [f"lutyuv=a='val*{see.at(0):g}'"] if not see.moves and see.at(0) != 1 else []


def _dimmed(graph: Graph, link: str, factor: str) -> str:
    """Multiply the alpha of each frame by the curve: the only filter that takes a factor for each frame is eq."""
    picture, alpha = graph.fork("split", links=[link], outputs=2)
    # Without a gamma it would reckon in steps of a hundredth.
    dimmed = f"eq=contrast='{factor}':brightness='(({factor})-1)/2':gamma=1.0001:eval=frame"
    alpha = graph.chain("alphaextract", dimmed, links=[alpha])
    return graph.chain("alphamerge", links=[picture, alpha])


def _fades(shot: Shot) -> Iterator[tuple[str, int, int]]:
    """The fades of a clip that show in a shot: in or out, its first frame, its length."""
    fade_in, fade_out = shot.clip.fades
    if fade_in and shot.first < fade_in:
        yield "in", 0, fade_in
    begin = shot.clip.length - fade_out
    if fade_out and shot.first + shot.count > begin:
        yield "out", begin, fade_out


def _fading(fades: Sequence[tuple[str, int, int]], shot: Shot) -> list[str]:
    """By time, counted from the clip's start: the only way the filter can begin in the middle of a fade."""
    if not fades:
        return []
    rate = shot.rate
    filters = [
        f"fade={way}:st={_seconds(first, rate)}:d={_seconds(frames, rate)}:alpha=1" for way, first, frames in fades
    ]
    return [f"settb={1 / rate},setpts=N+{shot.first}", *filters]


def _seconds(frames: int, rate: Fraction) -> str:
    """Microseconds are what these filters keep; they round back to the right frame."""
    return f"{float(frames / rate):.6f}"


def _even(place: Fraction) -> int:
    """The nearest place on whole chroma pixels."""
    return int((place + 1) // 2) * 2
