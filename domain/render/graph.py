"""FFmpeg's filter graph in the making: inputs, chains of filters and the links between them."""

from collections.abc import Sequence
from fractions import Fraction

LONGEST_ARGUMENT = 100_000
"""Linux takes no single argument above 128 KiB; longer graphs travel in a file."""


class Graph:
    """Collects what a command needs. Links are names in square brackets, given out here and used once."""

    def __init__(self) -> None:
        """Start empty."""
        self.inputs: list[str] = []
        self.files: dict[str, str] = {}
        self._opened = 0
        self._chains: list[str] = []
        self._links = 0

    def open(self, options: Sequence[str]) -> int:
        """Add an input; return its number."""
        self.inputs += options
        self._opened += 1
        return self._opened - 1

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

    def write(self, text: str) -> str:
        """Add a text file beside the command; return its name."""
        name = f"text-{len(self.files)}.txt"
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


def seconds(value: Fraction) -> str:
    """A time for FFmpeg, which reads decimals; fine enough that no frame or sample is ever missed."""
    return f"{float(value):.9f}"
