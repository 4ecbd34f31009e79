"""What a benchmark promises, one line each: `goal NAME: VALUE (wanted OP TARGET) ok|short`."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A number, and the most (or the least) it should be."""

    name: str
    value: float
    wanted: float
    at_least: bool = False
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the value, as it is printed, is good enough."""
        value = float(_digits(self.value))
        return value >= self.wanted if self.at_least else value <= self.wanted

    def __str__(self) -> str:
        operator = ">=" if self.at_least else "<="
        unit = f" {self.unit}" if self.unit else ""
        verdict = "ok" if self.is_met else "short"
        return f"goal {self.name}: {_digits(self.value)}{unit} (wanted {operator} {_digits(self.wanted)}) {verdict}"


def told(goals: Iterable[Goal]) -> int:
    """Print each goal; return the exit code of the command, 1 if any is short."""
    code = 0
    for goal in goals:
        print(goal, flush=True)
        code |= not goal.is_met
    return code


def _digits(number: float) -> str:
    """Three significant digits: more is noise."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"
