"""What the demo shows while it runs: bars in a terminal, a line for each stage in a log."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

_TITLE_WIDTH = 25
_BAR_WIDTH = 10


class Stage:
    """One step of the demo, under way."""

    def __init__(self, draw: Callable[[str, float | None], None]) -> None:
        """Tell it to whoever draws."""
        self.detail = ""
        self._draw = draw

    def tell(self, detail: str = "", fraction: float | None = None) -> None:
        """Say something about it (nothing: leave what is there), and how far it is, from 0 to 1, if that is known."""
        self.detail = detail or self.detail
        self._draw(self.detail, fraction)


class Display:
    """Use it as a context manager; stages follow one another inside."""

    def __init__(self, console: Console | None = None) -> None:
        """Draw bars if the console is a terminal."""
        self._console = console or Console(highlight=False)
        self._bars = _bars(self._console) if self._console.is_terminal else None

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing; what is drawn stays."""
        if self._bars is not None:
            self._bars.stop()

    def stage(self, title: str) -> AbstractContextManager[Stage]:
        """One stage, timed. What was last said about it stays beside it."""
        return self._bar(self._bars, title) if self._bars is not None else self._line(title)

    def say(self, text: str) -> None:
        """Say something below the stages: there will be no more of them."""
        if self._bars is not None:
            self._bars.stop()
        self._print(text)

    def _print(self, text: str, end: str = "\n") -> None:
        self._console.print(text, end=end, markup=False, soft_wrap=True)

    @contextmanager
    def _bar(self, bars: Progress, title: str) -> Generator[Stage]:
        bar = bars.add_task(title, total=None, detail="")
        try:
            yield Stage(lambda detail, fraction: _drawn(bars, bar, detail, fraction))
        except BaseException as error:
            bars.update(bar, description=f"[red]{title}[/]", detail=_ending(error))
            bars.stop_task(bar)
            raise
        bars.update(bar, total=1.0, completed=1.0)

    @contextmanager
    def _line(self, title: str) -> Generator[Stage]:
        started = perf_counter()
        # Said before it is done, so that a log shows where it hangs.
        self._print(f"{title:{_TITLE_WIDTH}}", end="")
        stage = Stage(lambda _detail, _fraction: None)
        try:
            yield stage
        except BaseException as error:
            self._print(f" {_ending(error)}")
            raise
        self._print(f"{perf_counter() - started:6.2f} s  {stage.detail}".rstrip())


def _ending(error: BaseException) -> str:
    return "failed" if isinstance(error, Exception) else "stopped"


def _drawn(bars: Progress, bar: TaskID, detail: str, fraction: float | None) -> None:
    if fraction is None:
        bars.update(bar, detail=detail)
    else:
        bars.update(bar, detail=detail, total=1.0, completed=min(fraction, 0.999))  # a full one is finished


_REST = Column(ratio=1, no_wrap=True, overflow="ellipsis")
"""The column that gives way in a narrow terminal."""


def _bars(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=_TITLE_WIDTH)),
        BarColumn(bar_width=_BAR_WIDTH),
        _Seconds(),
        TextColumn("{task.fields[detail]}", markup=False, style="dim", table_column=_REST),
        console=console,
        expand=True,
    )


class _Seconds(ProgressColumn):
    def render(self, task: Task) -> Text:
        seconds = task.finished_time if task.finished_time is not None else task.elapsed or 0.0
        return Text(f"{seconds:5.2f} s", style="cyan", no_wrap=True)
