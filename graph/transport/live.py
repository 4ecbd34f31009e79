"""Subscriptions that are told of many times, and are equal to others: those are executed and encoded once for all.

A resolver answers with a State (of which only the latest value counts, such as a job) or with a Log (of which every
entry counts, such as what happened in a project), once it has admitted whoever asks. Equal ones then share a group: it
reads, executes and encodes; its members only send. Which are equal is the engine's to say.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, Never, Protocol, TypeVar, cast

from graphql import GraphQLFormattedError

from graph.transport.errors import Rejected

T = TypeVar("T")

Stop = Callable[[], None]
"""Ends what was begun; calling it again does no harm."""
Answer = Callable[[T], str | Awaitable[str]]
"""Executes an operation for one value, and encodes its response. Raises Rejected only."""
Answers = Callable[[Sequence[T]], Awaitable[list[str]]]
"""As Answer, for some values together: what they look up is looked up together."""
Errors = list[GraphQLFormattedError]
Hold = Callable[[Callable[[Exception], None]], Stop]
"""Calls back, with what to tell the subscriber, when they lose the right to see what they watch."""


class Subscriber(Protocol):
    """Who is shown a state. Told on the event loop; it must not block."""

    def show(self, answer: str, /) -> None:
        """Here is the newest response; one that was not sent yet is outdated."""
        ...

    def end(self, errors: Errors | None, /) -> None:
        """Nothing follows what was shown: because that was the last state, or because of these errors."""
        ...


class StateFeed(ABC, Generic[T]):
    """Something of which only the latest value counts: a slow reader misses steps, but never the end."""

    @abstractmethod
    def watch(self, offer: Callable[[T | None], None], /) -> Stop:
        """Offer each value that is read from now on, None when there is none any more."""

    @abstractmethod
    def is_newer(self, value: T, than: T) -> bool:
        """Whether a value is to follow the other."""

    @abstractmethod
    def is_last(self, value: T) -> bool:
        """Whether nothing follows this value."""

    @abstractmethod
    def gone(self, value: T) -> T:
        """What is to follow this value when the thing is gone; it must be a last one."""


class LogFeed(ABC, Generic[T]):
    """Entries of which every one counts, each at its place."""

    @abstractmethod
    def watch(self, bell: Callable[[], None], /) -> Stop:
        """Ring when there may be more."""

    @abstractmethod
    async def read(self, after: int) -> Sequence[T] | None:
        """The next entries, in order, a batch at most; None when there is no such log any more."""

    @abstractmethod
    def place(self, entry: T) -> int:
        """Where it stands."""


class Source:
    """What a subscription's resolver answers with, once it has admitted the subscriber."""

    def __aiter__(self) -> AsyncIterator[Never]:
        """GraphQL wants sources to be iterable; ours are watched instead."""
        raise TypeError(f"a {type(self).__name__} is to be watched")


@dataclass(frozen=True, kw_only=True)
class State(Source, Generic[T]):
    """A state as one subscriber is to see it."""

    feed: StateFeed[T]
    present: T
    """As it was when the subscriber was admitted."""
    every: float = 0.0
    """Seconds between two values at least; the first and the last are never held back."""
    hold: Hold


@dataclass(frozen=True, kw_only=True)
class Log(Source, Generic[T]):
    """A log as one subscriber is to see it."""

    feed: LogFeed[T]
    after: int
    """The place behind which the subscriber begins."""
    end: int
    """Where the log ended when they were admitted."""
    hold: Hold


class StateGroup(Generic[T]):
    """Equal subscriptions to one state."""

    __slots__ = (
        "_answer", "_due", "_errors", "_every", "_feed", "_members", "_newest", "_over", "_running", "_shown", "_stop"
    )  # fmt: skip

    def __init__(self, feed: StateFeed[T], every: float, answer: Answer[T], over: Callable[[], object]) -> None:
        """Begin to watch. `over` is called when the group is not to be joined any more."""
        self._feed = feed
        self._every = every
        self._answer = answer
        self._over: Callable[[], object] | None = over
        self._members: set[Subscriber] = set()
        self._newest: T | None = None
        """The newest value there is, shown or about to be."""
        self._shown: str | None = None
        self._errors: Errors | None = None
        self._due = 0.0
        """When the next value may be shown."""
        self._running: asyncio.TimerHandle | asyncio.Task[None] | None = None
        """What will show the newest value: a timer, or its execution."""
        self._stop = feed.watch(self._offer)

    def join(self, subscriber: Subscriber, present: T) -> Stop:
        """Show somebody the present state at once, and whatever follows. What they were admitted by may be news."""
        self._offer(present)
        if self._shown is not None:
            subscriber.show(self._shown)
        if self._over is None:
            subscriber.end(self._errors)
        else:
            self._members.add(subscriber)
        return partial(self._leave, subscriber)

    def _leave(self, subscriber: Subscriber) -> None:
        self._members.discard(subscriber)
        if not self._members:
            self._close()

    def _offer(self, value: T | None) -> None:
        if value is None:
            if self._newest is None:
                return
            value = self._feed.gone(self._newest)
        if self._newest is not None and not self._feed.is_newer(value, self._newest):
            return
        self._newest = value
        if isinstance(self._running, asyncio.Task):
            return  # it will look again
        now = asyncio.get_running_loop().time()
        if now >= self._due or self._feed.is_last(value):
            self._execute()
        elif self._running is None:
            self._running = asyncio.get_running_loop().call_at(self._due, self._execute)

    def _execute(self) -> None:
        if self._running is not None:
            self._running.cancel()
            self._running = None
        value = cast("T", self._newest)
        try:
            answer = self._answer(value)
        except Rejected as rejected:
            self._end(rejected.errors)
            return
        if isinstance(answer, str):
            self._show(value, answer)
        else:
            self._running = asyncio.create_task(self._finish(value, answer))

    async def _finish(self, value: T, answer: Awaitable[str]) -> None:
        try:
            text = await answer
        except Rejected as rejected:
            self._end(rejected.errors)
            return
        self._running = None
        self._show(value, text)
        if self._newest is not value and self._over is not None:
            newest, self._newest = self._newest, value
            self._offer(newest)

    def _show(self, value: T, answer: str) -> None:
        self._shown = answer
        if self._every:
            self._due = asyncio.get_running_loop().time() + self._every
        for member in tuple(self._members):
            member.show(answer)
        if self._feed.is_last(value):
            self._end(None)

    def _end(self, errors: Errors | None) -> None:
        members, self._members = self._members, set()
        self._errors = errors
        self._running = None
        self._close()
        for member in members:
            member.end(errors)

    def _close(self) -> None:
        if self._over is not None:
            self._stop()
            if self._running is not None:
                self._running.cancel()
            over, self._over = self._over, None
            over()


class Latest:
    """A subscriber that is asked: it keeps one response at most."""

    def __init__(self) -> None:
        self._fresh = asyncio.Event()
        self._answer: str | None = None
        self._errors: Errors | None = None
        self._ended = False

    def show(self, answer: str) -> None:
        """Keep it, instead of an older one."""
        self._answer = answer
        self._fresh.set()

    def end(self, errors: Errors | None) -> None:
        """End the answers; errors do not wait."""
        self._errors, self._ended = errors, True
        self._fresh.set()

    async def answers(self) -> AsyncGenerator[str]:
        """Each response that is the newest when it is asked for; raise Rejected for errors."""
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            if self._errors is not None:
                raise Rejected(self._errors)
            answer, self._answer = self._answer, None
            if answer is not None:
                yield answer
            if self._ended and self._answer is None and self._errors is None:
                return


class _Tail(NamedTuple):
    after: int
    """Behind this place it begins."""
    answers: list[tuple[int, str]]

    def behind(self, place: int) -> list[tuple[int, str]]:
        return [each for each in self.answers if each[0] > place]


class LogGroup(Generic[T]):
    """Equal subscriptions to one log. Those who keep up share what was executed; others read at their own pace."""

    def __init__(self, feed: LogFeed[T], end: int, answers: Answers[T], over: Callable[[], object]) -> None:
        """Begin to follow the log from its end. `over` is called when the group is not to be joined any more."""
        self._feed = feed
        self._answers = answers
        self._over: Callable[[], object] | None = over
        self._end = end
        self._tail = _Tail(end, [])
        """The newest batch: older ones are in the table for whoever is behind."""
        self._news = asyncio.Event()
        self._rung = asyncio.Event()
        self._gone = False
        self._failed: Rejected | None = None
        self._members = 0
        self._stop = feed.watch(self._rung.set)
        self._following = asyncio.create_task(self._follow(), name="log")

    async def answers(self, after: int, lost: Callable[[], Rejected | None]) -> AsyncGenerator[str]:
        """Every entry behind this place, until the log is gone; raise Rejected once the subscriber's right is lost."""
        self._members += 1
        reached = after
        try:
            while True:
                if reached >= self._end and not self._gone:
                    await self._wait(lost)
                    continue
                batch = self._tail.behind(reached) if reached >= self._tail.after else await self._read(reached)
                if not batch:
                    return  # gone
                for place, answer in batch:
                    if rejected := lost() or self._failed:
                        raise rejected
                    reached = place
                    yield answer
        finally:
            self._members -= 1
            if not self._members:
                self._close()

    def wake(self) -> None:
        """Let those who wait look whether anything ended for them."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _wait(self, lost: Callable[[], Rejected | None]) -> None:
        if rejected := lost() or self._failed:
            raise rejected
        await self._news.wait()

    async def _follow(self) -> None:
        try:
            while True:
                self._rung.clear()
                entries = await self._feed.read(self._end)
                if entries is None:
                    self._gone = True
                    self._close()
                    return
                if entries:
                    answers = await self._executed(entries)
                    self._tail = _Tail(self._end, answers)
                    self._end = answers[-1][0]
                    self.wake()
                else:
                    await self._rung.wait()
        except Rejected as rejected:
            self._failed = rejected
            self._close()
        finally:
            self.wake()

    async def _read(self, after: int) -> list[tuple[int, str]]:
        entries = await self._feed.read(after)
        return await self._executed(entries) if entries else []

    async def _executed(self, entries: Sequence[T]) -> list[tuple[int, str]]:
        places = [self._feed.place(entry) for entry in entries]
        return list(zip(places, await self._answers(entries), strict=True))

    def _close(self) -> None:
        if self._over is not None:
            self._stop()
            over, self._over = self._over, None
            over()
        if not self._members:
            self._following.cancel()
