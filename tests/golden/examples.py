"""An edit for each thing that an edit can do: for the golden pictures, the tests of seams and the contact sheet.

A new content, effect or transition needs an entry here; a test says so. Clips last a second or so.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from domain.ffmpeg.curve import Easing
from domain.timeline import (
    Blur,
    Captions,
    ChromaKey,
    Clip,
    Color,
    Composition,
    Content,
    Crop,
    Cue,
    Effect,
    Fit,
    Flip,
    FlipAxis,
    Image,
    KenBurns,
    KenBurnsView,
    Keyframes,
    Lut,
    NumberKey,
    Pixelate,
    Point,
    PointKey,
    RoundCorners,
    Shape,
    ShapeForm,
    Sharpen,
    Text,
    TextAlignment,
    TextBox,
    TextPosition,
    TextShadow,
    TextStroke,
    TextStyle,
    TextWeight,
    Timeline,
    Track,
    Transition,
    TransitionKind,
    Video,
    Vignette,
)
from tests.golden.studio import CANVAS

LENGTH = 24


@dataclass(frozen=True)
class Example:
    """An edit, and the frame of it that says most."""

    edit: Timeline
    frame: int = 12


def edit(*tracks: Clip | tuple[Clip, ...], background: str = "#1d2333") -> Timeline:
    """Tracks of one clip or of several."""
    rows = tuple(Track(clips=each if isinstance(each, tuple) else (each,)) for each in tracks)
    return Timeline(canvas=CANVAS, tracks=rows, background=background)


VALLEY = Video(asset_id="valley", out=LENGTH)
DUSK = Video(asset_id="dusk", out=LENGTH)
SCREEN = Video(asset_id="screen", out=LENGTH)
TALL = Video(asset_id="tall", out=LENGTH)
PHOTO = Image(asset_id="photo", length=LENGTH)
BADGE = Image(asset_id="badge", length=LENGTH)
CARD = Shape(width=60, height=40, radius=8, fill="#e4572e", stroke="#fff3d6", stroke_width=3, length=LENGTH)
LOWER = Composition(
    width=160,
    height=90,
    tracks=(
        Track(clips=(Clip(content=replace(CARD, width=120, height=28), position=Point(x=0.5, y=0.78)),)),
        Track(clips=(Clip(content=BADGE, scale=0.22, position=Point(x=0.2, y=0.78)),)),
        Track(clips=(Clip(content=Video(asset_id="dusk", out=LENGTH), scale=0.16, position=Point(x=0.8, y=0.78)),)),
    ),
)


def numbers(*keys: tuple[int, float], easing: Easing = Easing.LINEAR) -> tuple[NumberKey, ...]:
    """Key frames of a number."""
    return tuple(NumberKey(frame=frame, value=value, easing=easing) for frame, value in keys)


def moved(easing: Easing) -> Example:
    """A card on its way across the canvas, with an opaque shadow of each place it was at."""
    keys = tuple(PointKey(frame=at, x=x, y=y, easing=easing) for at, x, y in ((2, 0.2, 0.75), (21, 0.8, 0.25)))
    marks = [
        Clip(content=replace(CARD, width=4, height=4), position=Point(x=x, y=y)) for x, y in ((0.2, 0.75), (0.8, 0.25))
    ]
    mover = Clip(content=replace(CARD, width=36, height=24), keyframes=Keyframes(position=keys))
    return Example(edit(*marks, mover), 8)


def over(content: Content, **values: Any) -> Example:
    """A clip above the valley."""
    return Example(edit(Clip(content=VALLEY), Clip(content=content, **values)))


def done(*effects: Effect, content: Content = VALLEY) -> Example:
    """Something done to a clip; what lies below shows where it makes room."""
    return Example(edit(Clip(content=DUSK), Clip(content=content, effects=effects)))


def transition(kind: TransitionKind) -> Example:
    """From the valley to the dusk, a little before the middle."""
    two = (
        Clip(content=replace(VALLEY, out=16)),
        Clip(content=replace(DUSK, in_=8), transition=Transition(frames=12, kind=kind)),
    )
    telling = {TransitionKind.FADE_BLACK: 13, TransitionKind.FADE_WHITE: 13, TransitionKind.ZOOM_IN: 6}
    return Example(edit(two), telling.get(kind, 9))


CONTENTS: dict[str, Example] = {
    "video": Example(edit(Clip(content=VALLEY))),
    "video-faster": Example(edit(Clip(content=Video(asset_id="valley", in_=4, out=44, speed=2)))),
    "video-slower": Example(edit(Clip(content=Video(asset_id="valley", in_=4, out=16, speed=0.5)))),
    "image": Example(edit(Clip(content=PHOTO))),
    "image-transparent": over(BADGE, scale=0.8),
    "text": over(Text(text="Reelgraph", length=LENGTH, size=26)),
    "text-styled": over(
        Text(
            text="A heavy line\nand a broad edge",
            length=LENGTH,
            size=15,
            color="#ffcf56",
            style=TextStyle(
                font="DejaVu Serif",
                weight=TextWeight.BOLD,
                stroke=TextStroke(width=2, color="#24304f"),
                shadow=TextShadow(x=3, y=3, blur=2),
            ),
        )
    ),
    "text-box": over(
        Text(
            text="Lines that are too long for the canvas wrap to the left",
            length=LENGTH,
            size=11,
            position=TextPosition.TOP,
            style=TextStyle(alignment=TextAlignment.LEFT, max_width=0.7, box=TextBox(color="#24304fcc", padding=5)),
        )
    ),
    "text-right-to-left": over(Text(text="\u05e9\u05dc\u05d5\u05dd, \u0633\u0644\u0627\u0645", length=LENGTH, size=26)),
    "text-turned": over(
        Text(text="Turned", length=LENGTH, size=26, style=TextStyle(stroke=TextStroke(width=1))),
        rotation=15,
        opacity=0.9,
    ),
    "captions": over(
        Captions(
            size=10,
            cues=(
                Cue(start=0, end=8, text="The first is gone by now"),
                Cue(start=8, end=20, text="What is said at this moment"),
                Cue(start=10, end=24, text="- and what somebody answers"),
            ),
        )
    ),
    "captions-styled": over(
        Captions(
            size=11,
            color="#ffcf56",
            position=TextPosition.TOP,
            cues=(Cue(start=4, end=20, text="In a box of its own"),),
            style=TextStyle(weight=TextWeight.BOLD, box=TextBox(color="#24304f", padding=4)),
        ),
        fade_in=8,
    ),
    "shape": over(CARD),
    "shape-rectangle": over(Shape(width=70, height=12, fill="#ffcf56cc", length=LENGTH)),
    "shape-ellipse": over(Shape(form=ShapeForm.ELLIPSE, width=80, height=50, fill="#17224a", length=LENGTH)),
    "shape-ring": over(
        Shape(
            form=ShapeForm.ELLIPSE,
            width=64,
            height=64,
            fill="#00000000",
            stroke="#fff3d6",
            stroke_width=6,
            length=LENGTH,
        )
    ),
    "composition": over(LOWER),
    "composition-moved": over(LOWER, scale=0.7, rotation=-8, opacity=0.85),
    "composition-opaque": over(replace(LOWER, background="#17224a"), scale=0.6),
}
EFFECTS: dict[str, Example] = {
    "blur": done(Blur(radius=4)),
    "blur-transparent": done(Blur(radius=3), content=BADGE),
    "color": done(Color(brightness=0.05, contrast=1.3, saturation=1.5, gamma=1.2)),
    "color-gray": done(Color(saturation=0)),
    "color-warm": done(Color(temperature=0.8)),
    "color-cold": done(Color(temperature=-0.8)),
    "color-transparent": done(Color(temperature=-1, brightness=-0.1), content=BADGE),
    "lut": done(Lut(asset_id="lut")),
    "lut-half": done(Lut(asset_id="lut", strength=0.5)),
    "chromaKey": done(ChromaKey(similarity=0.2, blend=0.1, spill=1), content=SCREEN),
    "chromaKey-transparent": done(ChromaKey(color="#ff6428", similarity=0.05), content=BADGE),
    "kenBurns": done(KenBurns(from_=KenBurnsView(), to=KenBurnsView(x=0.75, y=0.3, zoom=2)), content=replace(PHOTO)),
    "kenBurns-transparent": done(KenBurns(to=KenBurnsView(x=0.6, y=0.4, zoom=2)), content=BADGE),
    "vignette": done(Vignette(strength=0.9)),
    "vignette-transparent": done(Vignette(strength=1), content=BADGE),
    "roundCorners": done(RoundCorners(radius=24)),
    "roundCorners-transparent": done(RoundCorners(radius=24), content=BADGE),
    "sharpen": done(Sharpen(amount=2)),
    "sharpen-transparent": done(Sharpen(amount=2), content=BADGE),
    "flip": done(Flip()),
    "flip-vertical": done(Flip(axis=FlipAxis.VERTICAL)),
    "pixelate": done(Pixelate(size=10)),
    "pixelate-transparent": done(Pixelate(size=8), content=BADGE),
    "several": done(Flip(), Color(saturation=0.3), Vignette(), RoundCorners(radius=20), Blur(radius=1)),
}
TRANSITIONS: dict[str, Example] = {kind.value: transition(kind) for kind in TransitionKind} | {
    "over-a-video": Example(
        edit(
            Clip(content=DUSK),
            (
                Clip(content=replace(BADGE, length=16)),
                Clip(content=CARD, transition=Transition(frames=12, kind=TransitionKind.WIPE_RIGHT)),
            ),
        ),
        10,
    ),
    "three-in-a-row": Example(
        edit(
            (
                Clip(content=replace(VALLEY, out=12)),
                Clip(content=replace(DUSK, out=12), transition=Transition(frames=6, kind=TransitionKind.SLIDE_LEFT)),
                Clip(content=replace(PHOTO, length=12), fit=Fit.COVER, transition=Transition(frames=6)),
            )
        ),
        15,
    ),
}
TRANSFORMS: dict[str, Example] = {
    "position": over(CARD, position=Point(x=0.25, y=0.3)),
    "anchor": over(CARD, position=Point(x=0.0, y=1.0), anchor=Point(x=0.0, y=1.0)),
    "scale": over(DUSK, scale=0.4, position=Point(x=0.7, y=0.35)),
    "scale-larger": over(BADGE, scale=1.8),
    "rotation": over(PHOTO, rotation=20, scale=0.6),
    "rotation-card": over(CARD, rotation=-30),
    "opacity": over(DUSK, opacity=0.5),
    "opacity-transparent": over(BADGE, opacity=0.5, scale=0.8),
    "crop": over(DUSK, crop=Crop(left=0.25, right=0.25)),
    "crop-cover": over(TALL, crop=Crop(top=0.2, bottom=0.3), fit=Fit.COVER),
    "crop-card": over(CARD, crop=Crop(left=0.5)),
    "contain": Example(edit(Clip(content=TALL))),
    "cover": Example(edit(Clip(content=TALL, fit=Fit.COVER))),
    "fill": Example(edit(Clip(content=TALL, fit=Fit.FILL))),
    "fade-in": Example(edit(Clip(content=VALLEY, fade_in=20), background="#000000"), 8),
    "fade-out": over(DUSK, fade_out=20, scale=0.7),
    "fade-transparent": over(BADGE, fade_in=8, fade_out=10, opacity=0.8),
    "order": Example(
        edit(
            Clip(content=replace(CARD, fill="#e4572e"), position=Point(x=0.35, y=0.4)),
            Clip(content=replace(CARD, fill="#2e86ab"), position=Point(x=0.5, y=0.5)),
            Clip(content=replace(CARD, fill="#5fad56"), position=Point(x=0.65, y=0.6)),
        )
    ),
    "gap": Example(edit((Clip(content=replace(VALLEY, out=8)), Clip(content=replace(DUSK, out=8), start=14))), 11),
    **{f"moved-{easing.lower().replace('_', '-')}": moved(easing) for easing in Easing},
    "moved-scale": over(PHOTO, keyframes=Keyframes(scale=numbers((2, 0.3), (20, 1.2), easing=Easing.EASE_OUT))),
    "moved-scale-anchor": over(
        CARD,
        position=Point(x=0.1, y=0.9),
        anchor=Point(x=0.0, y=1.0),
        keyframes=Keyframes(scale=numbers((0, 0.5), (23, 2.0))),
    ),
    "moved-rotation": over(CARD, keyframes=Keyframes(rotation=numbers((0, 0), (23, 90)))),
    "moved-opacity": over(DUSK, keyframes=Keyframes(opacity=numbers((0, 0), (12, 1), (23, 0), easing=Easing.EASE_IN))),
    "moved-all": over(
        BADGE,
        keyframes=Keyframes(
            position=(PointKey(frame=0, x=0.1, y=0.2), PointKey(frame=20, x=0.9, y=0.7, easing=Easing.BACK)),
            scale=numbers((4, 0.4), (18, 0.9), easing=Easing.EASE_IN_OUT),
            rotation=numbers((0, 0), (23, 180)),
            opacity=numbers((0, 0.2), (10, 1)),
        ),
    ),
    "moved-part-of-the-time": over(
        DUSK,
        rotation=10,
        scale=0.5,
        keyframes=Keyframes(
            position=(PointKey(frame=8, x=0.3, y=0.3), PointKey(frame=12, x=0.7, y=0.6)),
            scale=numbers((10, 0.3), (14, 0.6)),
            rotation=numbers((10, 0), (14, 45)),
            opacity=numbers((10, 1), (14, 0.5)),
        ),
    ),
}
GROUPS = {"content": CONTENTS, "effect": EFFECTS, "transition": TRANSITIONS, "transform": TRANSFORMS}
EXAMPLES: dict[str, Example] = {
    f"{group}-{name}": each for group, rows in GROUPS.items() for name, each in rows.items()
}

RATE = Fraction(CANVAS.frame_rate)

SHEET = {
    "content-video": "video",
    "content-image": "image",
    "content-image-transparent": "image, transparent",
    "content-text": "text",
    "content-text-styled": "text: stroke, shadow",
    "content-text-box": "text: box, wrapped",
    "content-text-right-to-left": "text: right to left",
    "content-captions": "captions",
    "content-captions-styled": "captions: box",
    "content-shape": "shape: RECTANGLE",
    "content-shape-ring": "shape: ELLIPSE",
    "content-composition": "composition",
    "effect-blur": "blur",
    "effect-color": "color",
    "effect-color-gray": "color: saturation 0",
    "effect-color-warm": "color: temperature",
    "effect-lut": "lut",
    "effect-chromaKey": "chromaKey",
    "effect-kenBurns": "kenBurns",
    "effect-vignette": "vignette",
    "effect-roundCorners": "roundCorners",
    "effect-sharpen": "sharpen",
    "effect-flip": "flip",
    "effect-pixelate": "pixelate",
    **{f"transition-{kind.value}": kind.value for kind in TransitionKind},
    "transform-contain": "fit: CONTAIN",
    "transform-cover": "fit: COVER",
    "transform-fill": "fit: FILL",
    "transform-crop": "crop",
    "transform-position": "position",
    "transform-anchor": "position and anchor",
    "transform-scale": "scale",
    "transform-rotation-card": "rotation",
    "transform-opacity": "opacity",
    "transform-fade-in": "fadeIn",
    "transform-order": "tracks",
    "transform-moved-all": "keyframes",
}
"""What the contact sheet in the documentation shows, and how it calls it."""
