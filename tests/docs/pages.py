"""The documentation as its readers have it: pages of Markdown, and the fenced blocks in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def name(page: Path) -> str:
    """A page as it is called in the repository."""
    return page.relative_to(ROOT).as_posix()


def page(path: str) -> str:
    return (ROOT / path).read_text()


def blocks(path: str, language: str) -> list[str]:
    """The fenced blocks of a language on a page, in order."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", page(path), re.MULTILINE | re.DOTALL)


def prose(path: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", page(path), flags=re.MULTILINE | re.DOTALL)
