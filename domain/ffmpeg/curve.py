"""Values that change over time, as FFmpeg's expressions of the number of a frame."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.entity import Worded


class Easing(Worded):
    """How a value goes from one key frame to the next."""

    LINEAR = "LINEAR", "Evenly."
    HOLD = "HOLD", "It stays, and jumps at the next."
    EASE_IN = "EASE_IN", "Slowly at first (a cubic curve)."
    EASE_OUT = "EASE_OUT", "Slowly at last (a cubic curve)."
    EASE_IN_OUT = "EASE_IN_OUT", "Slowly at both ends (a cubic curve)."
    BACK = "BACK", "Beyond the next one, and back to it."


_BACK = 1.70158
"""By how much BACK overshoots: a tenth of the way, as Robert Penner chose it in 2001."""

_FORMULAS = {
    Easing.LINEAR: "{p}",
    Easing.HOLD: "0",
    Easing.EASE_IN: "pow({p},3)",
    Easing.EASE_OUT: "(1-pow(1-{p},3))",
    Easing.EASE_IN_OUT: "if(lt({p},0.5),4*pow({p},3),1-pow(2-2*{p},3)/2)",
    Easing.BACK: f"(1+{_BACK + 1}*pow({{p}}-1,3)+{_BACK}*pow({{p}}-1,2))",
}


def _eased(easing: Easing, p: float) -> float:
    match easing:
        case Easing.LINEAR:
            return p
        case Easing.HOLD:
            return 0.0
        case Easing.EASE_IN:
            return p**3
        case Easing.EASE_OUT:
            return 1 - (1 - p) ** 3
        case Easing.EASE_IN_OUT:
            return 4 * p**3 if p < 0.5 else 1 - (2 - 2 * p) ** 3 / 2  # noqa: PLR2004 - the middle
        case Easing.BACK:
            return 1 + (_BACK + 1) * (p - 1) ** 3 + _BACK * (p - 1) ** 2


@dataclass(frozen=True)
class Key:
    """A value at a frame, and how it goes on from there."""

    frame: int
    value: float
    easing: Easing = Easing.LINEAR


@dataclass(frozen=True)
class Curve:
    """A value for each frame: that of the first key before it, of the last after it, eased between them."""

    keys: tuple[Key, ...]
    moves: bool
    """Whether it ever changes. A part of one that does is treated as one too, even where it stays: filters that can
    change something may round it otherwise than those that cannot."""

    @classmethod
    def of(cls, constant: float, keys: Sequence[Key] = ()) -> "Curve":
        """What the keys say; the constant where there are none."""
        return cls(tuple(keys) or (Key(0, constant),), moves=len({key.value for key in keys}) > 1)

    def at(self, frame: float) -> float:
        """The value at a frame."""
        before = [key for key in self.keys if key.frame <= frame]
        if not before:
            return self.keys[0].value
        here, after = before[-1], self.keys[len(before) : len(before) + 1]
        if not after:
            return here.value
        part = (frame - here.frame) / (after[0].frame - here.frame)
        return here.value + (after[0].value - here.value) * _eased(here.easing, part)

    def scaled(self, factor: float, plus: float = 0.0) -> "Curve":
        """The same curve times a factor, plus something."""
        keys = tuple(Key(key.frame, key.value * factor + plus, key.easing) for key in self.keys)
        return Curve(keys, self.moves)

    def within(self, first: int, count: int) -> "Curve":
        """What of it matters for these frames, counted from the first of them on: equal where its values are."""
        end = first + count
        start = max((index for index, key in enumerate(self.keys) if key.frame <= first), default=0)
        stop = next((index for index, key in enumerate(self.keys) if key.frame >= end - 1), len(self.keys) - 1)
        keys = tuple(Key(key.frame - first, key.value, key.easing) for key in self.keys[start : stop + 1])
        return Curve(keys, self.moves)

    def expression(self, n: str) -> str:
        """The value as an expression, where `n` says the number of the frame. A sum, so that no nesting grows."""
        first, last = self.keys[0], self.keys[-1]
        if len({key.value for key in self.keys}) == 1:
            return _said(first.value)
        terms = [f"lt({n},{first.frame})*{_said(first.value)}"] if first.frame > 0 else []
        for here, after in zip(self.keys, self.keys[1:], strict=False):
            part = f"(({n}-{_whole(here.frame)})/{after.frame - here.frame})"
            way = _FORMULAS[here.easing].format(p=part)
            value = f"({_said(here.value)}+({_said(after.value - here.value)})*{way})"
            if here.easing is Easing.HOLD or here.value == after.value:
                value = _said(here.value)
            terms.append(f"gte({n},{here.frame})*lt({n},{after.frame})*{value}")
        terms.append(f"gte({n},{last.frame})*{_said(last.value)}")
        return "+".join(terms)


def _said(value: float) -> str:
    """A number for FFmpeg, which reads no exponents everywhere; in brackets where a sign could be misread."""
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return f"({text})" if text.startswith("-") else text or "0"


def _whole(frame: int) -> str:
    return f"({frame})" if frame < 0 else str(frame)
