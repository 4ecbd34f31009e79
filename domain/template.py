"""Templates: a timeline with variables, rendered with values for them, once or for many rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from domain.refusals import Problem, TimelineInvalid
from domain.timeline import Timeline, VariableKind
from domain.timeline.edit import Clip
from domain.timeline.value import parts
from domain.timeline.variable import filled, places, value_problems, with_defaults

MOST_ROWS = 500
MOST_CLIPS = 25_000
"""Of all rows of a batch together, each with those of its timeline: they are looked at before anything is kept."""
MOST_PROBLEMS = 1_000
"""Of a batch: a template with a mistake has it in each row."""
MOST_BYTES = 64 * 2**20
"""Of a batch: each row is kept as a timeline of its own."""
LONGEST_NAME = 80

Values = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is put into a template, and what the file is called that comes of it."""

    values: Values = field(default_factory=dict[str, str])
    name: str | None = None
    """Without its extension; None for one that follows from the project's name and the row's number."""


def resolved(timeline: Timeline, values: Values) -> Timeline:
    """The timeline with values for all of its variables, which it then has no longer. Refuses what cannot be put in."""
    if found := list(_problems(timeline, values)):
        raise TimelineInvalid(problems=found)
    usual = {each.name: each.default for each in timeline.variables if each.default is not None}
    return replace(filled(timeline, usual | dict(values)), variables=())


def shown_with(timeline: Timeline, values: Values) -> Timeline:
    """The timeline for a look at it: what is left open is shown as it is by default, or a text as its {{name}}."""
    variables = tuple(each for each in timeline.variables if each.name in values)
    if found := list(_problems(replace(timeline, variables=variables), values)):
        raise TimelineInvalid(problems=found)
    return with_defaults(filled(timeline, values))


def _problems(timeline: Timeline, values: Values) -> Iterator[Problem]:
    yield from value_problems(timeline.variables, values)
    for name, value in values.items():
        if places(value):
            yield Problem(f"values.{name}", "it must not hold a {{variable}} itself")


def assets_of(timeline: Timeline, *all_values: Values) -> frozenset[str]:
    """The assets that a template may need with any of these values, among them those that it has by default."""
    named = {each.name for each in timeline.variables if each.kind is VariableKind.ASSET}
    given = {value for values in all_values for name, value in values.items() if name in named}
    return timeline.asset_ids | given


def row_names(project_name: str, rows: Sequence[Row]) -> list[str]:
    """What the files of a batch are called, without extension."""
    digits = len(str(len(rows)))
    usual = file_name(project_name)
    return [f"{usual} {number:0{digits}}" if row.name is None else row.name for number, row in enumerate(rows, start=1)]


def file_name(text: str) -> str:
    """A name as a file may have it, without its extension."""
    return text.replace("/", "-")[:LONGEST_NAME]


def batch_problems(project_name: str, timeline: Timeline, rows: Sequence[Row]) -> Iterator[Problem]:
    """What is wrong with a batch before any row is looked at closely: too many rows, or names that will not do."""
    if not 1 <= len(rows) <= MOST_ROWS:
        yield Problem("rows", f"there must be 1 to {MOST_ROWS} rows, not {len(rows)}")
        return
    clips = sum(isinstance(part, Clip) for part in parts(timeline))
    if clips * len(rows) > MOST_CLIPS:
        most = MOST_CLIPS // clips
        yield Problem("rows", f"{len(rows)} rows of {clips} clips each are too many at once: {most} may be")
        return
    size = len(json.dumps(timeline.to_json(), ensure_ascii=False).encode())
    if size * len(rows) > MOST_BYTES:
        most = MOST_BYTES // size
        message = f"{len(rows)} rows of a timeline of {size} bytes are too many at once: {most} may be"
        yield Problem("rows", message)
        return
    first: dict[str, int] = {}
    for number, (row, name) in enumerate(zip(rows, row_names(project_name, rows), strict=True)):
        if row.name is not None and not (
            name.strip() and len(name) <= LONGEST_NAME and name.isprintable() and "/" not in name
        ):
            yield Problem(
                f"rows.{number}.name", f"it must have 1 to {LONGEST_NAME} printable characters, and none of them a /"
            )
        elif (same := first.setdefault(name, number)) != number:
            yield Problem(f"rows.{same if row.name is None else number}.name", f"two rows would be called {name!r}")
