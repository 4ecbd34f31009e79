"""Whatever an edit is made of: stretches of it, joined, are the same frames as the whole in one run, bit for bit."""

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from domain.ffmpeg.curve import Easing
from domain.timeline import (
    Blur,
    Canvas,
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
    Timeline,
    Track,
    Transition,
    TransitionKind,
    Video,
    Vignette,
    length,
    problems,
)
from domain.timeline.motion import BOUNDS
from tests.golden.studio import Studio, built

EFFECTS: list[Callable[[random.Random], Effect]] = [
    lambda any_: Blur(radius=any_.uniform(0, 4)),
    lambda any_: Color(
        brightness=any_.uniform(-0.3, 0.3),
        contrast=any_.uniform(0.5, 2),
        temperature=any_.choice([0, any_.uniform(-1, 1)]),
    ),
    lambda any_: Lut(asset_id="lut", strength=any_.choice([1, 0.4])),
    lambda any_: ChromaKey(similarity=any_.uniform(0.05, 0.3), spill=any_.choice([0, 1])),
    lambda any_: KenBurns(to=KenBurnsView(x=any_.random(), y=any_.random(), zoom=any_.uniform(1, 3))),
    lambda any_: Vignette(strength=any_.random()),
    lambda any_: RoundCorners(radius=any_.uniform(0, 30)),
    lambda any_: Sharpen(amount=any_.uniform(0, 3)),
    lambda _: Flip(),
    lambda any_: Pixelate(size=any_.uniform(2, 20)),
]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return built(tmp_path_factory.mktemp("seams") / "studio")


def test_every_effect_takes_part() -> None:
    assert {type(make(random.Random(0))) for make in EFFECTS} == set(Effect.kinds.values())


@pytest.mark.parametrize("seed", range(24))
def test_any_edit_is_the_same_wherever_it_is_cut(studio: Studio, seed: int) -> None:
    any_ = random.Random(seed)
    edit = some_edit(any_)
    assert problems(edit, studio.facts) == []
    frames = length(edit, studio.facts)
    scale = any_.choice([Fraction(1), Fraction(1, 2), Fraction(2)])
    whole = studio.frames(edit, 0, frames, scale=scale)
    edges = sorted({0, frames, *(any_.randrange(1, frames) for _ in range(3) if frames > 1)})
    joined = [each for first, end in pairwise(edges) for each in studio.frames(edit, first, end - first, scale=scale)]
    assert [number for number in range(frames) if joined[number] != whole[number]] == [], f"cut at {edges}"


def some_edit(any_: random.Random) -> Timeline:
    """One of every thing an edit can have, more or less."""
    rate = any_.choice([Fraction(25), Fraction(30_000, 1001), Fraction(24), Fraction(60)])
    tracks = tuple(some_track(any_) for _ in range(any_.randint(1, 3)))
    canvas = Canvas(width=any_.choice([64, 96]), height=any_.choice([36, 56]), frame_rate=rate)
    return Timeline(canvas=canvas, tracks=tracks, background=any_.choice(["#000000", "#e4572e"]))


def some_track(any_: random.Random, depth: int = 0) -> Track:
    clips: list[Clip] = []
    free = end = 0  # frames of the clip before that no transition has taken yet; where it ends
    for index in range(any_.randint(1, 3)):
        frames = any_.randint(1, 16)
        most = min(free, frames)
        content, lasts = some_content(any_, frames, depth)
        clip = some_clip(any_, content, lasts)
        taken = 0
        if index and min(most, lasts) > 0 and any_.random() < 0.6:
            taken = any_.randint(1, min(most, lasts))
            clip = replace(clip, transition=Transition(frames=taken, kind=any_.choice(list(TransitionKind))))
        elif any_.random() < 0.3:
            clip = replace(clip, start=end + any_.randint(0, 5))
        free = lasts - taken
        end = (clip.start if clip.start is not None else end - taken) + lasts
        clips.append(clip)
    return Track(clips=tuple(clips))


def some_content(  # noqa: PLR0911 - one for each kind
    any_: random.Random, frames: int, depth: int
) -> tuple[Content, int]:
    asset = any_.choice(["valley", "dusk", "screen", "tall"])
    first = any_.choice([0, 3, 14])
    match any_.choice(["video", "video", "speed", "image", "badge", "text", "captions", "shape", "composition"]):
        case "video":
            return Video(asset_id=asset, in_=first, out=first + frames), frames
        case "speed":
            content = Video(asset_id=asset, in_=first, out=first + frames, speed=any_.choice([0.5, 2, 1.7]))
            return content, content.lasts({}) or 0
        case "image":
            return Image(asset_id="photo", length=frames), frames
        case "badge":
            return Image(asset_id="badge", length=frames), frames
        case "text":
            return Text(text="Seam", size=any_.randint(8, 20), length=frames), frames
        case "captions":
            cues = (
                Cue(start=frames // 4, end=frames // 2 + 1, text="here"),
                Cue(start=frames // 2, end=frames + 1, text="there"),
            )
            return Captions(size=8, cues=cues, length=frames), frames
        case "composition" if depth < 2:
            track = some_track(any_, depth + 1)
            content = Composition(width=64, height=36, tracks=(track,), background=any_.choice([None, "#2e86ab"]))
            return content, content.lasts({}) or 0
        case _:
            form = any_.choice(list(ShapeForm))
            return Shape(
                form=form, width=round(any_.uniform(4, 60)), height=30, length=frames, stroke_width=2, radius=5
            ), frames


def some_clip(any_: random.Random, content: Content, lasts: int) -> Clip:
    def now_and_then(value: object, usual: object) -> object:
        return value if any_.random() < 0.25 else usual

    def keys(name: str, least: float, most: float) -> tuple[NumberKey, ...]:
        if any_.random() < 0.75:
            return ()
        low, high = BOUNDS[name]
        frames = sorted(any_.sample(range(-0, lasts + 6), k=any_.randint(1, 3)))
        values = (min(max(any_.uniform(least, most), low), high) for _ in frames)
        easings = (any_.choice(list(Easing)) for _ in frames)
        return tuple(
            NumberKey(frame=at, value=value, easing=how) for at, value, how in zip(frames, values, easings, strict=True)
        )

    path = [
        PointKey(frame=at, x=any_.uniform(-0.2, 1.2), y=any_.uniform(-0.2, 1.2), easing=any_.choice(list(Easing)))
        for at in sorted(any_.sample(range(lasts + 6), k=2))
    ]
    fade_in = any_.randint(0, lasts // 2)
    values: dict[str, object] = {
        "fit": any_.choice(list(Fit)),
        "crop": now_and_then(Crop(left=any_.uniform(0, 0.4), top=any_.uniform(0, 0.4)), None),
        "position": now_and_then(Point(x=any_.random(), y=any_.random()), Point()),
        "anchor": now_and_then(Point(x=any_.random(), y=any_.random()), Point()),
        "scale": now_and_then(any_.uniform(0.1, 2), 1.0),
        "rotation": now_and_then(any_.uniform(-180, 180), 0.0),
        "opacity": now_and_then(any_.random(), 1.0),
        "fade_in": now_and_then(fade_in, 0),
        "fade_out": now_and_then(any_.randint(0, lasts - fade_in), 0),
        "keyframes": now_and_then(
            Keyframes(
                position=now_and_then(tuple(path), ()),  # pyright: ignore[reportArgumentType]
                scale=keys("scale", 0.2, 1.8),
                rotation=keys("rotation", -200, 200),
                opacity=keys("opacity", 0, 1),
            ),
            None,
        ),
        "effects": now_and_then(tuple(make(any_) for make in any_.sample(EFFECTS, k=any_.randint(1, 3))), ()),
    }
    return Clip(content=content, **values)  # pyright: ignore[reportArgumentType]
