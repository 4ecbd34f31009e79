"""Where a timeline is cut: everywhere once, never too short, and alike wherever nothing changed."""

import random
import zlib
from fractions import Fraction

import pytest

from domain.render.spans import LONGEST, SHORTEST, cuts, stretches

RATES = [Fraction(24_000, 1001), Fraction(25), Fraction(30_000, 1001), Fraction(60)]


def _shots(seed: int, count: int, rate: Fraction) -> list[tuple[int, int]]:
    """Lengths of shots, and what each is known by."""
    drawn = random.Random(seed)
    lengths = [max(1, round(drawn.expovariate(1 / 5) * rate)) for _ in range(count)]
    return [(length, zlib.crc32(f"{seed} {number}".encode())) for number, length in enumerate(lengths)]


def _marks(shots: list[tuple[int, int]]) -> tuple[dict[int, int], int]:
    at, marks = 0, dict[int, int]()
    for length, identity in shots:
        marks[at] = identity
        at += length
    return marks, at


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("seed", range(30))
def test_spans_tile_the_timeline_and_are_neither_too_short_nor_too_long(seed: int, rate: Fraction) -> None:
    marks, length = _marks(_shots(seed, 1 + seed * 3, rate))
    spans = cuts(marks, length, rate)
    assert [first for first, _ in spans] == [0, *(first + count for first, count in spans)][:-1]
    assert sum(count for _, count in spans) == length
    shortest, longest = round(SHORTEST * rate), round(LONGEST * rate)
    assert all(count <= longest for _, count in spans)
    assert all(count >= shortest for _, count in spans[:-1]) or length <= longest
    assert spans[-1][1] >= min(shortest, length)


def test_a_shot_alone_is_divided_from_its_beginning_so_that_its_end_may_move() -> None:
    before, after = cuts({0: 1}, 2500, Fraction(25)), cuts({0: 1}, 2700, Fraction(25))
    assert before[:-2] == after[: len(before) - 2]


@pytest.mark.parametrize("seed", range(20))
def test_an_edit_moves_the_cuts_nearby_only(seed: int) -> None:
    """A shot is taken out, or put in, near the beginning: a minute on at the latest, the same shots are cut alike."""
    rate = Fraction(25)
    shots = _shots(seed, 200, rate)
    changed = [*shots[:3], (round(7.3 * rate), 77), *shots[3:]] if seed % 2 else [*shots[:3], *shots[4:]]
    marks, length = _marks(shots)
    others, other_length = _marks(changed)
    moved = other_length - length
    edges = {first for first, _ in cuts(marks, length, rate)}
    other_edges = {first - moved for first, _ in cuts(others, other_length, rate)}
    settled = sum(each for each, _ in shots[:5]) + 60 * rate
    assert {each for each in edges if each > settled} == {each for each in other_edges if each > settled}


def test_stretches_are_worth_a_job_each_and_take_every_piece_once_in_order() -> None:
    pieces = [(f"{number}", 4.0) for number in range(10)]
    found = list(stretches(pieces, 15.0, 50))
    assert found == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]
    assert [len(each) for each in stretches(pieces, 1000.0, 3)] == [3, 3, 3, 1]
