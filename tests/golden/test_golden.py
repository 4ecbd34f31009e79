"""Everything that an edit can show looks as it did when somebody looked at it."""

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from domain.timeline import Content, Effect, TransitionKind, length
from tests.golden.examples import CONTENTS, EFFECTS, EXAMPLES, SHEET, TRANSITIONS
from tests.golden.pictures import FOLDER, difference, drawn, is_alike, path_of, read
from tests.golden.studio import Studio, built


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return built(tmp_path_factory.mktemp("golden") / "studio")


def test_every_content_effect_and_transition_has_an_example() -> None:
    seen = {name for name, content in Content.kinds.items() if content.is_seen}
    assert {name.split("-")[0] for name in CONTENTS} == seen
    assert set(Effect.kinds) <= {name.split("-")[0] for name in EFFECTS}
    assert {kind.value for kind in TransitionKind} <= set(TRANSITIONS)
    assert {path.stem for path in FOLDER.glob("*.png")} == set(EXAMPLES), "write them: python -m tests.golden"
    assert set(SHEET) <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_looks_as_it_did(studio: Studio, name: str) -> None:
    golden, now = read(path_of(name)), drawn(studio, name)
    assert is_alike(golden, now), f"it differs by (mean, share far off) {difference(golden, now)}"


def test_no_golden_picture_would_pass_for_another() -> None:
    by_look = defaultdict[bytes, list[str]](list)
    for name in EXAMPLES:
        by_look[read(path_of(name))].append(name)
    assert [names for names in by_look.values() if len(names) > 1] == []
    looks = list(by_look.items())
    alike = [
        (one, other)
        for index, (look, (one,)) in enumerate(looks)
        for there, (other,) in looks[index + 1 :]
        if sum(look[::97]) - sum(there[::97]) in range(-900, 900) and is_alike(look, there)  # most are seen to differ
    ]
    assert alike == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_makes_no_difference_where_a_stretch_begins(studio: Studio, name: str) -> None:
    edit = EXAMPLES[name].edit
    frames = length(edit, studio.facts)
    whole = studio.frames(edit, 0, frames)
    edges = [0, frames // 3, frames // 2, frames // 2 + 1, frames]
    joined = [each for first, end in pairwise(edges) for each in studio.frames(edit, first, end - first)]
    assert [number for number in range(frames) if joined[number] != whole[number]] == [], f"cut at {edges}"


def test_the_contact_sheet_is_there() -> None:
    sheet = Path(__file__).parents[2] / "docs/timeline.png"
    assert sheet.stat().st_size < 600_000
