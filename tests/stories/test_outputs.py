"""Outputs: what a render can be asked to make, and what comes of it."""

from pathlib import Path
from typing import Any

import av
import pytest

from tests import media
from tests.story import WATCH_JOB, Person, Stage, project_of, ready

MOVIE = {"codec": "H264", "width": 160, "height": 90, "speed": "FASTER"}
REFUSED = "... on InvalidInput { path problem } ... on Job { id }"
FRAMES = 13


async def _project(person: Person, source: Path | None = None) -> str:
    """A project whose timeline shows 1 to 13, and is heard."""
    project = await project_of(person, "film")
    clip: dict[str, Any] = {"content": {"text": {"text": "Hello", "length": FRAMES, "size": 20}}}
    if source:
        asset = await ready(person, project, source, "video/mp4")
        clip = {"content": {"video": {"assetId": asset, "out": FRAMES}}}
    timeline = {"canvas": {"width": 160, "height": 90, "frameRate": "30000/1001"}, "tracks": [{"clips": [clip]}]}
    assert await person.do("setTimeline", "", projectId=project, timeline=timeline) == {"__typename": "Project"}
    return project


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ({"custom": {**MOVIE, "format": "GIF"}}, "custom.format"),
        ({"custom": {**MOVIE, "codec": "VP9", "format": "MP4"}}, "custom.format"),
        ({"custom": {**MOVIE, "crf": 20, "bitrate": 10**6}}, "custom.bitrate"),
        ({"custom": {**MOVIE, "codec": "AV1", "crf": 0}}, "custom.crf"),
        ({"custom": {**MOVIE, "bitrate": 10**6, "maxBitrate": 10**6}}, "custom.maxBitrate"),
        ({"custom": {**MOVIE, "sizeBytes": 100}}, "custom.sizeBytes"),
        ({"custom": {**MOVIE, "soundBitrate": 1}}, "custom.soundBitrate"),
        ({"custom": {**MOVIE, "posterFrame": FRAMES}}, "custom.posterFrame"),
        ({"gif": {"width": 160, "height": 90, "frameRate": "fast"}}, "gif.frameRate"),
        ({"gif": {"width": 160, "height": 90, "frameRate": "51"}}, "gif.frameRate"),
        ({"still": {"width": 161, "height": 90}}, "still.width"),
        ({"still": {"width": 160, "height": 90, "format": "MP3"}}, "still.format"),
        ({"still": {"width": 160, "height": 90, "frame": FRAMES}}, "still.frame"),
        ({"still": {"width": 1282, "height": 720}}, "still.width"),
        ({"preset": "H264_1080P"}, "preset"),
        ({"sound": {"format": "PNG"}}, "sound.format"),
        ({"sound": {"format": "WAV", "bitrate": 192_000}}, "sound.bitrate"),
    ],
)
async def test_what_does_not_fit_together_is_refused_at_its_place(
    stage: Stage, output: dict[str, Any], path: str
) -> None:
    person = await stage.person()
    project = await _project(person)
    answer = await person.do("startRender", REFUSED, projectId=project, output=output)
    assert (answer["code"], answer["path"]) == ("INVALID_INPUT", f"output.{path}")
    jobs = "query($id: ID!) { jobs(projectId: $id, kind: RENDER) { totalCount } }"
    assert await person.ask(jobs, id=project) == {"totalCount": 0}


@pytest.mark.parametrize("of", ["custom", "gif", "still", "sound", "preset"])
async def test_a_schedule_tells_what_it_is_to_make(stage: Stage, of: str) -> None:
    """And so does one that was made when there were movies only, by crf only."""
    outputs: dict[str, Any] = {
        "custom": MOVIE | {"bitrate": 10**6, "posterFrame": 3},
        "gif": {"width": 160, "height": 90, "frameRate": "25/2"},
        "still": {"width": 160, "height": 90, "format": "PNG", "frame": 2},
        "sound": {"format": "MP3", "bitrate": 128_000},
        "preset": "WAV",
    }
    person = await stage.person()
    project = await _project(person)
    told = await person.do(
        "createSchedule",
        """... on Schedule { start { ... on ScheduledRender {
          preset
          custom { codec width height crf format bitrate sizeBytes maxBitrate speed posterFrame }
          gif { width height frameRate }
          still { format width height frame }
          sound { format bitrate }
        } } }""",
        projectId=project,
        name="nightly",
        cron="0 0 * * *",
        start={"render": {"output": {of: outputs[of]}}},
    )
    more = {"crf": 20, "format": "MP4", "sizeBytes": None, "maxBitrate": None} if of == "custom" else {}
    expected = outputs[of] | more if isinstance(outputs[of], dict) else outputs[of]
    assert told["start"] == {**dict.fromkeys(outputs), of: expected}


@pytest.mark.parametrize(
    ("output", "content_type", "name", "measured"),
    [
        (
            {"custom": {**MOVIE, "codec": "AV1"}},
            "video/mp4",
            "film.mp4",
            {"container": "mov", "videoCodec": "av1", "frames": 13, "audioCodec": "aac", "samples": 20_821},
        ),
        (
            {"custom": {**MOVIE, "codec": "VP9"}},
            "video/webm",
            "film.webm",
            {"container": "matroska", "videoCodec": "vp9", "frames": 13, "audioCodec": "opus", "samples": 20_821},
        ),
        (
            {"custom": {**MOVIE, "codec": "H265", "sizeBytes": 30_000}},
            "video/mp4",
            "film.mp4",
            {"container": "mov", "videoCodec": "hevc", "frames": 13, "audioCodec": "aac", "samples": 20_821},
        ),
        (
            {"gif": {"width": 160, "height": 90}},
            "image/gif",
            "film.gif",
            {"container": "gif", "videoCodec": "gif", "frames": 7, "audioCodec": None, "samples": None},
        ),
        (
            {"still": {"width": 160, "height": 90, "frame": 7}},
            "image/jpeg",
            "film.jpg",
            {"container": "jpeg_pipe", "videoCodec": "mjpeg", "frames": 1, "audioCodec": None, "samples": None},
        ),
        (
            {"preset": "MP3"},
            "audio/mpeg",
            "film.mp3",
            {"container": "mp3", "videoCodec": None, "frames": 0, "audioCodec": "mp3", "samples": 20_821},
        ),
        (
            {"preset": "WAV"},
            "audio/wav",
            "film.wav",
            {"container": "wav", "videoCodec": None, "frames": 0, "audioCodec": "pcm_s16le", "samples": 20_821},
        ),
    ],
)
async def test_each_kind_of_file_is_made_measured_and_told(
    stage: Stage, tmp_path: Path, output: dict[str, Any], content_type: str, name: str, measured: dict[str, Any]
) -> None:
    picture = media.counter(tmp_path / "picture.mp4", frames=FRAMES + 7, rate="30000/1001", size=(160, 90))
    source = media.joined(
        tmp_path / "a.mp4", picture, media.tone(tmp_path / "a.wav", seconds=1), options=("-c:v", "copy")
    )
    person = await stage.person()
    async with stage.worker():
        project = await _project(person, source)
        job = await person.do("startRender", REFUSED, projectId=project, output=output)
        *_, last = [each async for each in person.watch(WATCH_JOB, id=job["id"])]
    assert (last["state"], last["error"]) == ("COMPLETED", None)
    facts = "container videoCodec frames audioCodec samples"
    told = await person.ask(
        f"""query($id: ID!) {{ job(id: $id) {{
          verification {{ planned {{ {facts} }} measured {{ {facts} }} }}
          asset {{ name contentType state downloadUrl }}
        }} }}""",
        id=job["id"],
    )
    assert told["verification"] == {"planned": measured, "measured": measured}
    url = told["asset"].pop("downloadUrl")
    assert told["asset"] == {"name": name, "contentType": content_type, "state": "READY"}
    result = tmp_path / name
    result.write_bytes((await stage.web.get(url)).content)
    if measured["videoCodec"]:
        with av.open(result) as container:
            pictures = [media.Picture(each.reformat(format="gray")) for each in container.decode(video=0)]
        shown = {"film.gif": range(1, 14, 2), "film.jpg": [8]}.get(name, range(1, 14))
        assert [each.number() for each in pictures] == list(shown)


async def test_a_job_that_is_no_completed_render_has_nothing_verified(stage: Stage) -> None:
    person = await stage.person()
    project = await _project(person)
    job = await person.do("startRender", REFUSED, projectId=project, output={"preset": "H264_480P"})
    asked = "query($id: ID!) { job(id: $id) { verification { measured { frames } } } }"
    assert await person.ask(asked, id=job["id"]) == {"verification": None}
