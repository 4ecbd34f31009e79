"""A white card on black: where it is, and how much of it there is, is what the edit says, measured in pixels."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import pytest

from domain.ffmpeg.curve import Easing
from domain.render.output import LARGEST_SCALE
from domain.timeline import (
    Blur,
    ChromaKey,
    Clip,
    Color,
    Composition,
    Content,
    Crop,
    Effect,
    Fit,
    Flip,
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
    TextBox,
    TextShadow,
    TextStroke,
    TextStyle,
    Track,
    Vignette,
)
from domain.timeline.motion import number
from tests.golden.examples import BADGE, DUSK, LENGTH, TALL, VALLEY, edit
from tests.golden.studio import CANVAS, Studio, built

WIDTH, HEIGHT = CANVAS.width, CANVAS.height
CARD = Shape(width=40, height=20, length=LENGTH)
MOVE = (PointKey(frame=4, x=0.25, y=0.75), PointKey(frame=19, x=0.75, y=0.25))


class Seen(NamedTuple):
    """How many pixels are white (grey ones in part), and the middle of them."""

    area: float
    x: float
    y: float


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return built(tmp_path_factory.mktemp("geometry") / "studio")


def seen(studio: Studio, content: Content = CARD, frame: int = 0, **values: Any) -> Seen:
    (picture,) = studio.frames(edit(Clip(content=content, **values), background="#000000"), frame, 1)
    light = [max(sample - 16, 0) / 219 for sample in picture[: WIDTH * HEIGHT]]
    area = sum(light)
    x = sum(part * (at % WIDTH + 0.5) for at, part in enumerate(light)) / area
    y = sum(part * (at // WIDTH + 0.5) for at, part in enumerate(light)) / area
    return Seen(area, x, y)


def test_a_shape_lies_in_the_middle_in_its_own_size(studio: Studio) -> None:
    assert seen(studio) == (pytest.approx(40 * 20), WIDTH / 2, pytest.approx(45, abs=1.1))


@pytest.mark.parametrize("fit", Fit)
def test_a_shape_is_not_fitted(studio: Studio, fit: Fit) -> None:
    assert seen(studio, fit=fit).area == pytest.approx(40 * 20)


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        (replace(CARD, width=33.5, height=21.25), 33.5 * 21.25),
        (replace(CARD, width=3, height=1), 3),
        (replace(CARD, radius=8), 40 * 20 - (4 - math.pi) * 8**2),
        (replace(CARD, radius=500), 20 * 20 + math.pi * 10**2),
        (replace(CARD, form=ShapeForm.ELLIPSE), math.pi * 20 * 10),
        (replace(CARD, fill="#ffffff80"), 40 * 20 * 128 / 255),
        (replace(CARD, stroke="#ffffff", stroke_width=4, fill="#000000"), 40 * 20 - 32 * 12),
        (replace(CARD, stroke="#000000", stroke_width=4), 32 * 12),
        (replace(CARD, stroke="#000000", stroke_width=4, form=ShapeForm.ELLIPSE), math.pi * 16 * 6),
        (replace(CARD, stroke="#ffffff", stroke_width=40, fill="#000000"), 40 * 20),
    ],
    ids=str,
)
def test_a_shape_covers_as_much_as_geometry_says(studio: Studio, shape: Shape, area: float) -> None:
    assert seen(studio, shape).area == pytest.approx(area, rel=0.02)


def test_the_anchor_stands_at_the_position(studio: Studio) -> None:
    for position, anchor, middle in (
        (Point(x=0.25, y=0.5), Point(), (40, 45)),
        (Point(x=0, y=0), Point(x=0, y=0), (20, 10)),
        (Point(x=1, y=1), Point(x=1, y=1), (140, 80)),
        (Point(x=0.5, y=0.5), Point(x=1, y=0), (60, 55)),
    ):
        _, *found = seen(studio, position=position, anchor=anchor)
        assert found == pytest.approx(middle, abs=1)


def test_scale_rotation_opacity_and_crop_change_what_they_say(studio: Studio) -> None:
    assert seen(studio, scale=0.5).area == pytest.approx(200, rel=0.001)
    assert seen(studio, scale=2) == (
        pytest.approx(3200, rel=0.001),
        pytest.approx(80, abs=0.1),
        pytest.approx(45, abs=1.1),
    )
    turned = seen(studio, rotation=30)
    assert turned == (pytest.approx(800, rel=0.02), pytest.approx(80, abs=1), pytest.approx(45, abs=1.1))
    assert seen(studio, opacity=0.25).area == pytest.approx(200, rel=0.02)
    assert seen(studio, crop=Crop(left=0.5)).area == pytest.approx(400, rel=0.001)


def test_a_composition_that_is_cropped_is_fitted_like_any_picture(studio: Studio) -> None:
    left_half = Clip(content=replace(CARD, width=80, height=90), position=Point(x=0.25, y=0.5))
    whole = Composition(width=160, height=90, tracks=(Track(clips=(left_half,)),), background="#000000")
    assert seen(studio, whole).area == pytest.approx(80 * 90, rel=0.01)
    assert seen(studio, whole, crop=Crop(right=0.5), fit=Fit.FILL).area == pytest.approx(160 * 90, rel=0.01)


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize("content", [TALL, BADGE, CARD], ids=["video", "image", "shape"])
def test_of_a_picture_that_is_cropped_to_less_than_a_pixel_a_few_are_left(
    studio: Studio, content: Content, fit: Fit
) -> None:
    for crop in (Crop(left=0.49, right=0.5), Crop(top=0.99), Crop(left=0.99, top=0.5, bottom=0.49)):
        (picture,) = studio.frames(edit(Clip(content=content, crop=crop, fit=fit), background="#000000"), 0, 1)
        assert len(picture) == WIDTH * HEIGHT * 3 // 2


@pytest.mark.parametrize(
    "content",
    [
        Shape(width=4096, height=512, length=1, stroke_width=4096, radius=4096),
        Composition(width=4096, height=4096, tracks=(Track(clips=(Clip(content=CARD),)),)),
    ],
    ids=["shape", "composition"],
)
@pytest.mark.parametrize(
    "effects",
    [(), (Blur(radius=500), Pixelate(size=1000), RoundCorners(radius=4096)), (Vignette(), Sharpen(), KenBurns())],
    ids=["plain", "large", "others"],
)
def test_what_is_largest_can_be_made_eight_times_as_large(
    studio: Studio, content: Content, effects: tuple[Effect, ...]
) -> None:
    small = replace(edit(Clip(content=content, effects=effects)), canvas=replace(CANVAS, width=64, height=32))
    (picture,) = studio.frames(small, 0, 1, scale=Fraction(LARGEST_SCALE))
    assert len(picture) == 512 * 256 * 3 // 2


def test_letters_that_are_much_larger_than_the_picture_are_drawn_no_larger_than_they_can(studio: Studio) -> None:
    look = TextStyle(stroke=TextStroke(width=100), shadow=TextShadow(x=500, y=500, blur=100), box=TextBox(padding=500))
    for clip in (Clip(content=Text(text="H", size=2_000, length=1, style=look), rotation=each) for each in (0, 10)):
        small = replace(edit(clip), canvas=replace(CANVAS, width=64, height=32))
        (picture,) = studio.frames(small, 0, 1, scale=Fraction(LARGEST_SCALE))
        assert len(picture) == 512 * 256 * 3 // 2


def test_a_shape_that_is_too_large_to_be_drawn_pixel_by_pixel_is_as_large_as_it_says(studio: Studio) -> None:
    disc = Shape(form=ShapeForm.ELLIPSE, width=4096, height=32, length=1)
    (picture,) = studio.frames(
        edit(Clip(content=disc, position=Point(x=0), anchor=Point(x=0)), background="#000000"), 0, 1, scale=Fraction(2)
    )
    width, height = 2 * WIDTH, 2 * HEIGHT
    lit = [sum(row > 125 for row in picture[x : width * height : width]) for x in (0, 64, 319)]
    expected = [64 * math.sqrt(1 - (1 - (x + 0.5) / 4096) ** 2) for x in (0, 64, 319)]
    assert lit == pytest.approx(expected, abs=2)


def test_a_quarter_turn_makes_the_wide_high(studio: Studio) -> None:
    (picture,) = studio.frames(edit(Clip(content=CARD, rotation=90), background="#000000"), 0, 1)
    rows = [sum(sample > 125 for sample in picture[at : at + WIDTH]) for at in range(0, WIDTH * HEIGHT, WIDTH)]
    assert [row for row in rows if row] == [20] * 40


@pytest.mark.parametrize("easing", Easing)
def test_a_moving_card_is_where_its_key_frames_say(studio: Studio, easing: Easing) -> None:
    keys = tuple(replace(key, easing=easing) for key in MOVE)
    across = number(0, tuple(NumberKey(frame=key.frame, value=key.x, easing=easing) for key in keys))
    down = number(0, tuple(NumberKey(frame=key.frame, value=key.y, easing=easing) for key in keys))
    for frame in (0, 4, 7, 11, 15, 18, 19, 23):
        _, x, y = seen(studio, frame=frame, keyframes=Keyframes(position=keys))
        assert (x, y) == pytest.approx((across.at(frame) * WIDTH, down.at(frame) * HEIGHT), abs=2)


@pytest.mark.parametrize("frame", [0, 6, 12, 23])
def test_what_changes_over_time_has_its_value_at_each_frame(studio: Studio, frame: int) -> None:
    def keys(first: float, last: float) -> tuple[NumberKey, ...]:
        return NumberKey(frame=0, value=first), NumberKey(frame=23, value=last)

    part = frame / 23
    grown = seen(studio, frame=frame, keyframes=Keyframes(scale=keys(1, 2))).area
    assert grown == pytest.approx(800 * (1 + part) ** 2, rel=0.08)  # its sides are even numbers of pixels
    turned = seen(studio, frame=frame, keyframes=Keyframes(rotation=keys(0, 90)))
    assert turned == (pytest.approx(800, rel=0.02), pytest.approx(80, abs=1), pytest.approx(45, abs=1.1))
    dimmed = seen(studio, frame=frame, keyframes=Keyframes(opacity=keys(1, 0.2))).area
    assert dimmed == pytest.approx(800 * (1 - 0.8 * part), rel=0.03)


def test_fades_go_from_nothing_to_all_and_back(studio: Studio) -> None:
    clip = Clip(content=CARD, fade_in=10, fade_out=10)
    frames = studio.frames(edit(clip, background="#000000"), 0, LENGTH)
    middle = 45 * WIDTH + 80
    light = [frame[middle] for frame in frames]
    assert light[0] == 16
    assert light[:11] == sorted(light[:11])
    assert light[10:14] == [235] * 4
    assert light[14:] == sorted(light[14:], reverse=True)
    assert light[4] == pytest.approx(16 + 219 * 0.4, abs=3)


def test_later_tracks_lie_above_earlier_ones(studio: Studio) -> None:
    gray, white = Clip(content=replace(CARD, fill="#808080")), Clip(content=CARD)
    above, below = (
        studio.frames(edit(*clips, background="#000000"), 0, 1)[0] for clips in ((gray, white), (white, gray))
    )
    assert max(above[: WIDTH * HEIGHT]) == 235
    assert max(below[: WIDTH * HEIGHT]) == pytest.approx(126, abs=1)


NOTHING: list[tuple[tuple[Effect, ...], int]] = [
    ((Blur(radius=0),), 4),
    ((Color(),), 0),
    ((Color(temperature=0.00001),), 3),
    ((Lut(asset_id="lut", strength=0),), 0),
    ((KenBurns(from_=KenBurnsView(), to=KenBurnsView()),), 0),
    ((Vignette(strength=0),), 0),
    ((RoundCorners(radius=0),), 0),
    ((Sharpen(amount=0),), 0),
    ((Flip(), Flip()), 0),
    ((ChromaKey(color="#ff00ff", similarity=0.00001, blend=0, spill=0),), 0),
]


@pytest.mark.parametrize(("effects", "most"), NOTHING, ids=str)
def test_an_effect_that_is_to_do_nothing_does_nothing(studio: Studio, effects: tuple[Effect, ...], most: int) -> None:
    before, after = (studio.frames(edit(Clip(content=VALLEY, effects=each)), 3, 1)[0] for each in ((), effects))
    assert max(abs(one - other) for one, other in zip(before, after, strict=True)) <= most


def test_ken_burns_begins_with_the_one_view_and_ends_with_the_other(studio: Studio) -> None:
    first, last = KenBurnsView(x=0.3, zoom=1.5), KenBurnsView(x=0.9, y=0.1, zoom=3)

    def film(begin: KenBurnsView, end: KenBurnsView) -> list[bytes]:
        return studio.frames(edit(Clip(content=BADGE, effects=(KenBurns(from_=begin, to=end),))), 0, LENGTH)

    moved, near, far = film(first, last), film(first, first), film(last, last)
    assert moved[0] == near[0]
    assert moved[-1] == far[-1]
    assert len(set(moved)) > LENGTH - 4  # it never stands still, but at its slow ends


def test_a_key_takes_the_screen_and_leaves_what_stands_before_it(studio: Studio) -> None:
    screen = replace(VALLEY, asset_id="screen")
    below = studio.frames(edit(Clip(content=DUSK)), 0, 1)[0]
    keyed = studio.frames(edit(Clip(content=DUSK), Clip(content=screen, effects=(ChromaKey(),))), 0, 1)[0]
    corner, middle = 5 * WIDTH + 150, 45 * WIDTH + 40  # the ball is in the middle of the left half
    assert keyed[corner] == below[corner]
    assert keyed[middle] == studio.frames(edit(Clip(content=screen)), 0, 1)[0][middle]


def test_a_picture_that_is_contained_leaves_the_sides_free(studio: Studio) -> None:
    (picture,) = studio.frames(edit(Clip(content=TALL), background="#ffffff"), 0, 1)
    row = picture[45 * WIDTH : 46 * WIDTH]
    free = [at for at, sample in enumerate(row) if sample == 235]
    assert free == [*range(54), *range(104, 160)] or len(free) == WIDTH - 50
