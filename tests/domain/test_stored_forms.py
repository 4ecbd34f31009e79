"""What is kept is read by processes of other releases, too: while they are being replaced, both are there."""

from fractions import Fraction
from typing import Any

import pytest

from domain.kinds import IngestSpec, PauseSpec, PreviewSpec, RenderSpec
from domain.media import MediaFacts, MediaKind
from domain.render.output import Format, Output
from domain.timeline import (
    Audio,
    Blur,
    Bus,
    Canvas,
    Clip,
    Composition,
    Content,
    Fit,
    Image,
    Shape,
    Text,
    TextPosition,
    TextStyle,
    Timeline,
    Track,
    Transition,
    TransitionKind,
    Variable,
    Video,
)

CANVAS = Canvas(width=320, height=180, frame_rate=Fraction(25))
IMAGE = Image(asset_id="i", length=30)
FIRST_CLIPS = [
    Clip(content=Video(asset_id="v", in_=3, out=20, volume=0.5)),
    Clip(content=IMAGE, transition=Transition(frames=5), fit=Fit.COVER),
    Clip(content=Text(text="x", length=20, size=20, position=TextPosition.TOP, fade_in=2), start=90),
    Clip(content=Audio(asset_id="a", fade_out=1)),
]
FIRST_FIELDS = {
    "video": {"asset_id", "in_", "out", "volume"},
    "image": {"asset_id", "length"},
    "text": {"text", "length", "size", "color", "position", "fade_in", "fade_out"},
    "audio": {"asset_id", "in_", "out", "volume", "fade_in", "fade_out"},
}


def edit(*clips: Clip, **more: Any) -> Timeline:
    return Timeline(canvas=CANVAS, tracks=(Track(clips=clips),), **more)


def test_facts_say_only_what_is_known_of_a_file_so_that_a_new_one_disturbs_nobody() -> None:
    facts = MediaFacts(kind=MediaKind.IMAGE, container="png", width=40, height=30)
    assert facts.to_json() == {"kind": "IMAGE", "container": "png", "width": 40, "height": 30}
    assert MediaFacts.from_json(facts.to_json()) == facts


def test_facts_of_a_newer_release_are_read_without_what_is_not_known_here() -> None:
    stored = {"kind": "IMAGE", "container": "png", "width": None, "hue": 7}
    assert MediaFacts.from_json(stored) == MediaFacts(kind=MediaKind.IMAGE, container="png")


def test_a_render_without_values_is_asked_for_as_before_there_were_any() -> None:
    spec = RenderSpec(timeline={}, timeline_version=1, output={}, name="x.mp4")
    assert spec.to_json() == {"timeline": {}, "timeline_version": 1, "output": {}, "name": "x.mp4"}
    filled = RenderSpec(timeline={}, timeline_version=1, output={}, name="x.mp4", values={"a": "b"})
    assert filled.to_json()["values"] == {"a": "b"}
    assert RenderSpec.from_json(filled.to_json()) == filled
    assert PauseSpec(seconds=1.0).to_json() == PauseSpec(seconds=1.0).asked() == {"seconds": 1.0}
    assert PauseSpec(seconds=1.0, parts=3).asked() == {"seconds": 1.0, "parts": 3}


def test_what_a_newer_release_asks_of_a_job_beside_what_is_known_is_passed_over() -> None:
    assert IngestSpec.from_json({"asset_id": "a", "hurry": True}) == IngestSpec(asset_id="a")


def test_a_job_that_lacks_what_it_needs_cannot_be_read() -> None:
    with pytest.raises(TypeError):
        PreviewSpec.from_json({"timeline": {}})


def test_a_timeline_that_uses_nothing_new_is_stored_as_the_first_release_reads_it() -> None:
    """That wanted all fields of a clip to be there, and knew no others; of a content, it had defaults."""
    stored = edit(*FIRST_CLIPS).to_json()
    assert stored.keys() == {"version", "canvas", "background", "tracks"}
    assert (stored["version"], stored["background"]) == (1, "#000000")
    assert stored["canvas"] == {"width": 320, "height": 180, "frame_rate": "25"}
    clips = stored["tracks"][0]["clips"]
    assert [(each["start"], each["transition"], each["fit"]) for each in clips] == [
        (None, None, "CONTAIN"),
        (None, {"frames": 5, "kind": "CROSS_FADE"}, "COVER"),
        (90, None, "CONTAIN"),
        (None, None, "CONTAIN"),
    ]
    for clip in clips:
        assert clip.keys() == {"start", "transition", "fit", "content"}
        ((name, content),) = clip["content"].items()
        assert content.keys() <= FIRST_FIELDS[name]
    assert clips[2]["content"]["text"] == {"text": "x", "length": 20, "size": 20, "position": "TOP", "fade_in": 2}
    assert Timeline.from_json(stored) == edit(*FIRST_CLIPS)


@pytest.mark.parametrize(
    "new",
    [
        edit(Clip(content=IMAGE, opacity=0.5)),
        edit(Clip(content=IMAGE, effects=(Blur(),))),
        edit(Clip(content=IMAGE), Clip(content=IMAGE, transition=Transition(frames=5, kind=TransitionKind.RADIAL))),
        edit(Clip(content=Shape(width=9, height=9, length=9))),
        edit(Clip(content=Video(asset_id="v", speed=2.0))),
        edit(Clip(content=Text(text="x", length=20, size=20, style=TextStyle(italic=True)))),
        edit(Clip(content=IMAGE), buses=(Bus(name="b"),)),
        edit(Clip(content=IMAGE), loudness=-14.0),
        edit(Clip(content=IMAGE), variables=(Variable(name="a"),)),
    ],
)
def test_a_timeline_that_uses_anything_new_says_so_and_is_not_misread(new: Timeline) -> None:
    assert new.to_json()["version"] == 2
    assert Timeline.from_json(new.to_json()) == new


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 3}, "a timeline stored in version 3 cannot be read"),
        ({"mood": "dark"}, "a Timeline with mood is of a newer version"),
        ({"canvas": {"width": 2, "height": 2, "frame_rate": "25", "depth": 2}}, "a Canvas with depth is of a newer"),
        ({"tracks": [{"clips": [{"content": {"hologram": {}}}]}]}, "a Content of the kind hologram is of a newer"),
    ],
)
def test_a_timeline_of_a_newer_release_is_refused_in_words(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Timeline.from_json(edit(Clip(content=IMAGE)).to_json() | change)


def test_an_output_of_a_newer_release_is_refused_in_words() -> None:
    stored = Output(format=Format.PNG, width=320, height=180, frame=0).to_json()
    with pytest.raises(ValueError, match="an output with depth is of a newer version"):
        Output.from_json(stored | {"depth": 10})


def composed(*contents: Content) -> Composition:
    return Composition(width=320, height=180, tracks=tuple(Track(clips=(Clip(content=each),)) for each in contents))


def test_compositions_are_stored_whole() -> None:
    whole = edit(Clip(content=composed(IMAGE, composed(IMAGE))))
    assert Timeline.from_json(whole.to_json()) == whole
