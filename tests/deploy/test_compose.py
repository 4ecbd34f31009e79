"""compose.yaml, .env.example and the settings agree."""

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from domain.kinds import Pool
from persistence.settings import Settings
from tests.deploy import compose, image
from tests.deploy.compose import EXAMPLE, FILE

SERVICES = compose.services()
OURS = {name: each for name, each in SERVICES.items() if each.is_ours}
EVERY_SERVICE = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
ONE_SHOTS = {"migrate", "store-setup"}
NO_SETTINGS = {"FORWARDED_ALLOW_IPS"}
"""Read by uvicorn."""


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
def test_docker_compose_reads_the_file_as_these_tests_do(tmp_path: Path) -> None:
    for each in (FILE, EXAMPLE, FILE.with_name("Dockerfile")):
        shutil.copy(each, tmp_path)
    settings = EXAMPLE.read_text() + "PUBLIC_URL=https://a.example\nS3_ENDPOINT_URL=\nRENDER_WORKERS=3\n"
    (tmp_path / ".env").write_text(settings)
    ran = subprocess.run(["docker-compose", "config"], cwd=tmp_path, text=True, capture_output=True, check=True)
    assert ran.stderr == ""
    theirs = yaml.safe_load(ran.stdout)["services"]
    ours = compose.services(compose.read_env(settings))
    assert theirs.keys() == ours.keys()
    for name, service in ours.items():
        told = {key: str(value) for key, value in theirs[name].get("environment", {}).items()}
        assert told == service.environment
        # It writes $$ for $, so that it can read again what it has written.
        commands = [theirs[name].get(key) for key in ("entrypoint", "command")]
        plain = [each and [word.replace("$$", "$") for word in each] for each in commands]
        assert plain == [service.definition.get(key) for key in ("entrypoint", "command")]
        assert theirs[name].get("depends_on", {}) == service.definition.get("depends_on", {})
    assert theirs["render"]["deploy"]["replicas"] == 3


@EVERY_SERVICE
def test_a_service_can_do_no_more_than_it_must(service: compose.Service) -> None:
    told = service.definition
    assert (told["read_only"], told["cap_drop"], told["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    assert told["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert told["restart"] == ("no" if service.name in ONE_SHOTS else "unless-stopped")
    assert "privileged" not in told


def test_only_the_api_and_the_store_are_published_and_only_on_this_machine() -> None:
    published = {name: each.definition.get("ports", []) for name, each in SERVICES.items()}
    assert {name: ports for name, ports in published.items() if ports} == {
        "api": ["127.0.0.1:8000:8000"],
        "store": ["127.0.0.1:7070:7070"],
    }


def test_the_servers_are_on_a_network_without_a_way_out() -> None:
    assert yaml.safe_load(FILE.read_text())["networks"]["back"] == {"internal": True}
    assert [name for name, each in SERVICES.items() if each.definition["networks"] == ["back"]] == ["postgres", "redis"]


def test_what_keeps_running_is_watched_or_heals_by_itself() -> None:
    unwatched = {name for name, each in SERVICES.items() if each.definition.get("healthcheck") == {"disable": True}}
    assert unwatched == ONE_SHOTS | {"render", "light"}
    assert {name for name, each in SERVICES.items() if "test" in each.definition.get("healthcheck", {})} == {
        *("postgres", "redis", "store"),
    }
    assert image.command("HEALTHCHECK")[0] == "python"  # the API's


def test_nobody_starts_before_what_it_needs() -> None:
    after_migration = {"migrate": "service_completed_successfully", "redis": "service_healthy"}
    assert {name: each.waits_for for name, each in SERVICES.items() if each.waits_for} == {
        "api": after_migration,
        "render": after_migration,
        "light": after_migration,
        "migrate": {"postgres": "service_healthy"},
        "store-setup": {"store": "service_healthy"},
    }


def test_every_pool_has_workers_of_its_own() -> None:
    slots = {
        name: {pool: int(each.environment[f"{pool.upper()}_SLOTS"]) for pool in Pool}
        for name, each in OURS.items()
        if each.definition["command"] == ["worker"]
    }
    assert slots == {
        "render": {Pool.RENDER: 1, Pool.SPEECH: 0, Pool.LIGHT: 0},
        "light": {Pool.RENDER: 0, Pool.SPEECH: 1, Pool.LIGHT: 4},
    }


@pytest.mark.parametrize("name", ["render", "light"])
def test_a_worker_has_time_to_hand_back_its_jobs(name: str) -> None:
    assert SERVICES[name].grace == float(SERVICES[name].environment["DRAIN_SECONDS"]) + 15


def test_our_services_are_told_nothing_but_settings() -> None:
    settings = {each.name.upper() for each in fields(Settings)}
    settings |= {f"{each.name.upper()}_FILE" for each in fields(Settings) if each.metadata["by_file"]}
    told = {name for each in OURS.values() for name in each.environment}
    assert told - settings == NO_SETTINGS


def test_every_secret_is_a_file_and_reaches_only_those_who_use_it() -> None:
    files = yaml.safe_load(FILE.read_text())["secrets"]
    assert files == {name: {"file": f"./secrets/{name}"} for name in files}
    for service in SERVICES.values():
        text = f"{service.definition.get('command', '')} {service.environment}"
        used = set(re.findall(r"/run/secrets/(\w+)", text))
        assert used == set(service.definition.get("secrets", [])), service.name
    assert {name for each in SERVICES.values() for name in each.definition.get("secrets", [])} == set(files)


def test_the_example_names_every_variable_with_its_default() -> None:
    told = dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))
    of_compose = {"COMPOSE_PROJECT_NAME": "reelgraph", "COMPOSE_PROFILES": "store"}
    assert told == compose.variables() | of_compose
