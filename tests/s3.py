"""Stores that speak S3, as real servers beside the tests; each is honest about something else.

moto knows all of the API, but takes tampered and expired URLs. rclone checks every signature and its time, but answers
a Range with 200, and knows nothing of CORS rules.
"""

import os
import re
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from domain.entity import new_id
from persistence.settings import Settings
from persistence.storage.bucket import Bucket
from reelgraph.process import Process

ON_S3 = tuple(pytest.param(each, marks=pytest.mark.xdist_group("s3")) for each in ("moto", "rclone"))
"""In one process of a parallel run, so that the servers are started once."""
on_every_storage = pytest.mark.parametrize("storage_environment", ["disk", *ON_S3], indirect=True)
on_s3 = pytest.mark.parametrize("storage_environment", ON_S3, indirect=True)
KEY, SECRET = "an-access-key", "a-secret-access-key"
PART = 5 * 2**20
"""The least that S3 takes as a part that is not the last."""
_SAYS_WHERE = re.compile(r"http://127\.0\.0\.1:\d+")


class S3Server:
    """One that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def client(self) -> Any:
        """For what our own storage does not do."""
        return boto3.session.Session(KEY, SECRET, region_name="us-east-1").client(
            "s3",
            endpoint_url=self.url,
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def environment(self) -> dict[str, str]:
        """The settings of a storage in a new bucket."""
        bucket = f"bucket-{new_id()}"
        self.client.create_bucket(Bucket=bucket)
        return {
            "STORAGE": "s3",
            "S3_BUCKET": bucket,
            "S3_PREFIX": "reelgraph/tests",
            "S3_ENDPOINT_URL": self.url,
            "S3_ACCESS_KEY_ID": KEY,
            "S3_SECRET_ACCESS_KEY": SECRET,
            "UPLOAD_PART_BYTES": str(PART),
        }


def kept(settings: Settings) -> list[str]:
    """What lies in the bucket: objects, and uploads in progress."""
    bucket = Bucket(settings)
    objects = bucket.client.list_objects_v2(Bucket=bucket.name).get("Contents", ())
    uploads = bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", ())
    bucket.close()
    return [each["Key"] for each in (*objects, *uploads)]


@contextmanager
def running(kind: str, folder: Path) -> Generator[S3Server]:
    """Start one on a free port; stop it at the end."""
    kept = folder / "objects"
    kept.mkdir()
    argv = {
        "moto": [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        "rclone": [
            *(shutil.which("rclone", path=Path(sys.executable).parent) or "rclone", "serve", "s3", str(kept)),
            *("--addr", "127.0.0.1:0", "--auth-key", f"{KEY},{SECRET}", "--config", os.devnull),
            "--disable-multipart-streaming",  # else a part cannot be sent again
            *("--allow-origin", "https://app.example.org"),
        ],
    }[kind]
    process = Process(name=kind, argv=argv, log=folder / "log", answers=lambda it: bool(_SAYS_WHERE.search(it.said())))
    process.start()
    try:
        process.wait()
        found = _SAYS_WHERE.search(process.said())
        assert found
        server = S3Server(found[0])
        yield server
        server.client.close()
    finally:
        process.stop()
