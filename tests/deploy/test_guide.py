"""docs/deploy.md can be followed word for word: its commands, its files, its names."""

import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy import compose, image
from tests.docs.pages import blocks

GUIDE = "docs/deploy.md"
SERVICES = compose.services()


def docker_compose() -> list[list[str]]:
    """Every `docker compose` line, as words."""
    text = re.sub(r"\\\n\s*", "", "".join(blocks(GUIDE, "sh")))
    lines = re.findall(r"^docker compose .*?(?=\n\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[2:] for line in lines]


def test_the_secrets_are_made_as_told(tmp_path: Path) -> None:
    subprocess.run(["/bin/sh", "-ec", blocks(GUIDE, "sh")[0]], cwd=tmp_path, check=True)
    made = {each.name: each.read_text().strip() for each in (tmp_path / "secrets").iterdir()}
    assert made.keys() == yaml.safe_load(compose.FILE.read_text())["secrets"].keys()
    drawn = {name: value for name, value in made.items() if not name.endswith("_url")}
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in drawn.values())
    assert len(set(drawn.values())) == len(drawn)
    postgres = SERVICES["postgres"].environment
    where = f"postgres:5432/{postgres['POSTGRES_DB']}"
    assert made["database_url"] == f"postgresql://{postgres['POSTGRES_USER']}:{made['postgres_password']}@{where}"
    assert made["redis_url"] == f"redis://:{made['redis_password']}@redis:6379/0"


def test_the_secrets_are_open_to_the_users_of_the_containers_and_to_nobody_else_here(tmp_path: Path) -> None:
    subprocess.run(["/bin/sh", "-ec", f"umask 077\n{blocks(GUIDE, 'sh')[0]}"], cwd=tmp_path, check=True)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "secrets").iterdir()} == {0o644}


def test_every_service_of_the_guide_exists_and_every_service_is_told_of() -> None:
    table = re.findall(r"^\| (`.+?`) \|", (compose.ROOT / GUIDE).read_text(), re.MULTILINE)
    assert set(re.findall(r"`([\w-]+)`", " ".join(table))) == set(SERVICES)
    for words in docker_compose():
        verb, *rest = words
        assert verb in {"build", "up", "stop", "ps", "exec", "run"}
        named = [each for each in rest if not each.startswith("-")]
        if verb in {"up", "stop", "exec", "run"}:
            assert set(named if verb in {"up", "stop"} else named[:1]) <= set(SERVICES), words


def test_every_command_that_the_guide_runs_in_a_container_exists() -> None:
    run = [words for words in docker_compose() if words[0] in {"exec", "run"}]
    services = {each for each in SERVICES if SERVICES[each].is_ours}
    places = [next(place for place, word in enumerate(words) if word in SERVICES) for words in run]
    ours = [words[at + 1 :] for words, at in zip(run, places, strict=True) if words[at] in services]
    assert ours == [
        ["reelgraph", "admin", "create", "you@example.org"],  # exec: the whole command
        ["reelgraph", "doctor"],
        ["storage", "cors", "--set", "--check"],  # run: what follows the image's own
    ]
    for command in ours:
        words = [each for each in command if each not in {"reelgraph", "you@example.org"}]
        ran = subprocess.run([sys.executable, "-m", "reelgraph", *words, "--help"], capture_output=True, check=False)
        assert ran.returncode == 0, words


def test_what_the_guide_writes_into_the_settings_is_known_there() -> None:
    known = compose.variables().keys() | {"COMPOSE_PROFILES"}
    for block in blocks(GUIDE, "sh"):
        if all(re.fullmatch(r"[A-Z_0-9]+=.*", line) for line in block.splitlines()):
            assert compose.read_env(block).keys() <= known


def test_the_backup_names_the_volume_of_the_files() -> None:
    project = compose.read_env(compose.EXAMPLE.read_text())["COMPOSE_PROJECT_NAME"]
    (kept,) = [each for each in SERVICES["store"].definition["volumes"] if each.endswith(":/data")]
    volume = f"{project}_{kept.partition(':')[0]}"
    assert re.findall(r"--volume (\w+):/data", (compose.ROOT / GUIDE).read_text()) == [volume, volume]


def test_the_pages_ports_are_those_that_are_published() -> None:
    published = {each.split(":")[1] for service in SERVICES.values() for each in service.definition.get("ports", [])}
    for language in ("caddyfile", "nginx"):
        (block,) = blocks(GUIDE, language)
        assert set(re.findall(r"127\.0\.0\.1:(\d+)", block)) == published
    assert image.command("CMD") == SERVICES["api"].definition["command"]


@pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed")
def test_caddy_takes_its_file(tmp_path: Path) -> None:
    (tmp_path / "Caddyfile").write_text(blocks(GUIDE, "caddyfile")[0])
    check = ["caddy", "adapt", "--config", str(tmp_path / "Caddyfile"), "--validate"]
    ran = subprocess.run(check, env={"HOME": str(tmp_path)}, text=True, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(not shutil.which("nginx", path="/usr/sbin:/usr/bin"), reason="nginx is not installed")
def test_nginx_takes_its_file(tmp_path: Path) -> None:
    key, certificate = tmp_path / "reelgraph.key", tmp_path / "reelgraph.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=reelgraph.example.org"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], capture_output=True, check=True)
    servers = blocks(GUIDE, "nginx")[0].replace("/etc/ssl/", f"{tmp_path}/")
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off;\n{servers}}}\n"
    )
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    check = [str(nginx), "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"]
    ran = subprocess.run(check, text=True, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
