"""Where edits are filmed without a server: small sources made by FFmpeg, and any frames of any edit as bytes."""

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from domain.ffmpeg.command import Original, Shipped
from domain.ffmpeg.graph import Graph
from domain.ffmpeg.stage import Source, Stage
from domain.media import MediaFacts, MediaKind
from domain.timeline import Canvas, Timeline
from domain.timeline.layers import laid
from domain.timeline.placing import placed
from tasks.ffmpeg import FONT, find_ffmpeg

CANVAS = Canvas(width=160, height=90, frame_rate=Fraction(25))
SECONDS = 2
NO_CACHE = "Fontconfig error: No writable cache directories"
"""Which it does not need: it looks at two fonts."""
_TO_RGB = "scale=in_color_matrix=bt709:in_range=tv:out_range=pc,format=rgb24"


def _hills(size: tuple[int, int], sky: str, sun: str, hills: str, *, left: int = 0, by_night: bool = False) -> str:
    """A landscape that moves past: sky, a sun or a moon, three rows of hills, the nearest with trees."""
    width, height = size
    unit = 1.25 if height > width else 320 / width
    x, y = f"(X*{unit:g}+{left})", f"(Y*{unit:g})"
    rows = [
        f"104+13*sin(({x}+N*0.5)/37)+6*sin(({x}+N*0.5)/13)",
        f"126+11*sin(({x}+N)/29+2)+4*sin(({x}+N)/11)",
        f"152+8*sin(({x}+N*2)/23+4)-9*abs(sin(({x}+N*2)/6))",
    ]
    disc = f"lt(hypot({x}-232,{y}-62),{17 if by_night else 24})"
    planes: list[str] = []
    for index, plane in enumerate("rgb"):
        top, low = (int(each[2 * index : 2 * index + 2], 16) for each in sky.split())
        lit = int(sun[2 * index : 2 * index + 2], 16)
        far, middle, near = (int(each[2 * index : 2 * index + 2], 16) for each in hills.split())
        air = f"if({disc},{lit},{top}+({low - top})*min(1,{y}/120))"
        ground = f"if(gt({y},{rows[1]}),{middle},{far})"
        value = f"if(gt({y},{rows[2]}),{near},if(gt({y},{rows[0]}),{ground},{air}))"
        planes.append(f"{plane}='{value}'")
    return f"color=black:s={width}x{height}:r=25,format=gbrp,geq={':'.join(planes)}"


VALLEY = _hills((320, 180), "3d5a98 f6bd7a", "fff3d6", "7d6b91 4a5a7d 24304f")
NIGHT = _hills((480, 320), "070b24 3c4f8a", "e8ecf8", "26355f 17224a 0a1030", by_night=True)
DUSK = "gradients=s=320x180:r=25:c0=0x1b2a6b:c1=0xd1495b:c2=0xedae49:n=3:x0=0:y0=180:x1=320:y1=0:speed=0.02:seed=7"
SCREEN = (
    "color=0x00b140:s=160x90:r=25,format=gbrp,geq=r='if(lt(hypot(X-40-2*N,Y-45),26),236,r(X,Y))'"
    ":g='if(lt(hypot(X-40-2*N,Y-45),26),96,g(X,Y))':b='if(lt(hypot(X-40-2*N,Y-45),26),58,b(X,Y))'"
)
TALL = _hills((90, 160), "5fb0c9 f3e2b3", "fffdf2", "9dbb8f 5d8a6a 2f5747", left=160)
BADGE = (
    "color=black@0:s=96x96:r=25,format=rgba,geq=r=255:g='200-Y':b=40"
    ":a='255*clip(18-abs(hypot(X-47.5,Y-47.5)-28),0,1)*between(mod(atan2(Y-47.5,X-47.5)*6/PI,2),0,1.5)'"
)
H264 = ("-c:v", "libx264", "-qp", "2", "-g", "10", "-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_range", "tv")


def cube(size: int = 9) -> str:
    """A table of colours in the manner of the cinema: shadows turn teal, lights turn orange."""
    steps = [each / (size - 1) for each in range(size)]
    rows = [
        f"{min(1, r * 1.1):.6f} {g * 0.95 + 0.02:.6f} {b * 0.75 + 0.15:.6f}"
        for b in steps
        for g in steps
        for r in steps
    ]
    return "\n".join([f"LUT_3D_SIZE {size}", *rows]) + "\n"


@dataclass(frozen=True, kw_only=True)
class Studio:
    """The sources, each under its name, in a folder."""

    folder: Path
    sources: dict[str, Source]

    @property
    def facts(self) -> dict[str, MediaFacts | None]:
        """What is known of the sources."""
        return {name: source.facts for name, source in self.sources.items()}

    def frames(
        self, edit: Timeline, first: int, count: int, *, scale: Fraction = Fraction(1), as_rgb: bool = False
    ) -> list[bytes]:
        """Frames of an edit, as stored (YUV 4:2:0) or as seen (RGB)."""
        graph = Graph()
        width, height = int(edit.canvas.width * scale), int(edit.canvas.height * scale)
        rate = edit.canvas.frame_rate
        stage = Stage(width=width, height=height, rate=rate, scale=scale, sources=self.sources)
        link = laid(graph, stage, placed(edit, self.facts), first=first, count=count, background=edit.background)
        link = graph.chain(_TO_RGB if as_rgb else "format=yuv420p", links=[link])
        out = self._run(graph, ["-map", link, "-fps_mode", "passthrough", "-f", "rawvideo", "-"])
        size = width * height * 3 // (1 if as_rgb else 2)
        found = [out[at : at + size] for at in range(0, len(out), size)]
        assert len(found) == count, f"{len(found)} frames instead of {count}"
        return found

    def _run(self, graph: Graph, rest: list[str]) -> bytes:
        arguments = graph.arguments()
        for name, text in graph.files.items():
            (self.folder / name).write_text(text)
        for name, needs in graph.inputs.items():
            if isinstance(needs, Shipped) and not (self.folder / name).exists():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).symlink_to(_shipped(needs.name))
        command = [
            find_ffmpeg(None),
            "-v",
            "error",
            "-nostdin",
            "-copyts",
            "-start_at_zero",
            *graph.options,
            *arguments,
            *rest,
        ]
        fonts = {"FONTCONFIG_FILE": str(FONT.parent / "fonts.conf")}  # as for every child: none of the machine's
        ran = subprocess.run(command, cwd=self.folder, env=fonts, capture_output=True, check=False)
        said = set(ran.stderr.decode().splitlines()) - {NO_CACHE, ""}
        assert (ran.returncode, said) == (0, set())
        return ran.stdout


def _shipped(name: str) -> Path:
    (found,) = (Path(__file__).parents[2] / "tasks").rglob(Path(name).name)
    return found


def built(folder: Path) -> Studio:
    """Make the sources in a folder."""
    (folder / "in").mkdir(parents=True)
    sources = dict(_made(folder))
    text = cube()
    lut = _kept(folder, "lut.cube", text.encode(), MediaFacts(kind=MediaKind.LUT, container="cube"))
    return Studio(folder=folder, sources={**sources, "lut": replace(lut, text=text)})


def _made(folder: Path) -> Iterator[tuple[str, Source]]:
    for name, source in (("valley", VALLEY), ("dusk", DUSK), ("screen", SCREEN), ("tall", TALL)):
        width, height = (90, 160) if name == "tall" else (160, 90) if name == "screen" else (320, 180)
        facts = MediaFacts(
            kind=MediaKind.VIDEO,
            container="mp4",
            video_codec="h264",
            width=width,
            height=height,
            color_matrix="bt709",
            frame_rate="25",
            duration_seconds=SECONDS,
            frame_count=25 * SECONDS,
        )
        matrix = "scale=out_color_matrix=bt709:out_range=tv"
        yield name, _film(folder, f"{name}.mp4", f"{source},{matrix}", ["-t", str(SECONDS), *H264], facts)
    photo = MediaFacts(kind=MediaKind.IMAGE, container="png", video_codec="png", width=480, height=320)
    yield "photo", _film(folder, "photo.png", f"{NIGHT},format=rgb24", ["-frames:v", "1"], photo)
    badge = replace(photo, width=96, height=96)
    yield "badge", _film(folder, "badge.png", BADGE, ["-frames:v", "1"], badge)


def _film(folder: Path, name: str, source: str, options: list[str], facts: MediaFacts) -> Source:
    path = folder / name
    command = [find_ffmpeg(None), "-v", "error", "-f", "lavfi", "-i", source, *options, path]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return _kept(folder, name, path.read_bytes(), facts)


def _kept(folder: Path, name: str, content: bytes, facts: MediaFacts) -> Source:
    checksum = hashlib.sha256(content).hexdigest()
    (folder / name).write_bytes(content)
    (folder / name).rename(folder / "in" / checksum)
    return Source(original=Original(asset_id=name, sha256=checksum), facts=facts)
