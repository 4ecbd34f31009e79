"""Playing faster or slower."""

from fractions import Fraction

from domain.timeline.checks import Check

SLOWEST, FASTEST = 0.1, 10.0


def speed_problems(check: Check, speed: float) -> None:
    """What is wrong with a speed."""
    if check.between("speed", speed, SLOWEST, FASTEST) and Fraction(str(speed)).denominator > 10_000:  # noqa: PLR2004
        check.at("speed").wrong(f"it must have at most four decimals, not {speed!r}")


def seen_frames(in_: int, out: int | None, speed: float) -> int | None:
    """How many frames a stretch of a source lasts at a speed: the nearest number, at least one."""
    if out is None:
        return None
    if speed == 1 or not SLOWEST <= speed <= FASTEST:
        return out - in_
    return max(1, int((out - in_) / Fraction(str(speed)) + Fraction(1, 2))) if out > in_ else out - in_
