"""compose.yaml as Docker Compose reads it: as much of its language as we use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "compose.yaml"
EXAMPLE = ROOT / ".env.example"
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<if_empty>:?)-(?P<default>[^}]*))?\})")


@dataclass(frozen=True)
class Service:
    """One service, its variables filled in."""

    name: str
    definition: Mapping[str, Any]

    @property
    def is_ours(self) -> bool:
        """Whether it runs from our image."""
        return "build" in self.definition

    @property
    def environment(self) -> dict[str, str]:
        """As the process sees it."""
        return {name: str(value) for name, value in self.definition.get("environment", {}).items()}

    @property
    def waits_for(self) -> dict[str, str]:
        """What must have come how far before it starts."""
        return {name: each["condition"] for name, each in self.definition.get("depends_on", {}).items()}

    @property
    def grace(self) -> float:
        """Seconds that it may take to stop."""
        return float(self.definition.get("stop_grace_period", "10s").removesuffix("s"))


def services(environment: Mapping[str, str] | None = None) -> dict[str, Service]:
    """All services, with the variables of this environment."""
    definitions = _filled(yaml.safe_load(FILE.read_text())["services"], environment or {})
    return {name: Service(name, definition) for name, definition in definitions.items()}


def variables() -> dict[str, str]:
    """Each variable of the file, with its default."""
    found = [(each["name"], each["default"]) for each in VARIABLE.finditer(FILE.read_text()) if each["name"]]
    assert len(set(found)) == len(dict(found)), "a variable has one default everywhere"
    return dict(found)


def read_env(text: str) -> dict[str, str]:
    """What a .env file sets."""
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {key: _filled(each, environment) for key, each in value.items()}
        case list():
            return [_filled(each, environment) for each in value]
        case str():
            return VARIABLE.sub(lambda found: _value(found, environment), value)
        case _:
            return value


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    if found["dollar"]:
        return "$"
    value = environment.get(found["name"])
    if value is None or (value == "" and found["if_empty"]):
        return found["default"] or ""
    return value
