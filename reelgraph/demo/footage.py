"""Something to edit: three clips in three formats, a still and a sound, drawn and played by ffmpeg itself."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.ffmpeg import FfmpegProgress, find_ffmpeg, run_ffmpeg
from tasks.process import Limits

FRAME_RATE = 25
CLIP_FRAMES = 4 * FRAME_RATE
SOUND_SECONDS = 12

NIGHT, VIOLET, ROSE, CORAL, SAND = "#0b1026", "#3b1c6b", "#b5326e", "#ff7f50", "#ffd37a"

_DUSK = (
    f"gradients=s=320x180:r={FRAME_RATE}:n=5:c0={NIGHT}:c1={VIOLET}:c2={ROSE}:c3={VIOLET}:c4={NIGHT}"
    ":x0=0:y0=0:x1=320:y1=180:seed=1:speed=0.02,scale=1280:720:flags=bicubic"
)
_FRACTAL = (
    f"mandelbrot=s=640x360:r={FRAME_RATE}:maxiter=256:inner=black:end_pts={CLIP_FRAMES}:end_scale=0.02,"
    "format=gray,format=yuv444p,pseudocolor=preset=magma,scale=1280:720:flags=bicubic"
)
_LIFE = (
    f"life=s=320x180:r={FRAME_RATE}:ratio=0.12:mold=12:seed=3:life_color={SAND}:death_color={ROSE}:mold_color={NIGHT},"
    "scale=1280:720:flags=neighbor"
)
_SUN = (
    f"gradients=s=480x270:n=4:c0={SAND}:c1={CORAL}:c2={VIOLET}:c3={NIGHT}:type=radial:x0=240:y0=135:x1=480:y1=270:seed=1,"
    "scale=1920:1080:flags=bicubic,format=rgb24"
)
_PLUCKS = "aevalsrc='0.25*sin(2*PI*(440+110*mod(floor(t*4),4))*t)*exp(-6*mod(t,0.25))':s=48000:d=4"
_CHORDS = ((220.00, 261.63, 329.63), (174.61, 220.00, 261.63), (130.81, 196.00, 329.63), (196.00, 246.94, 293.66))


@dataclass(frozen=True, kw_only=True)
class Footage:
    """One file, and how ffmpeg makes it."""

    name: str
    content_type: str
    argv: tuple[str, ...]
    frames: int = 0
    """Of picture; 0 for sound."""


def _clip(name: str, content_type: str, picture: str, *encoding: str, sound: str | None = None) -> Footage:
    heard = ("-f", "lavfi", "-i", sound, "-c:a", "pcm_s16le") if sound else ()
    argv = ("-f", "lavfi", "-i", picture, *heard, "-frames:v", str(CLIP_FRAMES), *encoding)
    return Footage(name=name, content_type=content_type, argv=argv, frames=CLIP_FRAMES)


def _music() -> str:
    """Four chords, each of three sines that come and go softly, in a small room."""
    length = SOUND_SECONDS / len(_CHORDS)
    chords = ";".join(
        f"aevalsrc='0.12*({'+'.join(f'sin(2*PI*{hertz}*t)' for hertz in chord)})*min(1,4*min(t,{length}-t))'"
        f":s=48000:d={length}[c{number}]"
        for number, chord in enumerate(_CHORDS)
    )
    links = "".join(f"[c{number}]" for number in range(len(_CHORDS)))
    return (
        f"{chords};{links}concat=n={len(_CHORDS)}:v=0:a=1,aecho=0.8:0.7:70|110:0.3|0.2,aformat=channel_layouts=stereo"
    )


_PRORES = ("-c:v", "prores", "-profile:v", "1", "-pix_fmt", "yuv422p10le")
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", "-pix_fmt", "yuv420p")
_MJPEG = ("-c:v", "mjpeg", "-qmin", "1", "-q:v", "1", "-pix_fmt", "yuvj420p")
"""Large, so that it takes more than one part to upload."""

DUSK = _clip("dusk.mov", "video/quicktime", _DUSK, *_PRORES)
FRACTAL = _clip("fractal.mp4", "video/mp4", _FRACTAL, *_H264)
LIFE = _clip("life.mov", "video/quicktime", _LIFE, *_MJPEG, sound=_PLUCKS)
SUN = Footage(name="sun.png", content_type="image/png", argv=("-f", "lavfi", "-i", _SUN, "-frames:v", "1"), frames=1)
MUSIC = Footage(
    name="music.m4a",
    content_type="audio/mp4",
    argv=("-filter_complex", _music(), "-c:a", "aac", "-b:a", "192k", "-t", str(SOUND_SECONDS)),
)
FOOTAGE = (DUSK, FRACTAL, LIFE, SUN, MUSIC)


async def make(folder: Path, tell: Callable[[str, float], None]) -> None:
    """Make all of it at once in a folder, telling how far it is. Raises FfmpegMissing or FfmpegFailed."""
    binary = await asyncio.to_thread(find_ffmpeg, os.environ.get("FFMPEG_BINARY") or None)
    done = dict.fromkeys(FOOTAGE, 0.0)

    async def one(footage: Footage) -> None:
        def on_progress(progress: FfmpegProgress) -> None:
            done[footage] = progress.fraction
            tell("", sum(done.values()) / len(done))

        await run_ffmpeg(
            binary,
            ["-y", *footage.argv, footage.name],
            folder=folder,
            total_frames=footage.frames,
            on_progress=on_progress,
            limits=Limits(),
        )
        done[footage] = 1.0
        tell(footage.name, sum(done.values()) / len(done))

    async with asyncio.TaskGroup() as making:
        for each in FOOTAGE:
            making.create_task(one(each))
