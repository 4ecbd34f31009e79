"""The same edit as one command, as a good engineer writes it by hand: what everything is measured against.

It knows nothing of our compiler. The encoders have the same settings, and as many threads.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.render.footage import SONG
from bench.render.reel import CAPTION_SIZE, TITLE_SIZE, Reel
from bench.render.scenario import Encoder
from tasks.ffmpeg import FONT, find_ffmpeg

STYLES = f"""[Script Info]
ScriptType: v4.00+
PlayResX: {{width}}
PlayResY: {{height}}
ScaledBorderAndShadow: yes
YCbCr Matrix: TV.709

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, OutlineColour, BackColour, Bold, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV
Style: Caption,DejaVu Sans,{CAPTION_SIZE},&H00FFFFFF,&H00000000,&H00000000,0,1,2,0,2,96,96,108
Style: Title,DejaVu Sans,{TITLE_SIZE},&H00FFFFFF,&H00000000,&H00000000,0,1,0,0,5,0,0,0

[Events]
Format: Layer, Start, End, Style, Text
"""  # noqa: E501 - the format's own line


@dataclass(frozen=True)
class Spent:
    """What a run took."""

    cpu_seconds: float
    wall_seconds: float


def run(reel: Reel, sources: Path, folder: Path, encoder: Encoder) -> Spent:
    """Render the edit to `plain.mp4` in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "words.ass").write_text("".join(_words(reel)))
    command = [find_ffmpeg(None), "-hide_banner", "-v", "error", "-nostdin", "-y", *_arguments(reel, sources, encoder)]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Spent(usage.ru_utime + usage.ru_stime, time.monotonic() - started)


def _arguments(reel: Reel, sources: Path, encoder: Encoder) -> Iterator[str | Path]:
    rate, fade = reel.rate, reel.fade / reel.rate
    for shot in reel.shots:
        yield from ("-ss", f"{shot.in_ / rate:g}", "-t", f"{shot.length / rate:g}", "-i", sources / shot.film)
    yield from ("-t", f"{reel.length / rate:g}", "-i", sources / SONG)
    chains: list[str] = []
    seen, heard, at = "0:v", "0:a", reel.shots[0].length
    for number, shot in enumerate(reel.shots[1:], 1):
        offset = (at - reel.fade) / rate
        chains.append(f"[{seen}][{number}:v]xfade=fade:duration={fade:g}:offset={offset:g}[v{number}]")
        chains.append(f"[{heard}][{number}:a]acrossfade=d={fade:g}:c1=tri:c2=tri[a{number}]")
        seen, heard = f"v{number}", f"a{number}"
        at += shot.length - reel.fade
    chains.append(f"[{seen}]format=yuv420p,ass=words.ass:fontsdir={FONT.parent}[seen]")
    chains.append(f"[{heard}][{len(reel.shots)}:a]amix=2:normalize=0:duration=first[heard]")
    yield from ("-filter_complex", ";".join(chains), "-map", "[seen]", "-map", "[heard]")
    yield from ("-c:v", "libx264", "-preset", "medium", "-profile:v", "high", "-threads", str(encoder.threads))
    yield from ("-crf", str(encoder.crf), "-g", str(2 * rate), "-keyint_min", str(2 * rate))
    yield from ("-x264-params", "open-gop=0:scenecut=0:stitchable=1", "-pix_fmt", "yuv420p", "-r", str(rate))
    yield from ("-c:a", "aac", "-b:a", "192k", "-ar", "48000", "-ac", "2", "-movflags", "+faststart", "plain.mp4")


def _words(reel: Reel) -> Iterator[str]:
    yield STYLES.format(width=reel.width, height=reel.height)
    for style, words in (("Title", reel.titles), ("Caption", reel.captions)):
        for each in words:
            yield f"Dialogue: 0,{_clock(reel, each.start)},{_clock(reel, each.end)},{style},{each.text}\n"


def _clock(reel: Reel, frame: int) -> str:
    hundredths = round(frame * 100 / reel.rate)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 100:02d}.{rest % 100:02d}"
