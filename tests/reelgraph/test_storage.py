"""The command `reelgraph storage`, as an administrator runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from persistence.resources import opened
from persistence.settings import Settings
from tests import media
from tests.s3 import S3Server
from tests.story import Person, Stage, kept, project_of, staged, uploaded

pytestmark = pytest.mark.xdist_group("s3")


def reelgraph(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reelgraph", "storage", *arguments],
        env={"PATH": os.environ["PATH"], "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_deployment_moves_to_s3_and_its_users_notice_nothing(
    environment: dict[str, str], stage: Stage, moto: S3Server, tmp_path: Path
) -> None:
    environment = environment | moto.environment() | {"STORAGE": "disk"}
    person = await stage.person()
    project = await project_of(person)
    image = media.still(tmp_path / "a.png", "red")
    asset = await uploaded(person, project, image, "image/png")
    announced = {"filename": "b.png", "size": 1000, "contentType": "image/png"}
    await person.do("createUpload", "... on Upload { id }", projectId=project, **announced)

    moved = reelgraph(environment, "move", "--to", "s3")
    assert (moved.returncode, moved.stderr) == (0, "")
    carried, uploads, change_over, cors, safe = moved.stdout.splitlines()[1:]
    assert carried == f"1 object carried over ({image.stat().st_size:,} bytes), each read back and right."
    assert uploads.startswith("Uploads that are not complete: 1.")
    assert "set STORAGE=s3" in change_over
    assert "reelgraph storage cors" in cors
    assert safe == "Nothing was removed from the old storage."
    async with opened(Settings.read(environment | {"STORAGE": "s3"})) as resources, staged(resources) as there:
        same = Person(there, person.viewer)
        url = (await same.ask("query($id: ID!) { asset(id: $id) { downloadUrl } }", id=asset["id"]))["downloadUrl"]
        assert url.startswith(moto.url)
        assert (await there.web.get(url)).content == image.read_bytes()
        (key,) = [each.removeprefix("objects/") for each in await kept(stage)]
        await resources.storage.delete(key)
        await stage.resources.storage.delete(key)
    lost = reelgraph(environment, "move", "--to", "s3")
    assert lost.returncode == 1
    assert "it is not in the storage it should come from" in lost.stdout


def test_cors_is_set_and_a_store_without_it_is_explained(moto: S3Server, rclone: S3Server) -> None:
    origin = {"ALLOWED_ORIGINS": "https://app.example.org", "PUBLIC_URL": "https://app.example.org"}
    done = reelgraph(moto.environment() | origin, "cors", "--set")
    assert (done.returncode, done.stdout) == (0, "Set for https://app.example.org.\n")
    refused = reelgraph(rclone.environment() | origin, "cors", "--set")
    assert refused.returncode == 1
    assert refused.stderr.endswith("by its own configuration, and then --check: https://app.example.org\n")
    hidden = reelgraph(rclone.environment() | origin, "cors", "--check")
    assert hidden.returncode == 1
    assert hidden.stdout.startswith("- pages of https://app.example.org are not shown the headers Content-Range")


@pytest.mark.parametrize(
    ("arguments", "changes", "words"),
    [
        (("move", "--to", "s3"), {"S3_BUCKET": ""}, "S3_BUCKET is not set"),
        (("move", "--to", "s3"), {"DATABASE_URL": "postgresql://x:y@127.0.0.1:1/z"}, "DATABASE_URL: no database"),
        (("cors",), {}, "say --set, --check or both"),
        (("cors", "--set"), {"S3_ENDPOINT_URL": "http://127.0.0.1:1"}, "Could not connect"),
    ],
    ids=["no bucket", "no database", "nothing to do", "no store"],
)
def test_what_is_wrong_is_one_line(
    moto: S3Server, tmp_path: Path, arguments: tuple[str, ...], changes: dict[str, str], words: str
) -> None:
    environment = {
        "DATABASE_URL": "postgresql://h/d",
        "SCRATCH_PATH": str(tmp_path),
        "STORAGE_PATH": str(tmp_path),
        **moto.environment(),
        **changes,
    }
    done = reelgraph(environment, *arguments)
    assert done.returncode in {1, 2}
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
