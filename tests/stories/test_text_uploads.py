"""From a file of captions, a table of colours or a font on somebody's disk to an asset that an edit can use."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.asset_text import AssetText
from domain.captions import Caption, from_text
from tasks.ffmpeg import FONT
from tests.story import WATCH_JOB, Stage, project_of, uploaded

ASSET = """query($id: ID!) { asset(id: $id) { state rejection kind facts {
  kind container durationSeconds cueCount lutSize fontFamily fontWeight fontItalic } } }"""
NOTHING = dict.fromkeys(["durationSeconds", "cueCount", "lutSize", "fontFamily", "fontWeight", "fontItalic"])
SRT = "1\n00:00:01,000 --> 00:00:02,500\n<i>Good morning</i>\n\n2\n00:00:03,000 --> 00:00:04,000\nAll\n"
CUBE = "LUT_3D_SIZE 2\n" + "".join(f"{r} {g} {b}\n" for b in (0, 1) for g in (0, 1) for r in (0, 1))


async def _asset(stage: Stage, path: Path, content_type: str) -> dict[str, Any]:
    """The asset, examined; as its owner sees it."""
    person = await stage.person()
    asset = await uploaded(person, await project_of(person), path, content_type)
    async with stage.worker():
        async for _ in person.watch(WATCH_JOB, id=asset["job"]["id"]):
            pass
    return await person.ask(ASSET, id=asset["id"])


@pytest.mark.parametrize(
    ("name", "data", "content_type", "facts"),
    [
        ("a.srt", SRT.encode(), "application/x-subrip", {"kind": "CAPTIONS", "durationSeconds": 4.0, "cueCount": 2}),
        ("a.cube", CUBE.encode(), "application/octet-stream", {"kind": "LUT", "lutSize": 2}),
        (
            "a.ttf",
            FONT.read_bytes(),
            "font/ttf",
            {"kind": "FONT", "fontFamily": "DejaVu Sans", "fontWeight": 400, "fontItalic": False},
        ),
    ],
)
async def test_what_is_neither_seen_nor_heard_by_itself_becomes_an_asset_too(
    stage: Stage, tmp_path: Path, name: str, data: bytes, content_type: str, facts: dict[str, Any]
) -> None:
    (tmp_path / name).write_bytes(data)
    assert await _asset(stage, tmp_path / name, content_type) == {
        "state": "READY",
        "rejection": None,
        "kind": facts["kind"],
        "facts": {**NOTHING, **facts, "container": name.removeprefix("a.")},
    }
    async with stage.resources.work() as work:
        texts = list(await work.session.scalars(select(AssetText.text)))
    if facts["kind"] == "CAPTIONS":
        assert [from_text(text) for text in texts] == [
            [Caption(1000, 2500, "Good morning"), Caption(3000, 4000, "All")]
        ]
    else:
        assert len(texts) == (facts["kind"] == "LUT")


async def test_broken_captions_are_rejected_with_the_line_and_nothing_of_them_is_kept(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "a.srt").write_text(SRT.replace("00:00:04,000", "00:00:02,000"))
    assert await _asset(stage, tmp_path / "a.srt", "text/plain") == {
        "state": "REJECTED",
        "rejection": "The caption on line 6: it ends before it begins.",
        "kind": None,
        "facts": None,
    }
    async with stage.resources.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(AssetText)) == 0
