"""Files made to harm: every one ends in a clear refusal, within bounds, and leads to no other file.

Each lies in a folder with a precious file that it asks for, and that nobody may open. The kernel would not let a child
out of its folder (see test_process.py); here it is FFmpeg that is told to stay with one file.
"""

import asyncio
import os
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from domain.media import CONTAINERS, MediaFacts
from tasks import probe as probing
from tasks.ffmpeg import FONT, FfmpegFailed, find_ffmpeg, run_ffmpeg
from tasks.probe import MediaRejected, probe
from tasks.process import Limits
from tests import media
from tests.watch import Opened, at_work_in, untouched

pytestmark = pytest.mark.anyio

MAX_PIXELS = 1_000_000
SECRET = 43_690
"""The number that the frames of the precious film show."""
LIMITS = Limits(cpu_seconds=20, wall_seconds=30, file_bytes=10**7, memory_bytes=2**31, max_pixels=MAX_PIXELS)
DEMUXERS = tuple(dict.fromkeys(CONTAINERS.values()))
LONGEST = 20.0
"""Seconds that a refusal may take on a busy machine."""


async def refused(path: Path, claimed: str = "video/mp4") -> str:
    """Why the upload of this file is refused."""
    with pytest.raises(MediaRejected) as caught:
        await probed(path, claimed)
    return caught.value.reason


async def probed(path: Path, claimed: str = "") -> MediaFacts:
    """What an upload of this file is, known in time."""
    async with in_bounds(path.parent):
        return await probe(path, claimed_content_type=claimed, filename="a.mp4", max_pixels=MAX_PIXELS)


async def rendered(path: Path, demuxer: str, *more: str) -> None:
    """Use the file as a render would. Raises FfmpegFailed, in time."""
    given = ["-f", demuxer, "-noautorotate", "-i", f"file:{path.relative_to(path.parents[0])}"]
    made = ["-frames:v", "2", "-c:v", "libx264", "-preset", "ultrafast", "-t", "2", "-y", "out.mp4"]
    async with in_bounds(path.parent):
        await run_ffmpeg(
            find_ffmpeg(None),
            [*given, *more, *made],
            folder=path.parent,
            total_frames=2,
            on_progress=lambda _: None,
            limits=LIMITS,
        )


class in_bounds:  # noqa: N801 - reads as what it is
    """Nothing takes too long, or lives on in the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def __aenter__(self) -> None:
        self.begun = time.monotonic()

    async def __aexit__(self, *_: object) -> None:
        assert time.monotonic() - self.begun < LONGEST
        assert at_work_in(self.folder) == []


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Sound media to be harmed, and a precious film in several formats."""
    folder = tmp_path_factory.mktemp("shelf")
    precious = {
        f"precious.{ending}": media.counter(folder / f"precious.{ending}", frames=3, first=SECRET)
        for ending in ("mp4", "ts", "mov")
    }
    stills = {
        f"still.{ending}": media.still(folder / f"still.{ending}", "red")
        for ending in ("png", "gif", "jpg", "bmp", "tiff", "webp")
    }
    film = media.counter(folder / "film.mov", frames=10, size=(64, 64))
    return {**precious, **stills, "film.mov": film}


@pytest.fixture
def folder(shelf: Mapping[str, Path], tmp_path: Path) -> Path:
    """A job's folder, with what is precious in it."""
    for name, path in shelf.items():
        if name.startswith("precious"):
            (tmp_path / name).write_bytes(path.read_bytes())
    (tmp_path / "precious.txt").write_text("precious words\n" * 20)
    (tmp_path / "precious001.png").write_bytes(shelf["still.png"].read_bytes())
    return tmp_path


def precious(folder: Path) -> list[Path]:
    return sorted(folder.glob("precious*"))


# --- files that name others -----------------------------------------------------------------------------------------

NOT_MEDIA = "The file is not a media file of a kind we can read."

LEADING = {
    "ffconcat": "ffconcat version 1.0\nfile precious.mp4\n",
    "ffconcat by its whole path": "ffconcat version 1.0\nfile '{folder}/precious.mp4'\n",
    "ffconcat by URL": "ffconcat version 1.0\nfile file:precious.mp4\noption safe 0\n",
    "ffconcat of itself": "ffconcat version 1.0\n" + "file a.mp4\n" * 1000,
    "ffconcat of words": "ffconcat version 1.0\nfile precious.txt\n",
    "a list for concat": "file precious.mp4\nfile precious.mp4\n",
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nprecious.ts\n#EXT-X-ENDLIST\n",
    "HLS by its whole path": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{folder}/precious.ts\n#EXT-X-ENDLIST\n",
    "HLS of several sizes": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nprecious.ts\n",
    "HLS with a key": (
        '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="precious.txt"\n#EXTINF:2,\n'
        "crypto+file:precious.ts\n#EXT-X-ENDLIST\n"
    ),
    "HLS with a map": (
        '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI="precious.mp4"\n#EXTINF:2,\nprecious.mp4\n#EXT-X-ENDLIST\n'
    ),
    "HLS by the concat protocol": (
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nconcat:precious.txt|subfile,,start,0,end,9,,:precious.ts\n"
    ),
    "HLS with data in it": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ndata:video/mp2t;base64,R0A=\n",
    "HLS from a server": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/precious.ts\n",
    "DASH": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
        'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>precious.mp4</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    ),
    "an entity of XML": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "precious.txt">]><a>&b;</a>',
    "SVG": (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">'
        '<image xlink:href="precious001.png" width="64" height="64"/></svg>'
    ),
    "SVG that includes": (
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xi="http://www.w3.org/2001/XInclude">'
        '<text><xi:include href="precious.txt" parse="text"/></text></svg>'
    ),
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "AviSynth": 'AviSource("precious.mp4")\n',
    "SMIL": '<smil><body><video src="precious.mp4"/></body></smil>',
    "SubRip": '1\n00:00:00,000 --> 00:00:02,000\n<font face="precious.txt">words</font>\n',
    "WebVTT": "WEBVTT\n\n00:00.000 --> 00:02.000\nwords\n",
    "ASS": (
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Start, End, Text\n"
        "Dialogue: 0:00:00.00,0:00:02.00,{{\\fnprecious.txt}}words\n"
    ),
    "SAMI": "<SAMI><BODY><SYNC Start=0><P>words</SAMI>",
    "VobSub": "# VobSub index file, v7 (do not modify this line!)\ntimestamp: 00:00:00:000, filepos: 0\n",
    "settings of FFmpeg": ";FFMETADATA1\ntitle=words\n[CHAPTER]\nSTART=0\nEND=1\n",
    "a pattern of pictures": "precious%03d.png\n",
    "RTSP": "rtsp://127.0.0.1:9/\n",
    "QuickTime by reference": "RTSPtext\nrtsp://127.0.0.1:9/precious.mp4\n",
}


@pytest.mark.parametrize("name", LEADING)
async def test_a_file_that_names_others_is_refused_and_leads_nowhere(folder: Path, name: str) -> None:
    path = folder / "a.mp4"
    path.write_text(LEADING[name].format(folder=folder))
    with untouched(*precious(folder)):
        reason = await refused(path)
    # What is words is not taken for a film, either.
    assert reason == NOT_MEDIA or reason.startswith("The file claims to be video/mp4, but ")


@pytest.mark.parametrize("name", LEADING)
async def test_in_a_render_it_leads_nowhere_either(folder: Path, name: str) -> None:
    """Whatever it may once have been taken for: by each demuxer that we use, and guessed."""
    path = folder / "a.mp4"
    path.write_text(LEADING[name].format(folder=folder))
    with untouched(*precious(folder)):
        for demuxer in ("mov", "mpegts", "mp3", "aac", "png_pipe"):
            with pytest.raises(FfmpegFailed):
                await rendered(path, demuxer)
        with pytest.raises(FfmpegFailed):
            await run_ffmpeg(
                find_ffmpeg(None),
                ["-i", "a.mp4", "-f", "null", "-"],
                folder=folder,
                total_frames=1,
                on_progress=lambda _: None,
                limits=LIMITS,
            )


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (LEADING["ffconcat"].encode(), ["-safe", "0", "-f", "concat"]),
        (LEADING["HLS"].encode(), ["-allowed_extensions", "ALL", "-extension_picky", "0", "-f", "hls"]),
        (None, ["-enable_drefs", "1", "-protocol_whitelist", "file", "-f", "mov"]),
    ],
)
async def test_such_files_do_lead_elsewhere_when_nobody_stops_them(
    folder: Path, content: bytes | None, options: list[str]
) -> None:
    """Else these tests would show nothing."""
    path = folder / "a.mp4"
    path.write_bytes(content or referring((folder / "precious.mov").read_bytes(), "/precious.mov"))
    with pytest.raises(Opened), untouched(*precious(folder)), suppress(CalledProcessError):
        media.ffmpeg(*options, "-i", path, "-f", "null", "-")


@pytest.mark.parametrize("name", ["a%03d.png", "precious%03d.png", "precious*.png", "concat:precious.txt|b", "data:,a"])
async def test_a_name_is_a_name_and_no_pattern(folder: Path, shelf: Mapping[str, Path], name: str) -> None:
    path = folder / name
    path.write_bytes(shelf["still.png"].read_bytes())
    others = [each for each in precious(folder) if each != path]
    with untouched(*others):
        assert (await probed(path, "image/png")).width == 320
        await rendered(path, "png_pipe")
        path.unlink()
        with pytest.raises(FfmpegFailed, match="No such file"):
            await rendered(path, "png_pipe")


async def test_a_list_of_our_own_leads_to_nothing_but_media_beside_it(folder: Path) -> None:
    """The list that a movie is joined by names pieces. What a piece is made to name lies elsewhere, or is no media."""
    outer, inner = folder / "list.txt", folder / "piece.mp4"
    outer.write_text("ffconcat version 1.0\nfile piece.mp4\n")
    for name in (f"{folder}/precious.mp4", "../precious.mp4", "precious.txt"):
        inner.write_text(f"ffconcat version 1.0\nfile {name}\n")
        with pytest.raises(FfmpegFailed):
            await rendered(outer, "concat")


def atom(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", len(body) + 8) + kind + body


def changed(data: bytes, path: str, change: Callable[[bytes], bytes]) -> bytes:
    """An MP4 with the content of its atoms at this path changed, all sizes set right."""
    kind, _, rest = path.partition("/")
    out, at = b"", 0
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + size]
        if name == kind.encode():
            body = changed(body, rest, change) if rest else change(body)
        out, at = out + atom(name, body), at + size
    return out


def alias(path: str) -> bytes:
    """A reference to a file in the manner of the classic Mac OS: by volume, name, levels of folders, and path."""
    whole = path.encode() + b"\0" * (len(path) % 2)
    name = path.rpartition("/")[2].encode()
    levels = struct.pack(">hh16x", 1, 1)
    return (
        bytes(14 + 28 + 12)
        + struct.pack("B63s16x", len(name), name)
        + levels
        + struct.pack(">hH", 2, len(path))
        + whole
    )


def referring(data: bytes, name: str) -> bytes:
    entry = atom(b"alis", alias(name))
    reference = struct.pack(">II", 0, 1) + entry
    return changed(data, "moov/trak/mdia/minf/dinf/dref", lambda _: reference)


@pytest.mark.parametrize("name", ["/precious.mov", "{folder}/precious.mov", "precious.mov"])
async def test_a_film_whose_frames_lie_in_another_file_shows_none_of_it(
    folder: Path, shelf: Mapping[str, Path], name: str
) -> None:
    path = folder / "a.mov"
    path.write_bytes(referring(shelf["precious.mov"].read_bytes(), name.format(folder=folder)))
    assert b"alis" in path.read_bytes()
    with untouched(*precious(folder)):
        with suppress(MediaRejected):
            await probed(path)
        with suppress(FfmpegFailed):
            await rendered(path, "mov", "-an")


async def test_what_is_attached_to_a_film_stays_in_it_and_no_chain_of_films_is_followed(folder: Path) -> None:
    path = folder / "a.mkv"
    attached = ["-attach", folder / "precious.txt", "-metadata:s:t", "mimetype=text/plain"]
    media.ffmpeg("-i", folder / "precious.mp4", *attached, "-c", "copy", folder / "b.mkv")
    whole = (folder / "b.mkv").read_bytes()
    # In place of its own number and of the program that wrote it: the number and the name of the film that comes next.
    number, program = whole.index(b"\x73\xa4\x90"), whole.index(b"\x57\x41\x8cLavf")
    chained = patched(whole, number, "19s", b"\x3e\xb9\x23\x8f" + b"1" * 15)
    path.write_bytes(patched(chained, program, "15s", b"\x3e\x83\xbb\x8bprecious.ts"))
    (folder / "b.mkv").unlink()
    before = sorted(folder.iterdir())
    with untouched(*precious(folder)):
        assert (await probed(path)).frame_count == 3
        await rendered(path, "matroska")
    assert sorted(folder.iterdir()) == sorted([*before, folder / "out.mp4"])


ASS = """[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,DejaVu Sans,9
[Events]
Format: Start, End, Style, Text
Dialogue: 0:00:00.00,0:00:09.00,Default,{text}
"""


@pytest.mark.parametrize(
    "text",
    [
        "':textfile=precious.txt",
        "a\\':textfile=precious.txt:x='",
        "%{pts}%{expr:1}%{metadata:a}",
        "{\\fnprecious.txt}{\\p1}m 0 0{\\p0}[Fonts]",
        "x[out];movie=precious.mp4[v]",
        "\\N,ass=precious.txt",
    ],
)
async def test_words_in_a_picture_are_only_words(folder: Path, text: str) -> None:
    (folder / "text.txt").write_text(text)
    (folder / "font.ttf").hardlink_to(FONT)
    (folder / "a.ass").write_text(ASS.format(text=text))
    drawn = "drawtext=textfile=text.txt:expansion=none:fontfile=font.ttf,ass=a.ass:fontsdir=."
    names = [each for each in precious(folder) if each.suffix != ".ttf"]
    # A folder of fonts is read whole, so what is precious must not lie in it when captions are drawn.
    for path in names:
        (folder.parent / f"{folder.name}-{path.name}").hardlink_to(path)
        path.unlink()
    with untouched(*(folder.parent / f"{folder.name}-{path.name}" for path in names)):
        await run_ffmpeg(
            find_ffmpeg(None),
            ["-f", "lavfi", "-i", "color=black:s=320x180", "-vf", drawn, "-frames:v", "1", "out.png"],
            folder=folder,
            total_frames=1,
            on_progress=lambda _: None,
            limits=LIMITS,
        )


# --- bombs ----------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(10**6))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def patched(data: bytes, at: int, form: str, *values: int | bytes) -> bytes:
    new = struct.pack(form, *values)
    return data[:at] + new + data[at + len(new) :]


def large_jpeg(data: bytes) -> bytes:
    return patched(data, data.index(b"\xff\xc0") + 5, ">HH", 60000, 60000)


def large_gif(data: bytes) -> bytes:
    frame = data.index(b"\x2c\0\0\0\0")
    return patched(patched(data, 6, "<HH", 60000, 60000), frame + 5, "<HH", 60000, 60000)


def large_tiff(data: bytes) -> bytes:
    """Its directory of 12-byte entries, with another width (256) and height (257)."""
    (at,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[at : at + 2])
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack("<H", data[entry : entry + 2])[0] in {256, 257}:
            data = patched(data, entry + 2, "<HII", 4, 1, 60000)
    return data


def large_webp(_: bytes) -> bytes:
    body = b"\x2f" + struct.pack("<I", 16383 | 16383 << 14) + bytes(1000)
    part = b"VP8L" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(part) + 4) + b"WEBP" + part


IMAGE_BOMBS = {
    "png": ("png_pipe", lambda _: png(60000, 60000)),
    "jpg": ("jpeg_pipe", large_jpeg),
    "gif": ("gif", large_gif),
    "bmp": ("bmp_pipe", lambda data: patched(data, 18, "<ii", 60000, 60000)),
    "tiff": ("tiff_pipe", large_tiff),
    "webp": ("webp_pipe", large_webp),
}


@pytest.mark.parametrize("ending", IMAGE_BOMBS)
async def test_a_picture_too_large_is_refused_before_it_unfolds(
    folder: Path, shelf: Mapping[str, Path], ending: str
) -> None:
    demuxer, enlarged = IMAGE_BOMBS[ending]
    path = folder / f"a.{ending}"
    path.write_bytes(enlarged(shelf[f"still.{ending}"].read_bytes()))
    reason = await refused(path, f"image/{ending}")
    side = "16384 x 16384" if ending == "webp" else "60000 x 60000"
    assert reason.startswith((f"A picture of {side} has ", "The file is damaged")), reason
    with pytest.raises(FfmpegFailed):
        await rendered(path, demuxer)


async def test_a_small_picture_with_a_large_profile_in_it_is_read_or_refused(folder: Path) -> None:
    path = folder / "a.png"
    bomb = zlib.compress(bytes(64 * 2**20), 1)
    path.write_bytes(png(64, 64, chunk(b"iCCP", b"a\0\0" + bomb), *[chunk(b"zTXt", b"a\0\0" + bomb)] * 4))
    with suppress(MediaRejected):
        assert (await probed(path, "image/png")).width == 64
    with suppress(FfmpegFailed):
        await rendered(path, "png_pipe")


async def test_a_film_too_large_is_refused_before_it_unfolds(folder: Path) -> None:
    path = folder / "a.avi"
    media.ffmpeg(
        "-f", "lavfi", "-i", "color=s=64x64:r=25", "-frames:v", "2", "-c:v", "rawvideo", "-pix_fmt", "bgr24", path
    )
    data = path.read_bytes()
    path.write_bytes(patched(data, data.index(b"strf") + 12, "<ii", 60000, 60000))
    assert await refused(path) == "A picture of 60000 x 60000 has 3,600,000,000 pixels; 1,000,000 are allowed."
    with pytest.raises(FfmpegFailed):
        await rendered(path, "avi")


async def test_a_film_that_grows_beyond_all_bounds_shows_nothing_of_that(folder: Path) -> None:
    """Its first frames are small; only they are seen at ingest."""
    path = folder / "a.ts"
    parts = []
    for size in ("64x64", "4096x4096"):
        media.ffmpeg("-f", "lavfi", "-i", f"color=s={size}:r=25", "-frames:v", "5", *media.H264, folder / f"{size}.ts")
        parts.append((folder / f"{size}.ts").read_bytes())
    path.write_bytes(b"".join(parts))
    with suppress(MediaRejected):
        assert (await probed(path)).width == 64
    with suppress(FfmpegFailed):
        await rendered(path, "mpegts", "-vf", "scale=64:64")


@pytest.mark.parametrize(
    "argv",
    [
        ["-f", "lavfi", "-i", "color=s=64x64:r=25", "-c:v", "rawvideo", "out.avi"],
        ["-f", "lavfi", "-i", "anullsrc", "-c:a", "pcm_s16le", "out.wav"],
        ["-stream_loop", "-1", "-f", "mov", "-i", "film.mov", "-c", "copy", "out.mkv"],
        ["-f", "mov", "-i", "film.mov", "-vf", "loop=-1:1", "-c:v", "rawvideo", "out.avi"],
        ["-f", "mov", "-i", "film.mov", "-vf", "tpad=stop=-1", "-f", "null", "-"],
        ["-f", "lavfi", "-i", "color=s=64x64:r=25,select=0", "-f", "null", "-"],
    ],
)
async def test_output_without_end_comes_to_one(folder: Path, shelf: Mapping[str, Path], argv: list[str]) -> None:
    (folder / "film.mov").write_bytes(shelf["film.mov"].read_bytes())
    async with in_bounds(folder):
        with pytest.raises(FfmpegFailed):
            await run_ffmpeg(
                find_ffmpeg(None),
                argv,
                folder=folder,
                total_frames=1,
                on_progress=lambda _: None,
                limits=Limits(cpu_seconds=1, wall_seconds=3, file_bytes=10**7),
            )
    assert sum(path.stat().st_size for path in folder.glob("out.*")) <= 10**7


def repeated(kind: bytes, count: int) -> Callable[[bytes], bytes]:
    """More of the same: an atom's content with a number of empty atoms behind it."""
    return lambda body: body + atom(kind) * count


def compressed_index(size: int) -> bytes:
    """An MP4 whose index is packed, and unfolds to this many bytes."""
    packed = zlib.compress(bytes(size), 1)
    index = atom(b"cmov", atom(b"dcom", b"zlib"), atom(b"cmvd", struct.pack(">I", size), packed))
    return atom(b"ftyp", b"qt  ", bytes(8)) + atom(b"moov", index)


def many_samples(body: bytes) -> bytes:
    """As many frames of one byte each as can be said."""
    return struct.pack(">III", 0, 1, 0x7FFFFFFF)


def many_edits(body: bytes) -> bytes:
    return struct.pack(">II", 0, 200_000) + struct.pack(">Iihh", 1, 0, 1, 0) * 200_000


def vint(number: int) -> bytes:
    return (number | 1 << 56).to_bytes(8, "big")


def element(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return kind + vint(len(body)) + body


def matroska(*parts: bytes) -> bytes:
    head = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska"))
    return head + element(b"\x18\x53\x80\x67", *parts)


def chapters(count: int) -> bytes:
    """Each with an earlier number than the one before."""
    each = (
        element(b"\xb6", element(b"\x73\xc4", struct.pack(">I", count - n)), element(b"\x91", struct.pack(">I", n)))
        for n in range(count)
    )
    return matroska(element(b"\x10\x43\xa7\x70", element(b"\x45\xb9", *each)))


def tracks(count: int) -> bytes:
    each = (
        element(
            b"\xae", element(b"\xd7", struct.pack(">I", n + 1)), element(b"\x83", b"\x01"), element(b"\x86", b"V_VP8")
        )
        for n in range(count)
    )
    return matroska(element(b"\x16\x54\xae\x6b", *each))


def deep(levels: int) -> bytes:
    """Tags in tags in tags."""
    body = b""
    for _ in range(levels):
        body = element(b"\x67\xc8", body)
    return matroska(element(b"\x12\x54\xc3\x67", element(b"\x73\x73", body)))


HEAVY = {
    "a million streams": lambda film: changed(film, "moov", repeated(b"trak", 1_000_000)),
    "a million empty atoms": lambda film: changed(film, "moov/trak/mdia/minf/stbl", repeated(b"free", 1_000_000)),
    "two thousand million samples": lambda film: changed(film, "moov/trak/mdia/minf/stbl/stsz", many_samples),
    "edits without number": lambda film: changed(film, "moov/trak/edts/elst", many_edits),
    "a packed index": lambda _: compressed_index(2**28),
    "chapters without number": lambda _: chapters(200_000),
    "tracks without number": lambda _: tracks(50_000),
    "tags within tags": lambda _: deep(5_000),
    "atoms within atoms": lambda _: atom(b"ftyp", b"isom", bytes(4)) + nested(20_000),
}


def nested(levels: int) -> bytes:
    return b"".join(struct.pack(">I", 8 * (levels - level)) + b"moov" for level in range(levels))


@pytest.mark.parametrize("name", HEAVY)
async def test_a_small_file_that_says_it_is_huge_is_refused_in_time(
    folder: Path, shelf: Mapping[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "PATIENCE_SECONDS", 10)
    path = folder / "a.mov"
    path.write_bytes(HEAVY[name](shelf["film.mov"].read_bytes()))
    with suppress(MediaRejected):
        assert (await probed(path)).frame_count in {10, 200_000}  # what is said too often may be ignored
    with suppress(FfmpegFailed):
        await rendered(path, "matroska" if path.read_bytes()[:1] == b"\x1a" else "mov")


@pytest.mark.parametrize(
    "head", [b"ID3\x04\0\0\0\0\0\0", b"\x47" + bytes(187), b"fLaC", b"\xff\xf1\x50\x80", b"OggS\0"]
)
async def test_a_file_of_holes_is_refused_in_time(folder: Path, head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "PATIENCE_SECONDS", 10)
    monkeypatch.setattr(probing, "SLOWEST_BYTES_PER_SECOND", 2**30)
    path = folder / "a.mp4"
    path.write_bytes(head)
    os.truncate(path, 2 * 2**30)
    reason = await refused(path)
    assert reason.endswith(".")


async def test_streams_in_codecs_that_nobody_knows_are_refused(folder: Path, shelf: Mapping[str, Path]) -> None:
    tone = media.tone(folder / "tone.wav", seconds=0.2, channels=1)
    film = media.joined(folder / "a.mov", shelf["film.mov"], tone)
    (folder / "words.srt").write_text(LEADING["SubRip"])
    media.ffmpeg("-i", folder / "words.srt", folder / "words.mkv")
    tone.write_bytes(patched(tone.read_bytes(), 20, "<H", 0x1234))
    film.write_bytes(film.read_bytes().replace(b"sowt", b"xxxx"))
    undecodable = "The file is in a format we cannot decode."
    assert [await refused(each) for each in (tone, film)] == [undecodable] * 2
    assert await refused(folder / "words.mkv") == "The file holds neither picture nor sound."


async def test_what_waits_for_ever_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that nobody writes to has no end, and costs no processor time."""
    os.mkfifo(folder / "a.mp4")
    async with in_bounds(folder):
        with pytest.raises(FfmpegFailed, match=r"it took longer than 1 seconds"):
            await run_ffmpeg(
                find_ffmpeg(None),
                ["-f", "mov", "-i", "a.mp4", "-f", "null", "-"],
                folder=folder,
                total_frames=1,
                on_progress=lambda _: None,
                limits=Limits(wall_seconds=1),
            )


async def test_hostile_files_at_once_do_not_get_into_each_others_way(folder: Path, shelf: Mapping[str, Path]) -> None:
    bombs = []
    for number, (name, harmed) in enumerate(HEAVY.items()):
        if name in {"a packed index", "tags within tags", "a million streams"}:
            path = folder / str(number) / "a.mov"
            path.parent.mkdir()
            path.write_bytes(harmed(shelf["film.mov"].read_bytes()))
            bombs.append(path)
    answers = await asyncio.gather(*(probed(path) for path in bombs), return_exceptions=True)
    assert {type(each) for each in answers} <= {MediaRejected, MediaFacts}
