"""One clip's picture, made ready to be laid over what is below: where it goes, how large, how much of it is seen."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from domain.ffmpeg.curve import Curve
from domain.ffmpeg.graph import Graph, counted, frame_number
from domain.ffmpeg.picture import TO_BT709, microseconds, rounded, still
from domain.ffmpeg.stage import Stage
from domain.timeline.content import Picture, Shot
from domain.timeline.edit import Crop, Fit
from domain.timeline.effect import PREMULTIPLY, Fitted
from domain.timeline.motion import Point, number, point

MIDDLE = Point()
NARROWEST = 4
"""What at least is left of a picture when it is cropped, in pixels: two for each of chroma, or none would be left."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A clip's frames, ready to be laid over what is below."""

    link: str
    place: Callable[[int], tuple[str, str]]
    """Where, if its first frame is laid over frame so-and-so: from the left, from the top; perhaps expressions."""


def layer(shot: Shot, *, see_through: bool) -> Layer:
    """A clip's picture: cut, fitted, changed by its effects, turned, faded, scaled and put in its place.

    `see_through`: it is laid on a stage without background.
    """
    clip, stage, graph = shot.clip, shot.stage, shot.graph
    edit = clip.clip
    picture = edit.content.picture(shot)
    assert picture  # noqa: S101 - only clips with pictures are visible
    turn = number(edit.rotation, edit.keys.rotation).within(shot.first, shot.count)
    see = number(edit.opacity, edit.keys.opacity).within(shot.first, shot.count)
    grow = number(edit.scale, edit.keys.scale).within(shot.first, shot.count)
    fades = list(_fades(shot))
    size = stage.width, stage.height
    if picture.own_size:
        across, down = _uncut(picture.width, picture.height, edit.crop)
        size = rounded(across), rounded(down)
    elif not picture.fills_stage:
        size = _fitted(picture.width, picture.height, edit.fit, stage, edit.crop)
    if not grow.moves and grow.at(0) != 1:
        size = (rounded(size[0] * grow.at(0)), rounded(size[1] * grow.at(0)))
    is_turned = turn.moves or turn.at(0) % 360 != 0
    # Effects round otherwise with alpha than without: a clip that fades anywhere has it everywhere, if it has any.
    is_faded = bool(fades) or see.moves or see.at(0) != 1 or (bool(edit.effects) and any(clip.fades))
    needs_alpha = picture.alpha or is_turned or is_faded or any(each.makes_alpha for each in edit.effects)
    fitted = Fitted(shot=shot, width=size[0], height=size[1], alpha=needs_alpha)
    cut = _cut(edit.crop, edit.fit, picture, stage)
    held = still(shot.count, shot.rate) if picture.still else []
    changes = bool(edit.effects) or turn.moves  # else a still is turned once, and held then
    link = graph.chain(
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
        link = _turned(link, turn, fitted, was_opaque=was_opaque, once=bool(held) and not changes)
    link = graph.chain(
        *([] if changes else held),
        *_opaque(see),
        *_fading(fades, shot),
        # Transitions round otherwise with alpha than without: on a see-through stage everything has it.
        *(["format=yuva420p"] if see_through else []),
        counted(shot.rate),
        links=[link],
    )
    if see.moves:
        link = _dimmed(graph, link, see.expression(frame_number(shot.rate)))
    if grow.moves:
        factor = grow.expression(frame_number(shot.rate))
        wide, high = (f"max(2,2*round({side}*({factor})/2))" for side in ("iw", "ih"))
        # No other filter may follow but overlay: they take frames to stay as large as the first was.
        link = graph.chain(f"scale=w='{wide}':h='{high}':eval=frame", links=[link])
    if picture.fills_stage and lies_still(shot, fades=True):
        return Layer(link=link, place=lambda _: ("0", "0"))
    return Layer(link=link, place=_place(shot, size, grow, is_turned=is_turned))


def _turned(link: str, turn: Curve, fitted: Fitted, *, was_opaque: bool, once: bool) -> str:
    """Rotate about the middle, on a box that holds every position; with a see-through border, for smooth edges."""
    graph, rate = fitted.shot.graph, fitted.shot.rate
    angle = turn.scaled(math.pi / 180).expression(frame_number(rate))
    box = f"ow='2*ceil(rotw({angle})/2)':oh='2*ceil(roth({angle})/2)'"
    if turn.moves:
        box = "ow='2*ceil(hypot(iw,ih)/2)':oh=ow"
    border, rotated = "pad=iw+4:ih+4:2:2:black@0", f"rotate=a='{angle}':{box}:c=black@0"
    if not was_opaque:
        return graph.chain(*fitted.premultiplied(border, rotated), links=[link])
    # A third of the price: the border has the colours of the edges, which may be mixed as they are.
    wider = graph.chain("format=yuv420p", border, "fillborders=left=2:right=2:top=2:bottom=2:mode=smear", links=[link])
    mask = graph.chain(
        f"color=white:s={fitted.width}x{fitted.height}:r={rate}",
        "trim=end_frame=1",
        "format=gray",
        "pad=iw+4:ih+4:2:2:black",
        *(still(fitted.shot.count, rate) if not once else [counted(rate)]),
    )
    return graph.chain("alphamerge", rotated, links=[wider, mask])


def _place(shot: Shot, size: tuple[int, int], grow: Curve, *, is_turned: bool) -> Callable[[int], tuple[str, str]]:
    """Where the picture's left upper corner goes, so that its anchor stands at its position."""
    edit, sides = shot.clip.clip, (shot.stage.width, shot.stage.height)
    curves = [each.within(shot.first, shot.count) for each in point(edit.position, edit.keys.position)]
    anchors = (edit.anchor.x, edit.anchor.y)
    if not (grow.moves or is_turned or any(each.moves for each in curves)):
        x, y = (
            str(_even(side * Fraction(curve.at(0)) - Fraction(anchor) * own))
            for side, curve, anchor, own in zip(sides, curves, anchors, size, strict=True)
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


def lies_still(shot: Shot, *, fades: bool = False) -> bool:
    """Whether it lies on the canvas as it was fitted, opaque; `fades`: but for its fades."""
    edit = shot.clip.clip
    moved = edit.keys.position or edit.keys.scale or edit.keys.rotation or edit.keys.opacity
    usual = edit.position == edit.anchor == MIDDLE and edit.scale == 1 and edit.rotation == 0 and edit.opacity == 1
    return usual and not moved and (fades or not list(_fades(shot)))


def is_solid(shot: Shot) -> bool:
    """Whether it covers the canvas, so that nothing below shows."""
    edit, stage = shot.clip.clip, shot.stage
    if not lies_still(shot) or any(effect.makes_alpha for effect in edit.effects):
        return False
    if edit.effects and any(shot.clip.fades):  # see `layer`
        return False
    shape = edit.content.shape(stage)
    if shape is None or edit.crop:
        return False
    return edit.fit is not Fit.CONTAIN or _fitted(*shape, Fit.CONTAIN, stage) == (stage.width, stage.height)


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
        f"fade={way}:st={microseconds(first, rate)}:d={microseconds(frames, rate)}:alpha=1"
        for way, first, frames in fades
    ]
    return [f"settb={1 / rate},setpts=N+{shot.first}", *filters]


def _even(place: Fraction) -> int:
    """The nearest place on whole chroma pixels."""
    return int((place + 1) // 2) * 2
