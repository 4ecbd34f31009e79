"""Read a file of captions, a table of colours or a font, and say what is in it.

Run as a script by `tasks.text_assets`, in a limited child, and apart from all of ours: what is read here may be made to
break whoever reads it. It writes the text in one form, whatever the file was, line by line; then one line of JSON, the
facts; or {"rejected": why}.
"""

import json
import math
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from html import unescape
from pathlib import Path
from typing import Any, TypeAlias

MOST_CUES = 100_000
LONGEST_CUE = 5_000
LATEST = 100 * 3600 * 1000
"""Milliseconds."""
MOST_STEPS = {1: 65_536, 3: 65}
"""Of a table with one dimension, or three."""
LARGEST_VALUE = 1_000.0

TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[,.](\d{1,3})"
TIMES = re.compile(rf"\s*{TIME}\s*-->\s*{TIME}(?:\s.*)?")
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
COMMAND = re.compile(r"\{\\[^{}]*\}")

Cue: TypeAlias = tuple[int, int, str]


class Rejected(Exception):
    """The file is no good; the message is a sentence for its owner."""


def text_of(path: Path) -> str:
    """The file as text. Guessing how else it may be written would be wrong too often."""
    data = path.read_bytes()
    coding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        return data.decode(coding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise Rejected(f"It is not text in UTF-8 (at byte {error.start}): save it as UTF-8.") from None


# --- captions -------------------------------------------------------------------------------------------------------


def captions(form: str, text: str) -> tuple[Iterator[str], dict[str, Any]]:
    """The cues, in order, as lines of JSON."""
    readers = {"srt": blocks, "vtt": blocks, "ass": events}
    cues = sorted(checked(readers[form](text)))
    if not cues:
        raise Rejected("There is no caption in it.")
    lines = (json.dumps(cue, ensure_ascii=False) for cue in cues)
    return lines, {"cue_count": len(cues), "duration_seconds": max(end for _, end, _ in cues) / 1000}


def checked(cues: Iterable[tuple[str, Cue]]) -> Iterator[Cue]:
    """Cues whose times can be; empty ones are left out."""
    count = 0
    for where, (start, end, text) in cues:
        if end < start:
            raise Rejected(f"{where}: it ends before it begins.")
        if end > LATEST:
            raise Rejected(f"{where}: it ends after more than {LATEST // 3_600_000} hours.")
        if shown := clean(text):
            if len(shown) > LONGEST_CUE:
                raise Rejected(f"{where}: {len(shown)} characters are more than the {LONGEST_CUE} allowed.")
            count += 1
            if count > MOST_CUES:
                raise Rejected(f"There are more than the {MOST_CUES} captions allowed.")
            yield start, end, shown


def clean(text: str) -> str:
    """Without control characters, spaces around and empty lines."""
    if not text.isprintable():
        text = "".join(each for each in text if each in "\n\t" or unicodedata.category(each) not in {"Cc", "Cs"})
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def blocks(text: str) -> Iterator[tuple[str, Cue]]:
    """Cues of SubRip and WebVTT: a line of times, then lines of text up to an empty one."""
    is_vtt = text.startswith("WEBVTT")
    lines = iter(enumerate(text.split("\n"), 1))
    for number, line in lines:
        if "-->" not in line:
            continue  # a number, a name, a note, a style
        where = f"The caption on line {number}"
        times = TIMES.fullmatch(line)
        if times is None:
            raise Rejected(f"{where}: {line.strip()[:80]!r} are no times.")
        start, end = milliseconds(times.groups()[:4], where), milliseconds(times.groups()[4:], where)
        said: list[str] = []
        for at, more in lines:
            if not more.strip():
                break
            if "-->" in more and TIMES.fullmatch(more):
                raise Rejected(f"{where}: an empty line before line {at} is missing.")
            said.append(more)
        shown = COMMAND.sub("", TAG.sub("", "\n".join(said)))
        if is_vtt:
            shown = unescape(re.sub(r"<[\d:.]+>", "", shown))
        yield where, (start, end, shown)


def milliseconds(parts: Iterable[str | None], where: str) -> int:
    """A time, from hours, minutes, seconds and a fraction."""
    hours, minutes, seconds, fraction = (each or "0" for each in parts)
    if int(minutes) > 59 or int(seconds) > 59 or len(hours) > 5:  # noqa: PLR2004 - of a clock
        raise Rejected(f"{where}: {hours}:{minutes}:{seconds} is no time.")
    return (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 1000 + int(fraction.ljust(3, "0"))


def events(text: str) -> Iterator[tuple[str, Cue]]:
    """Cues of ASS and SSA, without their looks; drawings are left out."""
    import pysubs2
    from pysubs2.exceptions import Pysubs2Error

    try:
        file = pysubs2.SSAFile.from_string(text, format_="ass" if "[V4+ Styles]" in text else "ssa")
    except (Pysubs2Error, ValueError, KeyError, IndexError) as error:
        raise Rejected(f"It cannot be read as ASS: {str(error)[:200]}.") from None
    for number, each in enumerate(file.events, 1):
        if each.type == "Dialogue" and not each.is_drawing:
            yield f"Event {number}", (each.start, each.end, each.plaintext)


# --- tables of colours ----------------------------------------------------------------------------------------------


def table(_: str, text: str) -> tuple[list[str], dict[str, Any]]:
    """A .cube file, after the specification of Adobe: keywords, then rows of red, green and blue."""
    sizes: dict[int, int] = {}
    domain: dict[str, tuple[float, ...]] = {"DOMAIN_MIN": (0.0,) * 3, "DOMAIN_MAX": (1.0,) * 3}
    rows: list[tuple[float, ...]] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split("#")[0].split()
        if not words or words[0] == "TITLE":
            continue
        word, *values = words
        if word in {"LUT_1D_SIZE", "LUT_3D_SIZE"}:
            sizes[int(word[4])] = size_of(values, int(word[4]), number)
        elif word in domain:
            domain[word] = numbers(values, 3, number)
        elif word in {"LUT_1D_INPUT_RANGE", "LUT_3D_INPUT_RANGE"}:  # of DaVinci Resolve
            least, most = numbers(values, 2, number)
            domain = {"DOMAIN_MIN": (least,) * 3, "DOMAIN_MAX": (most,) * 3}
        else:
            rows.append(numbers(words, 3, number))
            if len(rows) > MOST_STEPS[3] ** 3:
                raise Rejected(f"There are more than {MOST_STEPS[3] ** 3} rows.")
    if len(sizes) != 1:
        raise Rejected("It must have either LUT_3D_SIZE or LUT_1D_SIZE, once.")
    ((dimensions, size),) = sizes.items()
    if len(rows) != size**dimensions:
        raise Rejected(f"A table of size {size} has {size**dimensions} rows, this one {len(rows)}.")
    if any(most <= least for least, most in zip(domain["DOMAIN_MIN"], domain["DOMAIN_MAX"], strict=True)):
        raise Rejected("DOMAIN_MAX must be above DOMAIN_MIN.")
    said = [f"LUT_{dimensions}D_SIZE {size}", *(f"{name} {row(values)}" for name, values in domain.items())]
    return [*said, *(row(values) for values in rows)], {"lut_size": size}


def size_of(words: list[str], dimensions: int, number: int) -> int:
    """How many steps a side has."""
    most = MOST_STEPS[dimensions]
    if len(words) != 1 or not re.fullmatch(r"\d{1,6}", words[0]) or not 2 <= int(words[0]) <= most:  # noqa: PLR2004 - two ends
        raise Rejected(f"Line {number}: the size must be a number from 2 to {most}.")
    return int(words[0])


def numbers(words: list[str], count: int, number: int) -> tuple[float, ...]:
    """So many numbers."""
    try:
        values = tuple(float(word) for word in words)
    except ValueError:
        raise Rejected(f"Line {number}: {' '.join(words)[:80]!r} are not numbers.") from None
    if len(values) != count:
        raise Rejected(f"Line {number}: there must be {count} numbers, not {len(values)}.")
    if not all(math.isfinite(value) and abs(value) <= LARGEST_VALUE for value in values):
        raise Rejected(f"Line {number}: {' '.join(words)[:80]!r} are not colours.")
    return values


def row(values: Iterable[float]) -> str:
    """Numbers as they are kept."""
    return " ".join(f"{value:.6f}" for value in values)


# --- fonts ----------------------------------------------------------------------------------------------------------


def font(path: Path) -> dict[str, Any]:
    """What a font is called, how it looks, and how high its lines are."""
    from fontTools.ttLib import TTFont  # pyright: ignore[reportMissingTypeStubs]  # it has types of its own

    try:
        with TTFont(path, lazy=True) as opened:
            return _font_facts(opened)
    except Rejected:
        raise
    except Exception as error:  # noqa: BLE001 - a broken table leads to anything, and then it is no font
        raise Rejected(f"It cannot be read as a font: {str(error)[:200] or type(error).__name__}.") from None


def _font_facts(opened: Any) -> dict[str, Any]:
    missing = [name for name in ("head", "hhea", "maxp", "hmtx", "cmap", "name") if name not in opened]
    if missing or not {"glyf", "CFF ", "CFF2"} & set(opened.keys()):
        raise Rejected(f"The font lacks {', '.join(missing) or 'letters'}.")
    if not opened.getBestCmap() or not 1 <= opened["maxp"].numGlyphs <= 65_535:  # noqa: PLR2004 - what the format can count
        raise Rejected("The font has no letters that text could be set in.")
    em = opened["head"].unitsPerEm
    looks = opened.get("OS/2")
    # As libass reckons: what Windows keeps free, else the line.
    height = looks.usWinAscent + looks.usWinDescent if looks else 0
    height = height or opened["hhea"].ascent - opened["hhea"].descent
    if not 16 <= em <= 16_384 or not 0.1 <= height / em <= 10:  # noqa: PLR2004 - as the format demands; and what can be read
        raise Rejected("The font says impossible sizes.")
    return {
        "font_family": family_of(opened["name"]),
        "font_weight": min(max(looks.usWeightClass, 1), 1000) if looks else 400,
        "font_italic": bool(opened["head"].macStyle & 2),
        "font_height": height / em,
    }


def family_of(names: Any) -> str:
    """The name that libass finds it by."""
    family = names.getName(1, 3, 1, 0x409) or next((each for each in names.names if each.nameID == 1), None)
    said = family.toUnicode() if family else ""
    if not said or len(said) > 100 or said != said.strip() or re.search(r"[,{}\\@]|[^\x20-\U0010ffff]", said):  # noqa: PLR2004 - enough
        raise Rejected(f"The font's family has no name, or one that cannot be used: {said[:100]!r}.")
    return said


def main() -> None:
    """Read the file named, as the form named."""
    name, form = sys.argv[1:]
    path = Path(name)
    try:
        if form in {"ttf", "otf"}:
            lines, facts = iter(()), font(path)
        else:
            lines, facts = (table if form == "cube" else captions)(form, text_of(path))
    except Rejected as rejected:
        lines, facts = iter(()), {"rejected": str(rejected)}
    for line in (*lines, json.dumps(facts)):
        sys.stdout.buffer.write(line.encode() + b"\n")


if __name__ == "__main__":
    main()
