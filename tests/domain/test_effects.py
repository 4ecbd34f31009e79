"""What effects, shapes and transitions take and refuse; how they look is in tests/golden."""

from fractions import Fraction

import pytest

from domain.ffmpeg.graph import Graph
from domain.ffmpeg.stage import Stage
from domain.media import MediaFacts, MediaKind
from domain.render.scene import Tools, scene
from domain.timeline import (
    Blur,
    Canvas,
    ChromaKey,
    Clip,
    Color,
    Composition,
    Content,
    Effect,
    Flip,
    FlipAxis,
    KenBurns,
    KenBurnsView,
    Lut,
    Pixelate,
    RoundCorners,
    Shape,
    Sharpen,
    Timeline,
    Track,
    TransitionKind,
    Vignette,
    problems,
)
from domain.timeline.content import Shot
from domain.timeline.effect import Fitted
from domain.timeline.placing import Placed

FACTS = {
    "table": MediaFacts(kind=MediaKind.LUT, container="cube"),
    "photo": MediaFacts(kind=MediaKind.IMAGE, container="png", width=10, height=10),
}
SHAPE = Shape(width=40, height=30, length=10)


def edit(content: Content = SHAPE, *effects: Effect) -> Timeline:
    canvas = Canvas(width=160, height=90, frame_rate=Fraction(25))
    return Timeline(canvas=canvas, tracks=(Track(clips=(Clip(content=content, effects=effects),)),))


def fitted(*, alpha: bool = False, scale: Fraction = Fraction(1)) -> Fitted:
    stage = Stage(width=160, height=90, rate=Fraction(25), scale=scale, sources={})
    clip = Placed(clip=Clip(content=SHAPE), start=0, length=10)
    shot = Shot(graph=Graph(), stage=stage, clip=clip, first=3, count=5)
    return Fitted(shot=shot, width=160, height=90, alpha=alpha)


@pytest.mark.parametrize(
    ("effect", "path", "message"),
    [
        (Blur(radius=-1), "blur.radius", "it must be 0 to 500 pixels, not -1"),
        (Blur(radius=float("nan")), "blur.radius", "it must be 0 to 500 pixels, not nan"),
        (Color(brightness=1.5), "color.brightness", "it must be -1 to 1, not 1.5"),
        (Color(contrast=-1), "color.contrast", "it must be 0 to 4, not -1"),
        (Color(saturation=5), "color.saturation", "it must be 0 to 4, not 5"),
        (Color(temperature=6500), "color.temperature", "it must be -1 to 1, not 6500"),
        (Color(gamma=0), "color.gamma", "it must be 0.1 to 10, not 0"),
        (Lut(asset_id="none"), "lut.assetId", "there is no asset 'none' in this project"),
        (Lut(asset_id="table", strength=2), "lut.strength", "it must be 0 to 1, not 2"),
        (ChromaKey(color="green"), "chromaKey.color", "it must be a colour like #1a2b3c, not 'green'"),
        (ChromaKey(similarity=0), "chromaKey.similarity", "it must be 1e-05 to 1, not 0"),
        (ChromaKey(blend=2), "chromaKey.blend", "it must be 0 to 1, not 2"),
        (ChromaKey(spill=-1), "chromaKey.spill", "it must be 0 to 1, not -1"),
        (KenBurns(from_=KenBurnsView(x=2)), "kenBurns.from.x", "it must be 0 to 1, not 2"),
        (KenBurns(to=KenBurnsView(zoom=0.5)), "kenBurns.to.zoom", "it must be 1 to 10, not 0.5"),
        (Vignette(strength=2), "vignette.strength", "it must be 0 to 1, not 2"),
        (RoundCorners(radius=-1), "roundCorners.radius", "it must be 0 to 4096 pixels, not -1"),
        (Sharpen(amount=4), "sharpen.amount", "it must be 0 to 3, not 4"),
        (Pixelate(size=1), "pixelate.size", "it must be 2 to 1000 pixels, not 1"),
    ],
    ids=str,
)
def test_a_value_out_of_bounds_is_a_problem_with_its_path(effect: Effect, path: str, message: str) -> None:
    (found,) = problems(edit(SHAPE, effect), FACTS)
    assert (found.path, found.message) == (f"tracks.0.clips.0.effects.0.{path}", message)


def test_a_picture_is_no_table_of_colours() -> None:
    (found,) = problems(edit(SHAPE, Lut(asset_id="photo")), FACTS)
    assert found.path == "tracks.0.clips.0.effects.0.lut.assetId"
    assert found.message.startswith("asset 'photo' is an image, not ")


def test_an_effect_of_every_kind_is_accepted_as_it_is_by_default() -> None:
    made = [kind(asset_id="table") if kind is Lut else kind() for kind in Effect.kinds.values()]  # pyright: ignore[reportCallIssue]
    assert problems(edit(SHAPE, *made), FACTS) == []
    assert Timeline.from_json(edit(SHAPE, *made).to_json()) == edit(SHAPE, *made)


@pytest.mark.parametrize(
    ("shape", "path", "message"),
    [
        (Shape(width=0, height=30, length=10), "width", "it must be 1 to 4096 pixels, not 0"),
        (Shape(width=40, height=5000, length=10), "height", "it must be 1 to 4096 pixels, not 5000"),
        (Shape(width=40, height=30, length=0), "length", "it must be at least 1, not 0"),
        (Shape(width=40, height=30, length=9, fill="red"), "fill", "it must be a colour like #1a2b3c, not 'red'"),
        (Shape(width=40, height=30, length=9, stroke="#12"), "stroke", "it must be a colour like #1a2b3c, not '#12'"),
        (Shape(width=40, height=30, length=9, stroke_width=-1), "strokeWidth", "it must be 0 to 4096 pixels, not -1"),
        (Shape(width=40, height=30, length=9, radius=-1), "radius", "it must be 0 to 4096 pixels, not -1"),
    ],
    ids=str,
)
def test_a_shape_that_cannot_be_drawn_is_a_problem(shape: Shape, path: str, message: str) -> None:
    (found,) = problems(edit(shape), FACTS)
    assert (found.path, found.message) == (f"tracks.0.clips.0.content.shape.{path}", message)


def test_lengths_are_meant_on_the_canvas() -> None:
    assert "sigma=8.0000" in Blur(radius=4).filters(fitted(scale=Fraction(2)))[1]
    assert Pixelate(size=16).filters(fitted(scale=Fraction(1, 2))) == ["pixelize=width=8:height=8"]


def test_only_pictures_with_transparent_parts_pay_for_them() -> None:
    assert Pixelate(size=16).filters(fitted()) == ["pixelize=width=16:height=16"]
    assert "premultiply=inplace=1" in Pixelate(size=16).filters(fitted(alpha=True))


def test_a_mirror_has_two_axes() -> None:
    assert Flip().filters(fitted()) == ["hflip"]
    assert Flip(axis=FlipAxis.VERTICAL).filters(fitted()) == ["vflip"]


def test_every_transition_has_a_name_in_ffmpeg() -> None:
    names = [kind.xfade for kind in TransitionKind]
    assert len(set(names)) == len(names)
    assert names[:4] == ["fade", "dissolve", "fadeblack", "fadewhite"]


def test_a_blur_goes_no_further_than_the_filter_does() -> None:
    (_, blur, _) = Blur(radius=400).filters(fitted(scale=Fraction(3)))
    assert blur == "gblur=sigma=1024.0000:steps=3"
    assert Blur(radius=400).filters(fitted(scale=Fraction(2)))[1] == "gblur=sigma=800.0000:steps=3"


@pytest.mark.parametrize(("scale", "side"), [(Fraction(1), 4096), (Fraction(2), 8192), (Fraction(8), 8192)])
def test_a_composition_is_put_together_on_no_huge_stage(scale: Fraction, side: int) -> None:
    card = Track(clips=(Clip(content=SHAPE),))
    inner = Composition(width=4096, height=2048, background="#000000", tracks=(card,))
    whole = scene(edit(inner), {}, Tools(ffmpeg="9"), width=int(160 * scale), height=int(90 * scale))
    assert inner.shape(whole.stage) == (side, side // 2)
    graph = Graph()
    whole.seen(graph, 0, 1)
    assert f"s={side}x{side // 2}:" in graph.arguments()[1]
