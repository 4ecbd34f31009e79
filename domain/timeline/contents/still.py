"""What pictures of files have in common."""

from domain.media import MediaFacts

TURNS = {0: [], 90: ["transpose=clock"], 180: ["hflip", "vflip"], 270: ["transpose=cclock"]}


def turned(facts: MediaFacts) -> list[str]:
    """The filters that put a stored picture upright."""
    return TURNS[facts.rotation]


def size_of(facts: MediaFacts) -> tuple[int, int]:
    """Its sides, upright and with square pixels."""
    if facts.width is None or facts.height is None:
        raise ValueError("a picture without a size cannot be placed")
    return facts.width, facts.height


def in_matrix(facts: MediaFacts) -> str | None:
    """What an untagged file means, by old custom: BT.709 from HD on, BT.601 below. None where the file says it."""
    if facts.color_matrix is not None:
        return None
    return "bt709" if min(size_of(facts)) >= 720 else "bt601"  # noqa: PLR2004 - the shorter side of HD
