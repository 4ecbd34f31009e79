"""A file goes up in parts and comes down again, in the bytes of HTTP."""

import hashlib
import time
from pathlib import Path
from urllib.parse import unquote

import pytest

from persistence.storage.signing import MediaUrls, ObjectGrant, PartGrant
from tests import media
from tests.installation import Installation
from tests.journeys.acts import ASSET, announce, ended, send, upload
from tests.story import project_of
from tests.wire import Caller, http

NAME = 'Löwe, "the" 1.mp4'


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small video; its name is one that headers have to be careful with."""
    return media.counter(tmp_path_factory.mktemp("clip") / NAME, frames=10)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_a_missing_part_is_named_and_only_that_is_sent_again(ada: Caller, clip: Path) -> None:
    announced = await announce(ada, await project_of(ada), clip, "video/mp4", sha256=digest(clip))
    parts = announced["parts"]
    assert len(parts) >= 3
    async with http() as client:
        for part in parts:
            if part["number"] != 2:
                assert (await send(client, part, clip.read_bytes())).status_code == 200
        refused = await ada.do("completeUpload", "... on UploadIncomplete { missingParts }", id=announced["id"])
        assert (refused["code"], refused["missingParts"]) == ("UPLOAD_INCOMPLETE", [2])
        short = await client.put(parts[1]["url"], content=b"too short")
        assert (short.status_code, short.json()["error"]["code"]) == (400, "WRONG_PART_SIZE")
        found = await ada.ask("query($id: ID!) { upload(id: $id) { parts { number received } } }", id=announced["id"])
        assert [each["number"] for each in found["parts"] if not each["received"]] == [2]
        assert (await send(client, parts[1], clip.read_bytes())).status_code == 200
    asset = await ada.do("completeUpload", "... on Asset { id job { id } }", id=announced["id"])
    assert (await ended(ada, asset["job"]["id"]))["state"] == "COMPLETED"
    kept = await ada.ask(ASSET, id=asset["id"])
    assert (kept["state"], kept["size"], kept["sha256"]) == ("READY", clip.stat().st_size, digest(clip))
    assert kept["facts"]["frameCount"] == 10


async def test_bytes_that_are_not_those_announced_make_no_asset(ada: Caller, clip: Path) -> None:
    project = await project_of(ada)
    announced = await announce(ada, project, clip, "video/mp4", sha256="0" * 64)
    async with http() as client:
        for part in announced["parts"]:
            await send(client, part, clip.read_bytes())
    refused = await ada.do("completeUpload", "... on ChecksumMismatch { actual }", id=announced["id"])
    assert (refused["code"], refused["actual"]) == ("CHECKSUM_MISMATCH", digest(clip))
    assert await ada.ask("query($id: ID!) { assets(projectId: $id) { totalCount } }", id=project) == {"totalCount": 0}


async def test_an_expired_or_tampered_url_takes_and_gives_nothing(site: Installation, ada: Caller, clip: Path) -> None:
    project = await project_of(ada)
    announced = await announce(ada, project, clip, "video/mp4")
    first = announced["parts"][0]
    urls, past = MediaUrls(ada.url, site.settings.secret_key), int(time.time()) - 1
    grant = urls.read_part(first["url"].rpartition("/")[2])
    async with http() as client:

        async def refused(method: str, url: str) -> tuple[int, str]:
            content = clip.read_bytes()[: first["size"]] if method == "PUT" else None
            answer = await client.request(method, url, content=content)
            return answer.status_code, answer.json()["error"]["code"]

        expired = urls.part(PartGrant(grant.handle, grant.number, grant.size, past))
        assert await refused("PUT", expired) == (403, "URL_EXPIRED")
        assert await refused("PUT", tampered(first["url"])) == (403, "URL_INVALID")
        assert await refused("GET", first["url"].replace("/parts/", "/objects/") + "/a.mp4") == (403, "URL_INVALID")
        found = await ada.ask("query($id: ID!) { upload(id: $id) { parts { received } } }", id=announced["id"])
        assert {each["received"] for each in found["parts"]} == {False}
        asset = await ada.ask(ASSET, id=await upload(ada, project, clip, "video/mp4"))
        token, name = asset["downloadUrl"].split("/")[-2:]
        allowed = urls.read_object(token)
        gone = urls.object(ObjectGrant(allowed.key, allowed.filename, allowed.content_type, allowed.inline, past))
        assert await refused("GET", gone) == (403, "URL_EXPIRED")
        assert await refused("GET", asset["downloadUrl"].replace(token, tampered(token))) == (403, "URL_INVALID")
        assert unquote(name) == NAME


async def test_a_download_has_ranges_an_etag_and_its_name(ada: Caller, clip: Path) -> None:
    asset = await ada.ask(ASSET, id=await upload(ada, await project_of(ada), clip, "video/mp4"))
    url, content = asset["downloadUrl"], clip.read_bytes()
    async with http() as client:
        whole = await client.get(url)
        assert (whole.status_code, whole.content) == (200, content)
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["accept-ranges"] == "bytes"
        disposition = whole.headers["content-disposition"]
        assert disposition.startswith("attachment; ")
        assert unquote(disposition.partition("filename*=UTF-8''")[2]) == NAME
        part = await client.get(url, headers={"Range": "bytes=100-199", "If-Range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, content[100:200])
        assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
        assert (await client.get(url, headers={"Range": "bytes=-5"})).content == content[-5:]
        beyond = await client.get(url, headers={"Range": f"bytes={len(content)}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
        again = await client.get(url, headers={"If-None-Match": whole.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = await client.head(url)
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(content)))


async def test_a_text_called_mp4_is_refused_with_the_reason(ada: Caller, tmp_path: Path) -> None:
    fake = tmp_path / "fake.mp4"
    fake.write_text("I am a film.\n" * 100)
    announced = await announce(ada, await project_of(ada), fake, "video/mp4")
    async with http() as client:
        for part in announced["parts"]:
            await send(client, part, fake.read_bytes())
    asset = await ada.do("completeUpload", "... on Asset { id job { id } }", id=announced["id"])
    assert (await ended(ada, asset["job"]["id"]))["error"]["code"] == "MEDIA_REJECTED"
    kept = await ada.ask(ASSET, id=asset["id"])
    assert kept["state"] == "REJECTED"
    assert kept["rejection"]


def tampered(text: str) -> str:
    """The same with one character of its signature changed."""
    return text[:-2] + ("A" if text[-2] != "A" else "B") + text[-1]
