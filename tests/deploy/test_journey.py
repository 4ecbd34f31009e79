"""What compose.yaml starts, started without Docker: its commands with its environment and its secrets, in its order.

Only what Docker would do is done here: the servers' names lead to servers on this machine, the container's folders are
folders of the test, and the API listens where its port would be published. That the processes may do less in a
container than here is not shown.
"""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from anyio import run_process
from redis.asyncio import Redis

from domain.user import User
from domain.viewer import Scope
from persistence.accounts import register_client
from persistence.database import Database
from persistence.settings import Settings
from reelgraph import embedded
from reelgraph.process import WORKING, Process
from tests import media, s3
from tests.deploy import compose, image
from tests.docs.pages import blocks
from tests.installation import tell_to_stop
from tests.journeys.acts import ASSET, ended, set_video, start_render, upload
from tests.story import project_of
from tests.wire import Caller, token_for

GUIDE = "docs/deploy.md"
INSIDE = "/var/lib/reelgraph"


class Deployment:
    """The services of an installation, each one a process."""

    def __init__(self, folder: Path, settings: Mapping[str, str], hosts: Mapping[str, str]) -> None:
        self.services = compose.services(settings)
        self.running: dict[str, Process] = {}
        self._folder = folder
        self._hosts = hosts
        for file in (folder / "secrets").iterdir():
            file.write_text(self._natively(file.read_text()))

    def environment(self, name: str) -> dict[str, str]:
        """What the image and the service say."""
        told = image.environment() | self.services[name].environment | {"PATH": os.environ["PATH"]}
        return {name: self._natively(value) for name, value in told.items()}

    def command(self, name: str, *instead: str) -> list[str]:
        """What the container would run."""
        assert image.command("ENTRYPOINT") == ["reelgraph"]
        words = list(instead or self.services[name].definition["command"])
        for published in self.services[name].definition.get("ports", []):
            address, port, inner = published.split(":")
            words = [{"0.0.0.0": address, inner: port}.get(word, word) for word in words]
        return [sys.executable, "-m", "reelgraph", *words]

    async def run(self, name: str, *instead: str) -> str:
        """Run it to its end, which must be a good one; return what it printed."""
        ran = await run_process(self.command(name, *instead), env=self.environment(name), cwd=self._folder, check=False)
        assert ran.returncode == 0, (ran.stdout + ran.stderr).decode()
        return ran.stdout.decode()

    async def start(self, name: str) -> None:
        """Start it, and wait until it works."""
        process = self.running[name] = Process(
            name=name,
            argv=self.command(name),
            log=self._folder / f"{name}.log",
            environment=self.environment(name),
            folder=self._folder,
            answers=self._is_healthy if name == "api" else lambda it: WORKING in it.said(),
        )
        process.start()
        await asyncio.to_thread(process.wait)

    def close(self) -> None:
        """Stop what a failed test left."""
        for process in self.running.values():
            process.stop()

    def _is_healthy(self, _: Process) -> bool:
        """Ask as the image does."""
        _, port, inner = self.services["api"].definition["ports"][0].split(":")
        _python, *words = image.command("HEALTHCHECK")
        check = [sys.executable, *(word.replace(inner, port) for word in words)]
        return subprocess.run(check, capture_output=True, check=False).returncode == 0

    def _natively(self, text: str) -> str:
        text = text.replace("/run/secrets", str(self._folder / "secrets")).replace(INSIDE, str(self._folder / "data"))
        for name, address in self._hosts.items():
            text = text.replace(name, address)
        return text


@pytest.fixture
async def deployment(tmp_path: Path, moto: s3.S3Server) -> AsyncGenerator[Deployment]:
    """Secrets and settings as the guide has them made, and servers that know the secrets."""
    await run_process(["/bin/sh", "-ec", blocks(GUIDE, "sh")[0]], cwd=tmp_path)
    secrets = {each.name: each.read_text().strip() for each in (tmp_path / "secrets").iterdir()}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    settings = {
        **compose.read_env(compose.EXAMPLE.read_text()),
        "API_PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "S3_PUBLIC_ENDPOINT_URL": moto.url,
        "ALLOWED_ORIGINS": "https://app.example.org",
    }
    with ExitStack() as stack:
        servers = stack.enter_context(embedded.running(tmp_path / "home", fsync=False))
        await _tell(servers, secrets)
        hosts = {
            "postgres:5432": _address(servers.database_url),
            "redis:6379": _address(servers.redis_url),
            "store:7070": _address(moto.url),
        }
        deployment = Deployment(tmp_path, settings, hosts)
        moto.client.create_bucket(Bucket=deployment.services["store"].environment["BUCKET"])
        stack.callback(moto.client.delete_bucket, Bucket=deployment.services["store"].environment["BUCKET"])
        stack.callback(_empty, moto, deployment.services["store"].environment["BUCKET"])
        stack.callback(deployment.close)
        yield deployment


async def _tell(servers: embedded.Servers, secrets: Mapping[str, str]) -> None:
    """Give the servers the passwords that their containers would read."""
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute(f"ALTER ROLE reelgraph PASSWORD '{secrets['postgres_password']}'")
    await connection.close()
    async with Redis.from_url(servers.redis_url) as redis:
        await redis.config_set("requirepass", secrets["redis_password"])


def _address(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _empty(moto: s3.S3Server, bucket: str) -> None:
    for each in moto.client.list_objects_v2(Bucket=bucket).get("Contents", []):
        moto.client.delete_object(Bucket=bucket, Key=each["Key"])


async def _somebody(environment: Mapping[str, str]) -> Caller:
    settings = Settings.read(environment)
    async with Database.opened(settings) as database, database.sessions.begin() as session:
        user = User(email="ada@example.org", name="Ada")
        session.add(user)
        await session.flush()
        client, secret = await register_client(session, name="A script", owner=user)
    token = await token_for(settings.public_url, client.id, secret)
    return Caller(settings.public_url, user, frozenset(Scope) - {Scope.ADMIN}, token)


async def test_an_installation_is_started_used_and_stopped_as_the_guide_says(
    deployment: Deployment, moto: s3.S3Server, tmp_path: Path
) -> None:
    await deployment.run("migrate")
    await deployment.run("migrate")  # as at every later start
    assert await deployment.run("store-setup") == (
        f"Set for https://app.example.org, {deployment.environment('api')['PUBLIC_URL']}.\n"
    )
    for name in ("api", "render", "light"):
        await deployment.start(name)
    password = await deployment.run("api", "admin", "create", "you@example.org")
    assert len(password.strip()) >= 16

    ada = await _somebody(deployment.environment("api"))
    project = await project_of(ada)
    clip = media.plain(tmp_path / "clip.mp4", "red", frames=10)
    source = await upload(ada, project, clip, "video/mp4")
    assert (await ada.ask(ASSET, id=source))["facts"] == {"frameCount": 10}
    await set_video(ada, project, source, frames=10, times=1)
    job = await ended(ada, await start_render(ada, project))
    assert (job["state"], job["error"]) == ("COMPLETED", None)
    made = await ada.ask(ASSET, id=job["asset"]["id"])
    bucket = deployment.services["store"].environment["BUCKET"]
    assert made["downloadUrl"].startswith(f"{moto.url}/{bucket}/")
    stored = [each["Key"] for each in moto.client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert len([key for key in stored if key.endswith("/original")]) == 2
    assert len([key for key in stored if "/pieces/" in key]) >= 1

    await _asked_what_waits(deployment)
    for process in deployment.running.values():
        tell_to_stop(process)
    for name, process in deployment.running.items():
        async with asyncio.timeout(deployment.services[name].grace):
            while process.ended is None:
                await asyncio.sleep(0.05)
        assert process.ended == 0, process.said()


async def _asked_what_waits(deployment: Deployment) -> None:
    (command,) = [block for block in blocks(GUIDE, "sh") if "psql" in block]
    (query,) = re.findall(r'"([^"]+)"', command)
    connection = await asyncpg.connect(Settings.read(deployment.environment("api")).database_url)
    assert await connection.fetch(query) == []
    await connection.execute(query.replace("SELECT pool", "EXPLAIN SELECT pool"))
    await connection.close()
