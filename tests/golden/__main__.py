"""Write the golden pictures and the contact sheet anew: python -m tests.golden. Look at each before you keep it."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tasks.ffmpeg import find_ffmpeg
from tests.golden import pictures
from tests.golden.examples import EXAMPLES, GROUPS, SHEET
from tests.golden.studio import CANVAS, built

CONTACT_SHEET = Path(__file__).parents[2] / "docs/timeline.png"
COLUMNS, GAP, LABEL = 6, 12, 20
PAPER, INK = "0xf7f5f0", "0x24304f"
FONT = Path(__file__).parents[2] / "tasks/fonts/DejaVuSans.ttf"


def main() -> None:
    """Write what changed; remove what no example stands for any more."""
    pictures.FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        studio = built(Path(folder) / "studio")
        only = sys.argv[1:]
        for name in EXAMPLES:
            if only and not any(each in name for each in only):
                continue
            samples, path = pictures.drawn(studio, name), pictures.path_of(name)
            if not path.exists() or pictures.read(path) != samples:
                pictures.write(path, samples)
                print(f"wrote {path.name}")  # noqa: T201 - it is a command
        for path in pictures.FOLDER.glob("*.png"):
            if path.stem not in EXAMPLES:
                path.unlink()
        sheet(Path(folder))


def sheet(folder: Path) -> None:
    """Lay the pictures out in rows, group by group, each with its name below it."""
    width, height = CANVAS.width, CANVAS.height
    step = width + GAP, height + LABEL + GAP
    inputs: list[str | Path] = []
    chains: list[str] = []
    texts: list[str] = []
    top, last = GAP, "[0:v]"
    for group in GROUPS:
        texts.append(_text(folder, f"{group.capitalize()}s", GAP, top + 4, size=17))
        top += 32
        names = [name for name in SHEET if name.startswith(f"{group}-")]
        for index, name in enumerate(names):
            left, here = GAP + index % COLUMNS * step[0], top + index // COLUMNS * step[1]
            inputs += ["-i", pictures.path_of(name)]
            number = len(inputs) // 2
            chains.append(f"{last}[{number}:v]overlay={left}:{here}:format=gbrp[o{number}]")
            last = f"[o{number}]"
            texts.append(_text(folder, SHEET[name], left, here + height + 4, size=11))
        top += -(-len(names) // COLUMNS) * step[1] + GAP
    paper = f"color={PAPER}:s={GAP + COLUMNS * step[0]}x{top}:d=1:r=1,format=gbrp"
    graph = ";".join([*chains, f"{last}{','.join(texts)},format=rgb24[out]"])
    (folder / "graph.txt").write_text(graph)
    command = [find_ffmpeg(None), "-v", "error", "-f", "lavfi", "-i", paper, *inputs]
    rest = ["-/filter_complex", folder / "graph.txt", "-map", "[out]", "-frames:v", "1"]
    packed = ["-pred", "mixed", "-compression_level", "9"]
    subprocess.run([*command, *rest, *packed, "-y", CONTACT_SHEET], check=True)


def _text(folder: Path, words: str, left: int, top: int, *, size: int) -> str:
    path = folder / f"{len(list(folder.glob('*.txt')))}.txt"
    path.write_text(words)
    look = f"fontfile={FONT}:expansion=none:fontsize={size}:fontcolor={INK}"
    return f"drawtext={look}:textfile={path}:x={left}:y={top + size}-ascent"


if __name__ == "__main__":
    main()
