"""FFmpeg's filter graph in the making: inputs, chains of filters and the links between them."""

from collections.abc import Sequence
from fractions import Fraction

from domain.ffmpeg.command import Input

LONGEST_ARGUMENT = 100_000
"""Linux takes no single argument above 128 KiB; longer graphs travel in a file."""


class Graph:
    """Collects what a command needs. Links are names in square brackets, given out here and used once."""

    def __init__(self) -> None:
        """Start empty."""
        self.options: list[str] = []
        """The arguments that open the inputs."""
        self.inputs: dict[str, Input] = {}
        self.files: dict[str, str] = {}
        self._opened = 0
        self._chains: list[str] = []
        self._links = 0

    def open(self, options: Sequence[str], needs: Input | None = None, *, at: str | None = None) -> int:
        """Add an input, which lies under the name `at` in the folder; return its number."""
        self.options += options
        if needs is not None:
            self.need(at or "", needs)
        self._opened += 1
        return self._opened - 1

    def need(self, name: str, what: Input) -> None:
        """Have something lie in the folder under this name."""
        self.inputs[name] = what

    def chain(self, *filters: str, links: Sequence[str] = ()) -> str:
        """Run links (or nothing, for a source) through filters, one after the other; return the link that comes out."""
        (link,) = self.fork(*filters, links=links, outputs=1)
        return link

    def fork(self, *filters: str, links: Sequence[str] = (), outputs: int) -> list[str]:
        """The same, with several links coming out."""
        out = [f"[n{self._links + each}]" for each in range(outputs)]
        self._links += outputs
        self._chains.append("".join(links) + ",".join(filters) + "".join(out))
        return out

    def write(self, text: str, suffix: str = "txt") -> str:
        """Add a text file beside the command; return its name."""
        name = f"text-{len(self.files)}.{suffix}"
        self.files[name] = text
        return name

    def arguments(self) -> list[str]:
        """The graph as arguments."""
        graph = ";".join(self._chains)
        if len(graph.encode()) <= LONGEST_ARGUMENT:
            return ["-filter_complex", graph]
        self.files["graph.txt"] = graph
        return ["-/filter_complex", "graph.txt"]  # takes FFmpeg 7; older ones had another option for it


def quoted(value: str) -> str:
    """A string as the value of a filter's option: escaped for the option, then again for the graph."""
    for special in ("\\':", "\\'[],;"):
        value = "".join(f"\\{each}" if each in special else each for each in value)
    return value


def counted(rate: Fraction) -> str:
    """Give each frame its number as its time: exact, and the same time base everywhere."""
    return f"settb={1 / rate},setpts=N"


def frame_number(rate: Fraction, *, plus: int = 0) -> str:
    """The number of a frame, as an expression for filters that know its time, where frames are `counted`.

    Not `n`, which begins with 1 in filters of several inputs, and which those are changes from version to version.
    """
    number = f"round(t*{rate})"
    return f"({number}{plus:+d})" if plus else number


def seconds(value: Fraction) -> str:
    """A time for FFmpeg, which reads decimals; fine enough that no frame or sample is ever missed."""
    return f"{float(value):.9f}"
