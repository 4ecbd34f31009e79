"""How a part of an edit says what is wrong with it: every problem at once, each with the path of what must change."""

import re
from collections.abc import Mapping

from domain.media import MediaFacts, MediaKind
from domain.refusals import Problem
from domain.timeline.value import shown

Facts = Mapping[str, MediaFacts | None]
"""What is known of each asset that may be used: None while it is not ready, absent when there is no such asset."""

COLOR = re.compile(r"#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?")
NAMES = {
    MediaKind.VIDEO: "a video",
    MediaKind.IMAGE: "an image",
    MediaKind.AUDIO: "a sound",
    MediaKind.CAPTIONS: "captions",
    MediaKind.LUT: "a table of colours",
    MediaKind.FONT: "a font",
}


class Check:
    """Collects problems. `at` goes a step down the path; all steps share one list."""

    def __init__(
        self,
        facts: Facts,
        path: str = "",
        found: list[Problem] | None = None,
        unfilled: frozenset[str] = frozenset(),
    ) -> None:
        """Begin at a path with what is known of the assets, and with the variables that stand for unknown ones."""
        self.facts = facts
        self.path = path
        self.found: list[Problem] = [] if found is None else found
        self.unfilled = unfilled

    def at(self, *names: str | int) -> "Check":
        """The same for a part that lies below, by the names of fields and the numbers of entries."""
        steps = [str(name) if isinstance(name, int) else shown(name) for name in names]
        return Check(self.facts, ".".join(filter(None, [self.path, *steps])), self.found, self.unfilled)

    def wrong(self, message: str) -> None:
        """What lies here is wrong."""
        self.found.append(Problem(self.path, message))

    def between(self, name: str, value: float, least: float, most: float, unit: str = "") -> bool:
        """Say so unless a number lies within its bounds (which NaN never does)."""
        if least <= value <= most:
            return True
        self.at(name).wrong(f"it must be {least:g} to {most:g}{unit}, not {value:g}")
        return False

    def at_least(self, name: str, value: int, least: int) -> None:
        """Say so if a number is too small."""
        if value < least:
            self.at(name).wrong(f"it must be at least {least}, not {value}")

    def color(self, name: str, value: str, *, alpha: bool = False) -> None:
        """Say so unless it is a colour; with alpha, #rrggbbaa is one too."""
        if not COLOR.fullmatch(value) or (len(value) > len("#rrggbb") and not alpha):
            self.at(name).wrong(f"it must be a colour like #1a2b3c, not {value!r}")

    def asset(
        self, asset_id: str, *kinds: MediaKind, sound: bool = False, field: str = "asset_id"
    ) -> MediaFacts | None:
        """What is known of the asset in a field; None, and a problem, if it is not of use here."""
        here, name = self.at(field), f"asset {asset_id!r}"
        if self.unfilled and any(f"{{{{{each}}}}}" in asset_id.replace(" ", "") for each in self.unfilled):
            return None
        if asset_id not in self.facts:
            here.wrong(f"there is no {name} in this project")
            return None
        known = self.facts[asset_id]
        if known is None:
            here.wrong(f"{name} is not ready")
        elif sound and not known.has_sound:
            here.wrong(f"{name} is {NAMES[known.kind]} without sound")
        elif kinds and known.kind not in kinds:
            here.wrong(f"{name} is {NAMES[known.kind]}, not {NAMES[kinds[0]]}")
        else:
            return known
        return None
