"""One run of FFmpeg as a value, known by a key.

A render is a small content-addressed build, after the manner of Nix and Bazel: what a command needs is named by its
checksum or is itself a command, so that a key covers everything that shapes a result, all the way down. Equal keys
mean equal results, which therefore need to be made only once.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Original:
    """The file of an asset."""

    asset_id: str
    sha256: str

    @property
    def key(self) -> str:
        """The file's own checksum: the same bytes are the same input, whichever asset they belong to."""
        return self.sha256


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A file that comes with us, such as a font."""

    name: str
    sha256: str

    @property
    def key(self) -> str:
        """Its checksum."""
        return self.sha256


@dataclass(frozen=True, kw_only=True, eq=False)
class Command:
    """One run of FFmpeg: what it is told, what must lie in its folder before, and what then appears there."""

    argv: tuple[str, ...]
    """The arguments without the binary. They name files of the command's own folder only, by relative paths."""
    result: str
    """The name of the file that appears."""
    tool: str
    """Which FFmpeg makes it; another one may make other bytes."""
    inputs: Mapping[str, "Input"] = field(default_factory=dict[str, "Input"])
    """What must lie in the folder: name → what it is."""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Small text files to be written there: name → content."""
    frames: int = 0
    """How many frames of picture it makes, or goes through; 0 for sound."""
    is_exact: bool = False
    """Whether it must make exactly so many."""
    seconds: float = 0.0
    """How long what it makes lasts."""
    measure: "Measure | None" = None
    """A number in the arguments that is known only once an input has been made."""

    @cached_property
    def key(self) -> str:
        """What the result is known by: SHA-256 over all that shapes it, in hexadecimal digits."""
        shaped = {
            "argv": self.argv,
            "result": self.result,
            "tool": self.tool,
            "inputs": {name: each.key for name, each in sorted(self.inputs.items())},
            "files": {name: _digest(text) for name, text in sorted(self.files.items())},
            "measure": self.measure and [self.measure.input, self.measure.target],
        }
        return hashlib.sha256(json.dumps(shaped, separators=(",", ":")).encode()).hexdigest()

    def tree(self) -> Iterator["Command"]:
        """All that it is made from, in an order in which it can be made, itself last; each key once."""
        seen: set[str] = set()

        def walk(command: Command) -> Iterator[Command]:
            if command.key in seen:
                return
            seen.add(command.key)
            for each in command.inputs.values():
                if isinstance(each, Command):
                    yield from walk(each)
            yield command

        yield from walk(self)


@lru_cache(maxsize=256)
def _digest(text: str) -> str:
    """Of a table of colours in a thousand spans, say: megabytes, which are one and the same text."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number that is read from an input when the command is run, and put into its arguments for `{measured}`."""

    input: str
    """The name of the input to read."""
    target: float
    """What the number is to bring it to."""


Input: TypeAlias = Original | Shipped | Command
