"""What a template leaves open, and filling it in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from domain.entity import Worded
from domain.refusals import Problem, TimelineInvalid
from domain.timeline.checks import COLOR, Check
from domain.timeline.value import Part, part, said

MOST_VARIABLES = 100
LONGEST_VALUE = 5_000
MOST_PLACES = 100
"""In one text."""
MOST_PUT_IN = 200_000
"""Characters, over all places of a timeline."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_PLACE = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_]{0,63})\s*\}\}")

T = TypeVar("T")


class VariableKind(Worded):
    """What may be put in for a variable."""

    TEXT = "TEXT", "Any text."
    COLOR = "COLOR", "A colour, as #rrggbb or #rrggbbaa."
    ASSET = "ASSET", "The id of an asset of the project."


@part
class Variable(Part):
    """What a template leaves open. `{{name}}` in texts, colours and asset ids stands for its value."""

    name: str = said("Letters, digits and underscores; begins with a letter.")
    kind: VariableKind = said("What may be put in.", default=VariableKind.TEXT)
    default: str | None = said("What holds if nothing is put in; null if something must be.", default=None)


def variable_problems(check: Check, variables: tuple[Variable, ...]) -> None:
    """Names are there once, and defaults are of their kind."""
    if len(variables) > MOST_VARIABLES:
        check.wrong(f"{len(variables)} variables are more than the {MOST_VARIABLES} allowed")
        return
    names = [variable.name for variable in variables]
    for index, variable in enumerate(variables):
        here = check.at(index)
        if not _NAME.fullmatch(variable.name):
            here.at("name").wrong("it must be letters, digits and underscores, and begin with a letter")
        elif names.index(variable.name) != index:
            here.at("name").wrong(f"there is a variable {variable.name!r} already")
        if variable.default is not None and (wrong := unfit(variable, variable.default)):
            here.at("default").wrong(wrong)


def unfit(variable: Variable, given: str) -> str | None:
    """Say why a value cannot be put in for a variable; None if it can."""
    if len(given) > LONGEST_VALUE:
        return f"{len(given)} characters are more than the {LONGEST_VALUE} allowed"
    if variable.kind is VariableKind.COLOR and not COLOR.fullmatch(given):
        return f"it must be a colour like #1a2b3c, not {given!r}"
    return None


def places(text: str) -> list[str]:
    """The names of the variables in a text."""
    return _PLACE.findall(text)


def filled(edit: T, values: Mapping[str, str]) -> T:
    """A part of an edit with these values for its variables; those that have none stay as they are.

    Refuses (TimelineInvalid) to put in more than `MOST_PUT_IN` characters: a few kilobytes of places and one long value
    would else become gigabytes.
    """
    return _Filling(values).of(edit)


class _Filling:
    """Values being put in for variables, all over one edit."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._room = MOST_PUT_IN

    def of(self, edit: T) -> T:
        """The same with the values."""
        if isinstance(edit, str):
            return cast("T", _PLACE.sub(self._put, edit))
        if isinstance(edit, tuple):
            return cast("T", tuple(self.of(each) for each in cast("tuple[Any, ...]", edit)))
        if isinstance(edit, Part) and is_dataclass(edit) and not isinstance(edit, Variable):
            changed: dict[str, Any] = {}
            for each in fields(edit):
                before = getattr(edit, each.name)
                after = before if isinstance(before, Worded) else self.of(before)
                if after is not before and after != before:
                    changed[each.name] = after
            return cast("T", replace(edit, **changed)) if changed else cast("T", edit)
        return edit

    def _put(self, found: re.Match[str]) -> str:
        value = self._values.get(found[1])
        if value is None:
            return found[0]
        self._room -= len(value)
        if self._room < 0:
            message = f"their values, at every place where they stand, are more than {MOST_PUT_IN} characters"
            raise TimelineInvalid(problems=[Problem("variables", message)])
        return value


def open_variables(variables: tuple[Variable, ...]) -> frozenset[str]:
    """The names of those that stand for assets and have no default: what hangs on them is not known yet."""
    return frozenset(each.name for each in variables if each.kind is VariableKind.ASSET and each.default is None)


def with_defaults(edit: T) -> T:
    """A template as it looks with its defaults; colours that are left open are black. Refuses as `filled` does."""
    variables: tuple[Variable, ...] = getattr(edit, "variables")  # noqa: B009 - of a timeline, which is not known here
    return filled(edit, usual_values(variables)) if variables else edit


def usual_values(variables: tuple[Variable, ...]) -> dict[str, str]:
    """What holds for each if nothing is put in; those that are missing stay open."""
    values = {each.name: each.default for each in variables if each.default is not None}
    return values | {
        each.name: "#000000" for each in variables if each.kind is VariableKind.COLOR and each.default is None
    }


def value_problems(variables: tuple[Variable, ...], values: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with the values that are given for variables."""
    known = {variable.name: variable for variable in variables}
    for name, given in values.items():
        if name not in known:
            yield Problem(f"values.{name}", "there is no such variable")
        elif wrong := unfit(known[name], given):
            yield Problem(f"values.{name}", wrong)
    for name, variable in known.items():
        if name not in values and variable.default is None:
            yield Problem(f"values.{name}", "it has no default: it must be given")
