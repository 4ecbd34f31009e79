"""Probe an upload, and measure a render: PyAV in a limited child, its answer judged here."""

import json
import mimetypes
import signal
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from domain.media import CONTAINERS, MediaFacts, MediaKind
from domain.render.verify import Measured
from tasks.process import Limits, run

MEMORY_BYTES = 6 * 2**30
"""A decoder holds some twenty frames of the largest size."""
PATIENCE_SECONDS = 60
SLOWEST_BYTES_PER_SECOND = 10 * 2**20
_EXAMINE = Path(__file__).with_name("examine.py")

_IMAGES = frozenset({"png", "jpeg", "webp", "bmp", "tiff"})
_MAY_BE_EITHER = frozenset({"image/gif", "image/webp"})
_STILLS_IN_MP4 = frozenset({"heic", "heix", "hevc", "mif1", "msf1", "avif", "avis"})
_ANNOUNCED = frozenset({"matroska", "webm", "flac"})
"""Containers whose header says how long they are, and says it truly."""


class MediaRejected(Exception):
    """The file is no good; the reason is a sentence for its owner."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason


class ProbeFailed(Exception):
    """Probing came to no answer through no fault of the file, e.g. the machine ran out of memory. Worth another try."""


async def probe(path: Path, *, claimed_content_type: str, filename: str, max_pixels: int) -> MediaFacts:
    """Examine a file to its last packet and return the facts. Raises MediaRejected when it is not a sound media file.

    It must also be of the kind its content type claims; where that says nothing, of the kind its name claims.
    """
    seen = await _examine("probe", path, max_pixels)
    facts = _facts(seen)
    _must_be_sound(seen, facts, max_pixels)
    _must_be_what_it_claims(facts, claimed_content_type, filename)
    return facts


async def measure(path: Path, *, max_pixels: int, frame_rate: Fraction | None = None) -> Measured:
    """Measure a made file, packet by packet. Raises MediaRejected when it cannot be read.

    Whether its frames come evenly is judged by the rate they should have; if that is not said, by the file's own.
    """
    return Measured(**await _examine("measure", path, max_pixels, *([str(frame_rate)] if frame_rate else [])))


async def _examine(verb: str, path: Path, max_pixels: int, *more: str) -> dict[str, Any]:
    """Ask the child."""
    formats = ",".join(dict.fromkeys(CONTAINERS.values()))
    _, answer = await answered(_EXAMINE, path, verb, path.name, formats, str(max_pixels), *more)
    return answer


async def answered(script: Path, path: Path, *arguments: str) -> tuple[list[str], dict[str, Any]]:
    """Have a script look into a file, in a limited child; return what it said: lines, and at last one of JSON.

    Raises MediaRejected, ProbeFailed.
    """
    lines: list[str] = []
    patience = _patience(path)
    limits = Limits(cpu_seconds=patience, wall_seconds=patience, file_bytes=0, memory_bytes=MEMORY_BYTES)
    try:
        ended = await run(
            [sys.executable, "-I", script, *arguments],
            folder=path.parent,
            limits=limits,
            on_line=lines.append,
        )
    except TimeoutError:
        raise MediaRejected("Reading the file takes too long.") from None
    if ended.code == -signal.SIGXCPU:
        raise MediaRejected("Reading the file takes too long.")
    if ended.code in {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGILL}:
        raise MediaRejected("The file breaks the program that reads it.")
    if ended.code or not lines:
        raise ProbeFailed(f"the probe ended with {ended.code}: {ended.tail[-1] if ended.tail else 'it said nothing'}")
    answer = json.loads(lines.pop())
    if "rejected" in answer:
        raise MediaRejected(answer["rejected"])
    return lines, answer


def _patience(path: Path) -> int:
    """Seconds that reading a file may take."""
    size = path.stat().st_size
    if not size:
        raise MediaRejected("The file is empty.")
    return PATIENCE_SECONDS + size // SLOWEST_BYTES_PER_SECOND


def _facts(seen: Mapping[str, Any]) -> MediaFacts:
    video: Mapping[str, Any] = seen["video"] or {}
    audio: Mapping[str, Any] = seen["audio"] or {}
    container = _container(seen)
    kind = _kind(container, video)
    moves = kind is not MediaKind.IMAGE
    width, height = _displayed(video) if video else (None, None)
    return MediaFacts(
        kind=kind,
        container=container,
        video_codec=video.get("codec"),
        audio_codec=audio.get("codec"),
        width=width,
        height=height,
        rotation=video.get("rotation", 0) // 90 * 90,
        color_matrix=video.get("matrix"),
        frame_rate=video.get("rate") if moves else None,
        duration_seconds=(video or audio).get("seconds") if moves else None,
        frame_count=video.get("packets"),
        shown_late_seconds=video.get("late") if moves else None,
        channels=audio.get("channels"),
        sample_rate=audio.get("sample_rate"),
    )


def _container(seen: Mapping[str, Any]) -> str:
    demuxer = seen["format"].split(",")[0]
    if demuxer == "mov":
        return "mov" if seen["brand"] == "qt  " else "mp4"
    if demuxer == "matroska":
        return "webm" if seen["is_webm"] else "matroska"
    return next(name for name, its in CONTAINERS.items() if its == demuxer)


def _kind(container: str, video: Mapping[str, Any]) -> MediaKind:
    if not video:
        return MediaKind.AUDIO
    still = container in _IMAGES or (container == "gif" and video["packets"] == 1)
    return MediaKind.IMAGE if still else MediaKind.VIDEO


def _displayed(video: Mapping[str, Any]) -> tuple[int, int]:
    """The size a player shows: with square pixels, upright."""
    width, height = round(video["width"] * Fraction(video["pixel_shape"])), video["height"]
    return (height, width) if video["rotation"] in {90, 270} else (width, height)


def _must_be_sound(seen: Mapping[str, Any], facts: MediaFacts, max_pixels: int) -> None:
    streams = [each for each in (seen["video"], seen["audio"]) if each]
    if seen["brand"].strip() in _STILLS_IN_MP4:
        raise MediaRejected("HEIC and AVIF pictures are not supported: save it as JPEG, PNG or WebP.")
    if not streams:
        raise MediaRejected("The file holds neither picture nor sound.")
    if facts.width is not None and facts.height is not None and min(facts.width, facts.height) < 1:
        raise MediaRejected("The shape of its pixels leaves nothing of the picture.")
    if facts.width and facts.height and facts.width * facts.height > max_pixels:
        pixels = facts.width * facts.height
        raise MediaRejected(
            f"A picture of {facts.width} x {facts.height} has {pixels:,} pixels; {max_pixels:,} are allowed."
        )
    longest = max((each["seconds"] or 0 for each in streams), default=0)
    announced = seen["announced_seconds"] or 0
    end = longest + max(seen["start_seconds"], 0)  # some count from 0, some from the first frame on
    cut = facts.container in _ANNOUNCED and announced - end > max(0.5, announced / 100)
    if seen["breaks_off"] or cut:
        raise MediaRejected("The file is incomplete: it ends before all it announces has come.")
    if facts.kind is not MediaKind.IMAGE and not (facts.duration_seconds and facts.duration_seconds > 0):
        raise MediaRejected("The file has no duration: there is nothing to play.")
    if not all(each["decodes"] for each in streams):
        raise MediaRejected("The file is damaged: not even its beginning can be decoded.")


def _must_be_what_it_claims(facts: MediaFacts, content_type: str, filename: str) -> None:
    claimed = content_type.partition(";")[0].strip().lower()
    if not claimed or claimed.startswith("application/"):
        claimed = mimetypes.guess_type(filename)[0] or ""
    kind = claimed.partition("/")[0]
    if not claimed or kind in {"application", facts.kind.value.lower()}:
        return
    if claimed in _MAY_BE_EITHER and facts.kind is not MediaKind.AUDIO:
        return
    found = {MediaKind.VIDEO: "a video", MediaKind.IMAGE: "an image", MediaKind.AUDIO: "sound only"}[facts.kind]
    raise MediaRejected(f"The file claims to be {claimed}, but it is {found} ({facts.container}).")
