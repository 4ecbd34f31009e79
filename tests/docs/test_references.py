"""What the documentation points at is there: links, `make` targets, commands, settings."""

import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from persistence.settings import Settings
from tests.docs.pages import PAGES, ROOT, name, page, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")
EVERY_PAGE = pytest.mark.parametrize("path", [name(each) for each in PAGES])


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(name(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EVERY_PAGE
def test_every_relative_link_leads_somewhere(path: str) -> None:
    targets = [target for target in LINK.findall(prose(path)) if not target.startswith("http")]
    missing = []
    for target in targets:
        file, _, anchor = target.partition("#")
        leads_to = ((ROOT / path).parent / file).resolve() if file else ROOT / path
        if not leads_to.is_relative_to(ROOT) or not leads_to.exists() or (anchor and anchor not in anchors(leads_to)):
            missing.append(target)
    assert missing == []


@EVERY_PAGE
def test_every_make_target_exists(path: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^ *)make ([a-z-]+)", page(path), re.MULTILINE))
    assert named - targets == set()


def test_every_target_that_the_pages_should_name_is_named() -> None:
    named = {target for each in PAGES for target in re.findall(r"make ([a-z]+)", each.read_text())}
    assert {"demo", "test", "up", "check", "help", "schema", "format", "lock"} <= named


@EVERY_PAGE
def test_every_command_exists(path: str) -> None:
    commands = set(re.findall(r"(?:`|^|bin/)reelgraph ([a-z]+)", page(path), re.MULTILINE))
    for command in commands:
        subprocess.run(
            [sys.executable, "-m", "reelgraph", command, "--help"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True
        )


def documented() -> dict[str, str]:
    """Each setting that has a row, with what stands for its default."""
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|([^|]*)\|", page("docs/configuration.md"), re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return {setting: default.strip(" `") for setting, default in rows}


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    assert set(documented()) == {each.name.upper() for each in fields(Settings)}


def test_the_documented_defaults_are_the_real_ones() -> None:
    told = documented()
    for each in fields(Settings):
        raw = told[each.name.upper()]
        if each.default in (MISSING, None, ()):
            assert raw == "", each.name
        else:
            read = each.metadata["read"]
            assert read(each.name, raw) == read(each.name, str(each.default)), each.name


def test_other_variables_on_the_pages_are_settings_or_known() -> None:
    known = {each.name.upper() for each in fields(Settings)} | {"REELGRAPH_HOME"}
    for each in (name(each) for each in PAGES):
        named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", prose(each)))
        codes = {word for word in named if word not in known}
        source = "".join(
            path.read_text() for top in ("domain", "graph", "tasks") for path in (ROOT / top).rglob("*.py")
        )
        unknown = {word for word in codes if f'"{word}"' not in source and _refusal(word) not in source}
        assert unknown == set(), each


def _refusal(code: str) -> str:
    return f"class {code.title().replace('_', '')}("


def test_every_decision_is_listed_and_has_its_four_parts() -> None:
    decisions = sorted(name(each) for each in ROOT.glob("docs/decisions/[0-9]*.md"))
    listed = re.findall(r"\((\d{4}-[a-z0-9-]+\.md)\)", page("docs/decisions/README.md"))
    assert [f"docs/decisions/{each}" for each in listed] == decisions
    for decision in decisions:
        headings = re.findall(r"^#+ (.+)$", page(decision), re.MULTILINE)
        assert headings[0].startswith(f"{Path(decision).name[:4]}: ")
        assert headings[1:] == ["Context", "Decision", "What it costs", "Alternatives"]
