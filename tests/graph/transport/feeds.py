"""Small real feeds: a number that goes up, and a log of numbers."""

import asyncio
from dataclasses import dataclass

from graph.transport.live import LogFeed, StateFeed


@dataclass
class Value:
    number: int
    last: bool = False


class Counter(StateFeed[Value]):
    """A number that goes up, and those who watch it."""

    def __init__(self) -> None:
        self.value = Value(0)
        self.watchers = []
        self.held = []

    def set(self, number: int, *, last: bool = False) -> None:
        self.offer(Value(number, last))

    def offer(self, value: Value | None) -> None:
        self.value = value or self.value
        for offer in tuple(self.watchers):
            offer(value)

    def watch(self, offer):
        self.watchers.append(offer)
        return lambda: offer in self.watchers and self.watchers.remove(offer)

    def hold(self, lost):
        self.held.append(lost)
        return lambda: lost in self.held and self.held.remove(lost)

    def is_newer(self, value: Value, than: Value) -> bool:
        return value.number > than.number or value.last

    def is_last(self, value: Value) -> bool:
        return value.last

    def gone(self, value: Value) -> Value:
        return Value(value.number, last=True)


class Diary(LogFeed[int]):
    """Numbers from 1 on, three at a time; places of those read."""

    def __init__(self) -> None:
        self.entries = 0
        self.gone = False
        self.bells = []
        self.held = []
        self.reads = []

    def add(self, count: int = 1) -> None:
        self.entries += count
        self.ring()

    def ring(self) -> None:
        for bell in tuple(self.bells):
            bell()

    def watch(self, bell):
        self.bells.append(bell)
        return lambda: bell in self.bells and self.bells.remove(bell)

    def hold(self, lost):
        self.held.append(lost)
        return lambda: lost in self.held and self.held.remove(lost)

    async def read(self, after: int):
        self.reads.append(after)
        await asyncio.sleep(0)
        return None if self.gone else list(range(after + 1, min(after + 3, self.entries) + 1))

    def place(self, entry: int) -> int:
        return entry
