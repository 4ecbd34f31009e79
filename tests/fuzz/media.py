"""Damage media at random and see that nothing comes of it but an answer.

Small files of every container that we take are mutated, examined as an upload is, and rendered from as a timeline
would. Beside each lie files that it has no business with. Whatever happens, it ends in time and leaves nothing behind.
Case n of a seed is always the same: `--only n` runs it again.
"""

import argparse
import asyncio
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random

import av
from av.error import FFmpegError

from bench.goals import Goal, told
from domain.media import CONTAINERS
from tasks.ffmpeg import FfmpegFailed, find_ffmpeg, run_ffmpeg
from tasks.probe import MediaRejected, probe
from tasks.process import Limits
from tests import media
from tests.watch import Opened, at_work_in, untouched

MAX_PIXELS = 1_000_000
LIMITS = Limits(cpu_seconds=20, wall_seconds=40, file_bytes=10**7, memory_bytes=2**31, max_pixels=MAX_PIXELS)
SECRET = 39_533
"""The number that the frames of the precious film show."""
LONGEST_SECONDS = 90.0
"""A probe gives up after a minute, a render here after 40 s."""
_SIZED = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "1", "-c:a", "aac")
_ENCODED = {
    "mp4": ("mp4", _SIZED),
    "mov": ("mov", _SIZED),
    "matroska": ("mkv", (*_SIZED, "-c:a", "flac")),
    "webm": ("webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")),
    "avi": ("avi", ("-c:v", "mpeg4", "-c:a", "mp3")),
    "mpegts": ("ts", _SIZED),
    "mp3": ("mp3", ("-vn",)),
    "wav": ("wav", ("-vn",)),
    "flac": ("flac", ("-vn",)),
    "ogg": ("ogg", ("-vn", "-c:a", "libvorbis")),
    "aac": ("aac", ("-vn",)),
    "aiff": ("aiff", ("-vn",)),
    "gif": ("gif", ("-an",)),
    **{name: (name, ("-an", "-frames:v", "1")) for name in ("png", "jpeg", "webp", "bmp", "tiff")},
}
EXTREMES = (b"\0\0\0\0", b"\0\0\0\1", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f")
LURES = (b"ffconcat version 1.0\nfile precious.mp4\n", b"#EXTM3U\n#EXTINF:2,\nprecious.ts\n", b"file:precious.txt\0")


def seeds(folder: Path) -> Mapping[str, bytes]:
    """A small sound file of each container."""
    film = media.counter(folder / "film.mp4", frames=12, size=(96, 64))
    tone = media.tone(folder / "tone.wav", seconds=0.5, channels=1)
    made: dict[str, bytes] = {}
    for name, (ending, options) in _ENCODED.items():
        path = folder / f"seed-{name}.{ending}"
        media.ffmpeg("-i", film, "-i", tone, *options, path)
        made[name] = path.read_bytes()
    assert made.keys() == CONTAINERS.keys()
    return made


def mutated(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """The file with a few harms done to it."""
    for _ in range(random.choice((1, 1, 2, 3, 5, 10))):
        data = random.choice(HARMS)(data, others, random) or data
    return data


Harm = Callable[[bytes, Sequence[bytes], Random], bytes]


def _somewhere(data: bytes, random: Random) -> int:
    """A place: as often in the head, where sizes and counts are, as anywhere."""
    return random.randrange(min(len(data), random.choice((64, 1024, len(data)))))


def _overwritten(data: bytes, random: Random, new: bytes) -> bytes:
    at = _somewhere(data, random)
    return data[:at] + new + data[at + len(new) :]


def _flipped(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return _overwritten(data, random, bytes([random.randrange(256)]))


def _extreme(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return _overwritten(data, random, random.choice(EXTREMES)[-random.choice((1, 2, 4, 4)) :])


def _noisy(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return _overwritten(data, random, random.randbytes(random.choice((4, 32, 512))))


def _blank(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return _overwritten(data, random, bytes([random.choice((0, 255))]) * random.choice((4, 64, 1024)))


def _shorter(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return data[: random.randrange(1, len(data) + 1)]


def _without(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    at = _somewhere(data, random)
    return data[:at] + data[at + random.choice((1, 2, 8, 100)) :]


def _repeated(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    at, length = _somewhere(data, random), random.choice((4, 32, 400, 4000))
    return data[:at] + data[at : at + length] * random.choice((2, 2, 3, 50)) + data[at + length :]


def _spliced(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    other = random.choice(others)
    at, their = _somewhere(data, random), _somewhere(other, random)
    return data[:at] + other[their:]


def _lured(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return _overwritten(data, random, random.choice(LURES))


HARMS: tuple[Harm, ...] = (
    *(_flipped, _extreme, _extreme, _extreme, _noisy, _blank),
    *(_shorter, _without, _repeated, _spliced, _lured),
)


@dataclass
class Tally:
    """What came of all cases."""

    ended: Counter[str] = field(default_factory=Counter)
    """What was answered, by kind."""
    wrong: Counter[str] = field(default_factory=Counter)
    """What must not happen, by kind."""
    longest: float = 0.0


def shown(path: Path) -> Sequence[int]:
    """The numbers that the frames of a file show, if it has any."""
    try:
        with av.open(path) as container:
            has_picture = bool(container.streams.video)
        return media.numbers(path) if has_picture else ()
    except FFmpegError:
        return ()


class Fuzz:
    """One run: media to harm, a folder to work in, and a place for what was found."""

    def __init__(self, folder: Path, keep: Path, seed: int) -> None:
        """Make the media."""
        self.tally = Tally()
        self._folder, self._keep, self._seed = folder, keep, seed
        made = folder / "made"
        made.mkdir()
        self._seeds = seeds(made)
        self._precious = [media.counter(made / f"precious.{end}", frames=3, first=SECRET) for end in ("mp4", "ts")]
        words = made / "precious.txt"
        words.write_text("precious words\n" * 20)
        self._precious.append(words)

    def case(self, number: int) -> tuple[str, bytes]:
        """The container and the bytes of a case."""
        random = Random(f"{self._seed}:{number}")
        container = random.choice(list(self._seeds))
        return container, mutated(self._seeds[container], list(self._seeds.values()), random)

    async def run(self, number: int) -> None:
        """Go through one case, and count what came of it."""
        container, data = self.case(number)
        folder = self._folder / str(number)
        folder.mkdir()
        for path in self._precious:
            shutil.copy(path, folder)
        before = {*folder.iterdir(), folder / "original", folder / "out.mkv"}
        (folder / "original").write_bytes(data)
        begun = time.monotonic()
        try:
            with untouched(*(folder / path.name for path in self._precious)):
                await self._lived(folder, container, number)
        except Opened as error:
            self._found("opened", number, data, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
            self._found("crashed", number, data, error)
        self.tally.longest = max(self.tally.longest, time.monotonic() - begun)
        for command in at_work_in(folder):
            self._found("processes", number, data, command)
        for path in set(folder.rglob("*")) - before:
            self._found("files", number, data, path)
        shutil.rmtree(folder)

    async def _lived(self, folder: Path, container: str, number: int) -> None:
        """What an upload and then a render do with it."""
        try:
            facts = await probe(
                folder / "original", claimed_content_type="", filename="original", max_pixels=MAX_PIXELS
            )
            demuxer = CONTAINERS.get(facts.container, CONTAINERS[container])
            self.tally.ended["accepted"] += 1
            assert "precious words" not in str(facts)
        except MediaRejected as rejected:
            self._judged("refused", rejected.reason)
            demuxer = CONTAINERS[container]
            if number % 4:  # such a file is never rendered from; if it were after all, it should do no harm
                return
        await self._rendered(folder, demuxer)

    async def _rendered(self, folder: Path, demuxer: str) -> None:
        argv = ["-f", demuxer, "-noautorotate", "-i", "original", "-map", "0:v:0?", "-map", "0:a:0?", "-frames:v", "5"]
        argv += ["-vf", "scale=64:64,format=yuv420p", "-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0"]
        argv += ["-c:a", "flac", "-map_metadata", "-1", "-y", "out.mkv"]
        try:
            await run_ffmpeg(
                find_ffmpeg(None), argv, folder=folder, total_frames=5, on_progress=lambda _: None, limits=LIMITS
            )
        except FfmpegFailed as failed:
            self._judged("not rendered", f"{failed.code} {failed}")
            return
        self.tally.ended["rendered"] += 1
        if SECRET in shown(folder / "out.mkv"):
            raise Opened("what is precious is seen")

    def _judged(self, kind: str, reason: str) -> None:
        """Count a refusal; where a decoder broke in its cage, or was stopped there, as that."""
        if "breaks the program" in reason or reason.startswith(("-11 ", "-6 ", "-7 ", "-8 ", "-4 ")):
            kind = f"{kind}, a decoder broke"
        elif "takes too long" in reason or "it took longer" in reason or "processor time" in reason:
            kind = f"{kind}, time was over"
        self.tally.ended[kind] += 1

    def _found(self, kind: str, number: int, data: bytes, what: object) -> None:
        self.tally.wrong[kind] += 1
        self._keep.mkdir(parents=True, exist_ok=True)
        path = self._keep / f"{kind}-{self._seed}-{number}-{hashlib.sha256(data).hexdigest()[:8]}"
        path.write_bytes(data)
        said = f"{kind}: case {number} of seed {self._seed}: {type(what).__name__} {what}; kept as {path}"
        print(said, flush=True)  # noqa: T201 - it is a command


async def fuzz(run: Fuzz, numbers: Iterator[int], seconds: float) -> None:
    """Go through cases, as many at once as there are processors, until they or the time run out."""
    until = time.monotonic() + seconds

    async def lane() -> None:
        for number in numbers:
            await run.run(number)
            if time.monotonic() > until:
                return

    await asyncio.gather(*(lane() for _ in range(os.cpu_count() or 1)))


def main(arguments: Sequence[str]) -> int:
    """Run, tell what came of it, and how it compares with what is promised."""
    parser = argparse.ArgumentParser(prog="make fuzz-media", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--count", type=int, help="how many cases, instead of a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one case")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "reelgraph-fuzz")
    given = parser.parse_args(arguments)
    numbers = iter([given.only]) if given.only is not None else iter(range(given.count)) if given.count else count()
    with tempfile.TemporaryDirectory(prefix="fuzz-media-") as folder:
        run = Fuzz(Path(folder).resolve(), given.keep, given.seed)
        endless = given.count or given.only is not None
        asyncio.run(fuzz(run, numbers, float("inf") if endless else given.minutes * 60))
    tally = run.tally
    for kind, times in sorted(tally.ended.items()):
        print(f"{kind}: {times}")  # noqa: T201 - it is a command
    wrong = {
        "crashed": "errors of ours",
        "opened": "other files opened",
        "processes": "processes left",
        "files": "files left",
    }
    return told(
        [
            *(Goal(name=name, value=tally.wrong[kind], wanted=0) for kind, name in wrong.items()),
            Goal(name="longest case", value=tally.longest, wanted=LONGEST_SECONDS, unit="s"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
