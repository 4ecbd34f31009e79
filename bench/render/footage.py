"""What is cut: films as cameras make them, and a song, made by FFmpeg once for a run of the bench."""

import subprocess
from pathlib import Path

from bench.render.scenario import Footage
from tasks.ffmpeg import find_ffmpeg

SONG = "song.m4a"


def films(wanted: Footage) -> list[str]:
    """Their names."""
    return [f"film-{number:02d}.mp4" for number in range(wanted.files)]


def shoot(folder: Path, wanted: Footage, song_seconds: float) -> None:
    """Make the films and the song."""
    size = f"{wanted.width}x{wanted.height}"
    for number, name in enumerate(films(wanted)):
        picture = (
            f"testsrc2=s={size}:r={wanted.rate},hue=h={number * 29},noise=alls={wanted.grain}:allf=t:all_seed={number}"
        )
        tags = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
        sound = f"sine={200 + 40 * number}:sample_rate=48000,volume=0.2"
        camera = (
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-crf",
            "20",
            "-g",
            str(wanted.groups[number % len(wanted.groups)]),
        )
        _ffmpeg(
            *("-f", "lavfi", "-i", f"{picture},{tags}", "-f", "lavfi", "-i", sound, "-t", str(wanted.seconds)),
            *(*camera, "-keyint_min", "25", "-colorspace", "bt709", "-color_range", "tv", "-color_primaries", "bt709"),
            *("-color_trc", "bt709", "-c:a", "aac", "-ac", "2", folder / name),
        )
    song = "aevalsrc=0.2*sin(2*PI*110*t)*sin(PI*t)|0.2*sin(2*PI*165*t)*sin(PI*t):s=44100"
    _ffmpeg("-f", "lavfi", "-i", song, "-t", str(song_seconds), "-c:a", "aac", folder / SONG)


def _ffmpeg(*arguments: str | Path) -> None:
    command = [find_ffmpeg(None), "-v", "error", "-y", "-nostdin", *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
