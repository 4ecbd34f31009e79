"""What an edit is, where its clips come to lie, and what is wrong with it."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.media import MediaFacts, MediaKind
from domain.refusals import TimelineInvalid
from domain.timeline import (
    Audio,
    Canvas,
    Clip,
    Content,
    Fit,
    Image,
    Text,
    TextPosition,
    Timeline,
    Track,
    Transition,
    Video,
    length,
    parse_frame_rate,
    placed,
    problems,
)

CANVAS = Canvas(width=1280, height=720, frame_rate=Fraction(25))
FACTS = {
    "film": MediaFacts(
        kind=MediaKind.VIDEO,
        container="mp4",
        video_codec="h264",
        audio_codec="aac",
        width=1920,
        height=1080,
        frame_rate="25",
        duration_seconds=4.0,
        frame_count=100,
        channels=2,
        sample_rate=48000,
    ),
    "silent": MediaFacts(kind=MediaKind.VIDEO, container="mp4", width=640, height=360, duration_seconds=4.0),
    "photo": MediaFacts(kind=MediaKind.IMAGE, container="jpeg", width=4000, height=3000),
    "song": MediaFacts(kind=MediaKind.AUDIO, container="mp3", audio_codec="mp3", duration_seconds=10.0),
    "fresh": None,
}


def film(in_: int = 0, out: int | None = None, **more: object) -> Clip:
    return Clip(content=Video(asset_id="film", in_=in_, out=out), **more)


def photo(frames: int, **more: object) -> Clip:
    return Clip(content=Image(asset_id="photo", length=frames), **more)


def fade(frames: int) -> Transition:
    return Transition(frames=frames)


def edit(*clips: Clip, **more: object) -> Timeline:
    return Timeline(canvas=CANVAS, tracks=(Track(clips=clips),), **more)


def found(timeline: Timeline) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in problems(timeline, FACTS)]


def spans(timeline: Timeline) -> list[tuple[int, int]]:
    return [(clip.start, clip.end) for track in placed(timeline, FACTS) for clip in track]


def test_a_clip_without_a_start_follows_the_one_before() -> None:
    timeline = edit(film(10, 30), photo(5), film(80))
    assert found(timeline) == []
    assert spans(timeline) == [(0, 20), (20, 25), (25, 45)]
    assert length(timeline, FACTS) == 45


def test_a_clip_with_a_start_leaves_a_gap_and_the_next_follows_it() -> None:
    assert spans(edit(photo(5, start=3), photo(5, start=20), photo(5))) == [(3, 8), (20, 25), (25, 30)]


def test_a_transition_lets_a_clip_begin_while_the_one_before_is_still_seen() -> None:
    timeline = edit(film(0, 20), photo(15, transition=fade(5)), film(0, 10, transition=fade(10)))
    assert found(timeline) == []
    first, second, third = placed(timeline, FACTS)[0]
    assert [(clip.start, clip.end, clip.fade_in, clip.fade_out) for clip in (first, second, third)] == [
        (0, 20, 0, 5),
        (15, 30, 5, 10),
        (20, 30, 10, 0),
    ]


def test_a_start_that_says_what_the_transition_says_is_fine() -> None:
    assert found(edit(film(0, 20), photo(15, transition=fade(5), start=15))) == []


def test_a_timeline_is_as_long_as_its_longest_track() -> None:
    song = Clip(content=Audio(asset_id="song", out=70))
    timeline = Timeline(
        canvas=CANVAS, tracks=(Track(clips=(film(),)), Track(clips=(song,)), Track(clips=(photo(101),)))
    )
    assert found(timeline) == []
    assert length(timeline, FACTS) == 101


@pytest.mark.parametrize(
    ("seconds", "rate", "frames"),
    [
        (2.0, Fraction(25), 50),
        (2.002, Fraction(30000, 1001), 60),
        (2.035, Fraction(30000, 1001), 61),  # 61 frames, told in milliseconds
        (2.002, Fraction(25), 50),
        (0.001, Fraction(25), 1),
    ],
)
def test_a_source_fills_the_nearest_number_of_frames(seconds: float, rate: Fraction, frames: int) -> None:
    assert MediaFacts(kind=MediaKind.VIDEO, container="mp4", duration_seconds=seconds).frames(rate) == frames


# --- problems -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        (Video(asset_id="film", in_=-1), "video.in", "it must not be negative, it is -1"),
        (Video(asset_id="film", in_=20, out=20), "video.out", "the out-point 20 must come after the in-point 20"),
        (Video(asset_id="film", in_=20, out=-5), "video.out", "the out-point -5 must come after the in-point 20"),
        (
            Video(asset_id="film", out=101),
            "video.out",
            "the source has only 100 frames at this rate; 101 is beyond them",
        ),
        (
            Video(asset_id="film", in_=100),
            "video.in",
            "the source has only 100 frames at this rate; 100 is beyond them",
        ),
        (Video(asset_id="film", volume=10.5), "video.volume", "it must be 0 to 10, not 10.5"),
        (Video(asset_id="film", volume=float("nan")), "video.volume", "it must be 0 to 10, not nan"),
        (Video(asset_id="gone"), "video.assetId", "there is no asset 'gone' in this project"),
        (Video(asset_id="fresh"), "video.assetId", "asset 'fresh' is not ready"),
        (Video(asset_id="song", out=5), "video.assetId", "asset 'song' is a sound, not a video"),
        (Video(asset_id="photo", out=5), "video.assetId", "asset 'photo' is an image, not a video"),
        (Image(asset_id="film", length=5), "image.assetId", "asset 'film' is a video, not an image"),
        (Image(asset_id="photo", length=0), "image.length", "it must be at least 1, not 0"),
        (Audio(asset_id="silent"), "audio.assetId", "asset 'silent' is a video without sound"),
        (Audio(asset_id="photo", out=5), "audio.assetId", "asset 'photo' is an image without sound"),
        (Audio(asset_id="song", fade_in=-1), "audio.fadeIn", "it must be at least 0, not -1"),
        (
            Audio(asset_id="song", out=10, fade_in=6, fade_out=5),
            "audio.fadeOut",
            "fading in and out takes 11 frames, the clip lasts 10",
        ),
        (Text(text=" \n", length=5, size=40), "text.text", "it is empty"),
        (Text(text="x" * 5001, length=5, size=40), "text.text", "5001 characters are more than the 5000 allowed"),
        (Text(text="a\nb" * 51, length=5, size=40), "text.text", "52 lines are more than the 50 allowed"),
        (Text(text="a\x00b", length=5, size=40), "text.text", "it contains control characters"),
        (Text(text="a\ud800", length=5, size=40), "text.text", "it contains control characters"),
        (Text(text="a", length=5, size=3), "text.size", "it must be 4 to 2000 pixels, not 3"),
        (Text(text="a", length=5, size=2001), "text.size", "it must be 4 to 2000 pixels, not 2001"),
        (Text(text="a", length=5, size=40, color="red"), "text.color", "it must be a colour like #1a2b3c, not 'red'"),
        (Text(text="a", length=-5, size=40), "text.length", "it must be at least 1, not -5"),
    ],
)
def test_a_content_that_cannot_be_is_named(content: Content, path: str, message: str) -> None:
    assert found(edit(Clip(content=content))) == [(f"tracks.0.clips.0.content.{path}", message)]


@pytest.mark.parametrize(
    ("clips", "path", "message"),
    [
        (
            [photo(10), photo(5, start=9)],
            "1.start",
            "it starts at 9, but the clip before ends at 10, and there is no transition",
        ),
        ([photo(10, start=-1)], "0.start", "it must not be negative, it is -1"),
        (
            [photo(10), photo(10, start=8, transition=fade(4))],
            "1.start",
            "with its transition the clip starts at 6, not at 8; leave the start out",
        ),
        ([photo(10, transition=fade(4))], "0.transition", "the first clip of a track has nothing to come from"),
        ([photo(10), photo(10, transition=fade(0))], "1.transition.frames", "it must be at least 1, not 0"),
        (
            [photo(10), photo(20, transition=fade(11))],
            "1.transition.frames",
            "11 frames are more than the 10 of the clip before",
        ),
        (
            [photo(20), photo(10, transition=fade(11))],
            "1.transition.frames",
            "11 frames are more than the 10 of the clip after",
        ),
        (
            [photo(20), photo(10, transition=fade(6)), photo(20, transition=fade(5))],
            "2.transition.frames",
            "with 5 frames it begins before the transition into the clip before is over",
        ),
        (
            [photo(20), Clip(content=Audio(asset_id="song"), transition=fade(5))],
            "1.transition",
            "a transition needs a picture on both sides; for sound, use fades",
        ),
    ],
)
def test_a_clip_that_cannot_stand_where_it_should_is_named(clips: list[Clip], path: str, message: str) -> None:
    assert found(edit(*clips)) == [(f"tracks.0.clips.{path}", message)]


@pytest.mark.parametrize(
    ("canvas", "path"),
    [
        (replace(CANVAS, width=1281), "width"),
        (replace(CANVAS, width=14), "width"),
        (replace(CANVAS, height=4098), "height"),
        (replace(CANVAS, frame_rate=Fraction(0)), "frameRate"),
        (replace(CANVAS, frame_rate=Fraction(121)), "frameRate"),
        (replace(CANVAS, frame_rate=Fraction(1, 2)), "frameRate"),
        (replace(CANVAS, frame_rate=Fraction(25_000_001, 1_000_000)), "frameRate"),
    ],
)
def test_a_canvas_that_no_video_can_have_is_named(canvas: Canvas, path: str) -> None:
    assert [path for path, _ in found(replace(edit(film()), canvas=canvas))] == [f"canvas.{path}"]


def test_every_problem_is_named_at_once() -> None:
    timeline = Timeline(
        canvas=replace(CANVAS, width=15, frame_rate=Fraction(500)),
        background="black",
        tracks=(
            Track(clips=(photo(0), Clip(content=Video(asset_id="gone", in_=-3)))),
            Track(clips=(Clip(content=Text(text="", length=5, size=0, color="#12345")), photo(5, start=2))),
        ),
    )
    assert [path for path, _ in found(timeline)] == [
        "canvas.width",
        "canvas.frameRate",
        "background",
        "tracks.0.clips.0.content.image.length",
        "tracks.0.clips.1.content.video.assetId",
        "tracks.0.clips.1.content.video.in",
        "tracks.1.clips.0.content.text.text",
        "tracks.1.clips.0.content.text.size",
        "tracks.1.clips.0.content.text.color",
        "tracks.1.clips.1.start",
    ]


def test_an_edit_has_clips_but_not_too_many_and_is_not_too_long() -> None:
    nothing, crowd = Track(clips=()), Track(clips=(photo(1),) * 5001)
    assert found(Timeline(canvas=CANVAS, tracks=())) == [("tracks", "there is no clip: a timeline needs at least one")]
    assert found(Timeline(canvas=CANVAS, tracks=(crowd,))) == [("tracks", "5001 clips are more than the 5000 allowed")]
    assert found(Timeline(canvas=CANVAS, tracks=(Track(clips=(photo(1),)), *[nothing] * 50))) == [
        ("tracks", "51 tracks are more than the 50 allowed")
    ]
    day = 24 * 3600 * 25
    assert found(edit(photo(day))) == []
    assert found(edit(photo(day + 1))) == [("tracks", f"it lasts {day + 1} frames, more than the {day} of 24 hours")]


@pytest.mark.parametrize("wrong", ["", "0/0", "25/0", "-25", "25.0", "1e3", "٢٥", "25/", "30000/1001 "])
def test_a_frame_rate_is_a_number_or_a_fraction(wrong: str) -> None:
    assert parse_frame_rate("25") == 25
    assert parse_frame_rate("30000/1001") == Fraction(30000, 1001)
    with pytest.raises(TimelineInvalid):
        parse_frame_rate(wrong)


# --- what holds for every edit --------------------------------------------------------------------------------------

frames = st.integers(-3, 120)
contents = st.one_of(
    st.builds(Video, asset_id=st.sampled_from(["film", "gone"]), in_=frames, out=st.none() | frames),
    st.builds(Image, asset_id=st.just("photo"), length=frames),
    st.builds(
        Text, text=st.text(min_size=1), length=frames, size=st.integers(0, 50), position=st.sampled_from(TextPosition)
    ),
    st.builds(Audio, asset_id=st.sampled_from(["song", "film"]), in_=frames, out=st.none() | frames, fade_in=frames),
)
clips = st.builds(
    Clip,
    content=contents,
    start=st.none() | st.integers(-5, 500),
    transition=st.none() | st.builds(Transition, frames=st.integers(-1, 60)),
    fit=st.sampled_from(Fit),
)
timelines = st.builds(
    Timeline,
    canvas=st.just(CANVAS),
    tracks=st.lists(st.builds(Track, clips=st.lists(clips, max_size=6).map(tuple)), max_size=3).map(tuple),
)

good = st.builds(
    Clip,
    content=st.one_of(
        st.builds(Image, asset_id=st.just("photo"), length=st.integers(1, 30)),
        st.builds(Video, asset_id=st.just("film"), in_=st.integers(0, 40), out=st.integers(41, 100)),
    ),
    start=st.none() | st.integers(0, 300),
    transition=st.none() | st.builds(Transition, frames=st.integers(1, 12)),
)


@given(timelines)
def test_an_edit_comes_back_from_storage_as_it_was(timeline: Timeline) -> None:
    assert Timeline.from_json(json.loads(json.dumps(timeline.to_json()))) == timeline


@given(timelines | st.builds(edit, good, good, good, good))
def test_a_sound_edit_never_shows_two_clips_of_a_track_at_once_unless_they_cross_fade(timeline: Timeline) -> None:
    if problems(timeline, FACTS):
        return
    for track in placed(timeline, FACTS):
        shown: dict[int, int] = {}
        for index, clip in enumerate(track):
            assert clip.start >= 0
            assert clip.length >= 1
            for frame in range(clip.start, clip.end):
                shown[frame] = shown.get(frame, 0) + 1
            if clip.fade_in:
                assert clip.start + clip.fade_in == track[index - 1].end
                assert clip.fade_in == track[index - 1].fade_out
        assert sum(shown.values()) == sum(clip.length for clip in track)
        assert sum(count - 1 for count in shown.values()) == sum(clip.fade_in for clip in track)
        assert max(shown.values(), default=0) <= 2


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.lists(st.integers(0, 10), min_size=8, max_size=8))
def test_clips_without_starts_tile_their_track(lengths: list[int], fades: list[int]) -> None:
    """No gap and no overlap but the cross-fades, whatever the lengths."""
    fits = [0]
    for index in range(1, len(lengths)):
        room = lengths[index - 1] - fits[index - 1]
        fits.append(min(fades[index], room, lengths[index]))
    timeline = edit(*(photo(each, transition=fade(by) if by else None) for each, by in zip(lengths, fits, strict=True)))
    assert found(timeline) == []
    assert length(timeline, FACTS) == sum(lengths) - sum(fits)
    assert {frame for start, end in spans(timeline) for frame in range(start, end)} == set(
        range(length(timeline, FACTS))
    )
