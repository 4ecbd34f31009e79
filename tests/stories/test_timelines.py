"""Setting a project's timeline, and reading it back."""

from pathlib import Path
from typing import Any

import pytest

from domain.entity import new_id
from tests import media
from tests.story import Person, Stage, project_of, ready

READ = """query($id: ID!) { project(id: $id) { timelineVersion timeline { background canvas { width height frameRate }
  tracks { clips { start fit transition { kind frames } content { __typename
    ... on VideoContent { assetId in out volume asset { id } } ... on ImageContent { assetId length }
    ... on TextContent { text length size color position fadeIn fadeOut }
    ... on AudioContent { assetId in out volume fadeIn fadeOut } } } } } } }"""
CANVAS = {"width": 320, "height": 180, "frameRate": "25"}


async def _set(person: Person, project: str, timeline: dict[str, Any], **more: Any) -> Any:
    selection = "... on Project { timelineVersion } ... on TimelineInvalid { problems { path message } }"
    return await person.do("setTimeline", selection, projectId=project, timeline=timeline, **more)


def _one_clip(**content: Any) -> dict[str, Any]:
    return {"canvas": CANVAS, "tracks": [{"clips": [{"content": content}]}]}


TITLE = {"text": "Hello", "length": 25, "size": 40}


async def test_a_timeline_is_read_back_as_it_was_set(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker():
        video = await ready(person, project, media.plain(tmp_path / "v.mp4", "red"), "video/mp4")
        image = await ready(person, project, media.still(tmp_path / "i.png", "red"), "image/png")
        sound = await ready(person, project, media.tone(tmp_path / "a.wav", seconds=3), "audio/wav")
    answer = await _set(
        person,
        project,
        {
            "canvas": {"width": 640, "height": 360, "frameRate": "30000/1001"},
            "background": "#102030",
            "tracks": [
                {
                    "clips": [
                        {"content": {"video": {"assetId": video, "in": 5, "out": 30, "volume": 0.5}}},
                        {
                            "content": {"image": {"assetId": image, "length": 40}},
                            "transition": {"frames": 10},
                            "fit": "COVER",
                        },
                    ]
                },
                {"clips": [{"content": {"text": {**TITLE, "position": "TOP", "fadeIn": 5}}, "start": 3}]},
                {"clips": [{"content": {"audio": {"assetId": sound, "fadeIn": 10, "fadeOut": 10}}}]},
            ],
        },
    )
    assert answer == {"__typename": "Project", "timelineVersion": 1}
    cut = {"start": None, "fit": "CONTAIN", "transition": None}
    assert await person.ask(READ, id=project) == {
        "timelineVersion": 1,
        "timeline": {
            "background": "#102030",
            "canvas": {"width": 640, "height": 360, "frameRate": "30000/1001"},
            "tracks": [
                {
                    "clips": [
                        {
                            **cut,
                            "content": {
                                "__typename": "VideoContent",
                                "assetId": video,
                                "in": 5,
                                "out": 30,
                                "volume": 0.5,
                                "asset": {"id": video},
                            },
                        },
                        {
                            "start": None,
                            "fit": "COVER",
                            "transition": {"kind": "CROSS_FADE", "frames": 10},
                            "content": {"__typename": "ImageContent", "assetId": image, "length": 40},
                        },
                    ]
                },
                {
                    "clips": [
                        {
                            **cut,
                            "start": 3,
                            "content": {
                                "__typename": "TextContent",
                                **TITLE,
                                "color": "#ffffff",
                                "position": "TOP",
                                "fadeIn": 5,
                                "fadeOut": 0,
                            },
                        }
                    ]
                },
                {
                    "clips": [
                        {
                            **cut,
                            "content": {
                                "__typename": "AudioContent",
                                "assetId": sound,
                                "in": 0,
                                "out": None,
                                "volume": 1.0,
                                "fadeIn": 10,
                                "fadeOut": 10,
                            },
                        }
                    ]
                },
            ],
        },
    }


async def test_every_problem_is_told_at_once_with_its_place_and_nothing_changes(stage: Stage, tmp_path: Path) -> None:
    person = await stage.person()
    project = await project_of(person)
    async with stage.worker():
        video = await ready(person, project, media.plain(tmp_path / "v.mp4", "red", frames=50), "video/mp4")
        foreign = await ready(person, await project_of(person), media.still(tmp_path / "i.png", "red"), "image/png")
    clips: list[dict[str, Any]] = [
        {"video": {"assetId": video, "in": -1}},
        {"video": {"assetId": video, "in": 20, "out": 10}},
        {"video": {"assetId": video, "out": 51}},
        {"image": {"assetId": foreign, "length": 10}},
        {"video": {"assetId": new_id()}},
        {"text": {**TITLE, "text": "x" * 10_000}},
        {"text": {**TITLE, "length": 0}},
    ]
    timeline = {"canvas": {**CANVAS, "width": 321}, "tracks": [{"clips": [{"content": each} for each in clips]}]}
    answer = await _set(person, project, timeline)
    assert answer["__typename"] == "TimelineInvalid"
    assert [problem["path"] for problem in answer["problems"]] == [
        "canvas.width",
        "tracks.0.clips.0.content.video.in",
        "tracks.0.clips.1.content.video.out",
        "tracks.0.clips.2.content.video.out",
        "tracks.0.clips.3.content.image.assetId",
        "tracks.0.clips.4.content.video.assetId",
        "tracks.0.clips.5.content.text.text",
        "tracks.0.clips.6.content.text.length",
    ]
    assert await person.ask(READ, id=project) == {"timelineVersion": 0, "timeline": None}


@pytest.mark.parametrize("rate", ["0", "0/0", "25/0", "fast", "1e9", "-25", "121", "25/7/1", ""])
async def test_a_frame_rate_that_is_none_is_a_problem(stage: Stage, rate: str) -> None:
    person = await stage.person()
    answer = await _set(
        person, await project_of(person), {**_one_clip(text=TITLE), "canvas": {**CANVAS, "frameRate": rate}}
    )
    assert [problem["path"] for problem in answer["problems"]] == ["canvas.frameRate"]


async def test_a_clip_has_exactly_one_content(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    for content in ({}, {"text": TITLE, "image": {"assetId": "x", "length": 1}}):
        query = "mutation($input: SetTimelineInput!) { setTimeline(input: $input) { __typename } }"
        input = {"projectId": project, "timeline": _one_clip(**content)}
        response = await person.send(query, input=input)
        assert len(response["errors"]) == 1
        assert "exactly one" in response["errors"][0]["message"].lower()


async def test_a_timeline_that_somebody_else_changed_meanwhile_is_not_overwritten(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    assert (await _set(person, project, _one_clip(text=TITLE), expectedVersion=0))["timelineVersion"] == 1
    stale = await person.do(
        "setTimeline",
        "... on StaleVersion { expected actual }",
        projectId=project,
        timeline=_one_clip(text=TITLE),
        expectedVersion=0,
    )
    assert (stale["code"], stale["expected"], stale["actual"]) == ("STALE_VERSION", 0, 1)


def _nested(levels: int) -> dict[str, Any]:
    clip: dict[str, Any] = {"content": {"text": TITLE}}
    for _ in range(levels):
        clip = {"content": {"composition": {"width": 320, "height": 180, "tracks": [{"clips": [clip]}]}}}
    return {"canvas": CANVAS, "tracks": [{"clips": [clip]}]}


async def test_compositions_lie_in_one_another_three_deep_and_no_deeper(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    assert (await _set(person, project, _nested(3)))["__typename"] == "Project"
    refused = await _set(person, project, _nested(4))
    assert [each["path"] for each in refused["problems"]] == ["tracks.0.clips.0.content.composition"]
    mutation = "mutation($input: SetTimelineInput!) { setTimeline(input: $input) { __typename } }"
    assert await person.error(mutation, input={"projectId": project, "timeline": _nested(100)}) == "BAD_USER_INPUT"
    inner = "tracks { clips { content { __typename ... on CompositionContent { width"
    query = f"query($id: ID!) {{ project(id: $id) {{ timeline {{ {' '.join([inner] * 3)} {'} } } }' * 3} }} }} }}"
    width = (await person.ask(query, id=project))["timeline"]
    for _ in range(3):
        width = width["tracks"][0]["clips"][0]["content"]
        assert (width["__typename"], width["width"]) == ("CompositionContent", 320)


async def test_more_clips_than_a_timeline_may_have_are_one_problem(stage: Stage) -> None:
    person = await stage.person()
    project = await project_of(person)
    crowd = [{"content": {"text": {"text": "a", "length": 1, "size": 9}}}] * 5_001
    refused = await _set(person, project, {"canvas": CANVAS, "tracks": [{"clips": crowd}]})
    assert refused["problems"] == [{"path": "tracks", "message": "5001 clips are more than the 5000 allowed"}]
