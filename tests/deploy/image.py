"""The Dockerfile, instruction by instruction. There may be no Docker where the tests run."""

import json
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """Each instruction and what it is given, in order, lines joined and comments left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def final() -> dict[str, list[str]]:
    """The instructions of the last stage."""
    found: dict[str, list[str]] = {}
    for name, rest in instructions():
        if name == "FROM":
            found = {}
        found.setdefault(name, []).append(rest)
    return found


def environment() -> dict[str, str]:
    """What the image sets for every process."""
    return dict(pair.split("=", 1) for line in final()["ENV"] for pair in shlex.split(line))


def command(name: str) -> list[str]:
    """ENTRYPOINT, CMD or HEALTHCHECK, as a list."""
    (line,) = final()[name]
    return json.loads(line[line.index("[") :])
