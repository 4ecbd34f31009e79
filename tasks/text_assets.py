"""Uploads that are neither seen nor heard by themselves: captions, tables of colours, fonts.

FFmpeg never reads such a file as it came: what is kept of captions and tables is what we understood of them.
"""

import mimetypes
import re
from pathlib import Path

from domain.media import TEXTS, MediaFacts, MediaKind
from tasks.probe import MediaRejected, answered

LARGEST = {MediaKind.CAPTIONS: 5 * 2**20, MediaKind.LUT: 16 * 2**20, MediaKind.FONT: 32 * 2**20}
_SCRIPT = Path(__file__).with_name("read_text.py")
_HEAD = 64 * 1024
_FONTS = {b"\0\1\0\0": "ttf", b"true": "ttf", b"OTTO": "otf"}
_OTHER_FONTS = {
    b"ttcf": "It is a collection of fonts: upload the one that is wanted.",
    b"wOFF": "It is a font for web pages: upload it as TrueType or OpenType.",
    b"wOF2": "It is a font for web pages: upload it as TrueType or OpenType.",
}
_TIMES = re.compile(r"^\s*(?:\d+:)?\d{1,2}:\d{1,2}[,.]\d{1,3}\s*-->", re.MULTILINE)
_TABLE = re.compile(r"^\s*LUT_[13]D_SIZE\b", re.MULTILINE)
_NAMES = {MediaKind.CAPTIONS: "captions", MediaKind.LUT: "a table of colours", MediaKind.FONT: "a font"}
_ALSO = {"ssa": "ass", "webvtt": "vtt"}


async def read_text_asset(path: Path, *, claimed_content_type: str, filename: str) -> tuple[MediaFacts, str] | None:
    """Examine a file of captions, a table of colours or a font: its facts, and its text in one form (a font has none).

    None if it is none of them. Raises MediaRejected when it is one and is no good, or is not what it claims to be.
    """
    form = _recognised(path)
    suffix = Path(filename).suffix.lower().removeprefix(".")
    claimed_form = _ALSO.get(suffix, suffix)
    if form is None:
        if claimed_form in TEXTS:
            raise MediaRejected(f"The file claims to be {_NAMES[TEXTS[claimed_form]]} (.{suffix}), but it is not.")
        return None
    kind = TEXTS[form]
    if claimed_form not in TEXTS:
        _must_be_what_it_claims(kind, form, claimed_content_type, filename)
    _must_not_be_too_large(path, kind)
    lines, facts = await answered(_SCRIPT, path, path.name, form)
    return MediaFacts.from_json({"kind": kind.value, "container": form, **facts}), "\n".join(lines)


def _recognised(path: Path) -> str | None:
    """Which of TEXTS a file is, by how it begins."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if refused := _OTHER_FONTS.get(head[:4]):
        raise MediaRejected(refused)
    if head[:4] in _FONTS:
        return _FONTS[head[:4]]
    wide = head[:2] in {b"\xff\xfe", b"\xfe\xff"}
    if b"\0" in head and not wide:
        return None
    text = head.decode("utf-16" if wide else "utf-8-sig", errors="replace").replace("\r", "\n").lstrip()
    if re.match(r"WEBVTT(\s|$)", text):
        return "vtt"
    if text[:1024].lower().startswith("[script info]"):
        return "ass"
    if _TABLE.search(text):
        return "cube"
    return "srt" if _TIMES.search(text) else None


def _must_be_what_it_claims(kind: MediaKind, form: str, content_type: str, filename: str) -> None:
    claimed = content_type.partition(";")[0].strip().lower()
    if not claimed or claimed.startswith("application/"):
        claimed = mimetypes.guess_type(filename)[0] or ""
    if claimed.partition("/")[0] in {"video", "image", "audio"}:
        raise MediaRejected(f"The file claims to be {claimed}, but it is {_NAMES[kind]} ({form}).")


def _must_not_be_too_large(path: Path, kind: MediaKind) -> None:
    if path.stat().st_size > LARGEST[kind]:
        raise MediaRejected(f"A file of {_NAMES[kind]} may have at most {LARGEST[kind] // 2**20} MiB.")
