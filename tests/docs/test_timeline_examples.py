"""The edits on the page about timelines are accepted as they stand there."""

import re
from dataclasses import replace

import pytest

from domain.asset import Asset, AssetState
from domain.media import MediaFacts, MediaKind
from domain.stored import StoredObject
from domain.timeline import Content, Effect, TransitionKind
from tests.docs.pages import blocks, page
from tests.story import Stage, project_of

PAGE = "docs/timeline.md"
EDITS = [text for text in blocks(PAGE, "graphql") if "canvas: {" in text]

VIDEO = MediaFacts(
    kind=MediaKind.VIDEO,
    container="mp4",
    video_codec="h264",
    audio_codec="aac",
    width=1920,
    height=1080,
    frame_rate="25",
    duration_seconds=10.0,
)
PICTURE = MediaFacts(kind=MediaKind.IMAGE, container="png", video_codec="png", width=1600, height=1200)
USED = {
    "sea": VIDEO,
    "city": VIDEO,
    "speaker": VIDEO,
    "photo": PICTURE,
    "logo": PICTURE,
    "song": replace(VIDEO, kind=MediaKind.AUDIO, video_codec=None, width=None, height=None, frame_rate=None),
    "grade": MediaFacts(kind=MediaKind.LUT, container="cube"),
    "words": MediaFacts(kind=MediaKind.CAPTIONS, container="srt", duration_seconds=10.0),
}


async def kept(stage: Stage, project_id: str, name: str) -> str:
    """The id of an asset that is READY, as if it had been uploaded and examined."""
    async with stage.resources.work() as work:
        key = f"test/{project_id}/{name}"
        stored = StoredObject(project_id=project_id, key=key, content_type="video/mp4", expires_at=await work.now())
        work.add(stored)
        await work.session.flush()
        made = Asset(
            project_id=project_id,
            object_id=stored.id,
            name=name,
            content_type="video/mp4",
            size=1,
            sha256="0" * 64,
            state=AssetState.READY,
            media=USED[name].to_json(),
        )
        work.add(made)
    return made.id


@pytest.mark.parametrize("edit", EDITS, ids=range(len(EDITS)))
async def test_an_edit_on_the_page_is_accepted(stage: Stage, edit: str) -> None:
    person = await stage.person()
    project_id = await project_of(person)
    names = [name for name in re.findall(r"\$(\w+): (?:ID|String)!", edit) if name != "projectId"]
    variables = {name: await kept(stage, project_id, name) for name in names}
    answer = await person.ask(edit, projectId=project_id, **variables)
    assert answer == {"__typename": "Project", "timelineVersion": 1}


def test_the_page_names_every_content_and_effect() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", page(PAGE), re.MULTILINE)
    assert sorted(listed) == sorted([*Content.kinds, *Effect.kinds])


def test_the_page_uses_kinds_of_transitions_that_exist() -> None:
    assert set(re.findall(r"transition: {[^}]*kind: (\w+)", page(PAGE))) <= {kind.value for kind in TransitionKind}
