"""Every upload is examined to its last packet, and believed in nothing."""

import dataclasses
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from domain.media import MediaFacts, MediaKind
from tasks.probe import MediaRejected, measure, probe
from tests import media

pytestmark = pytest.mark.anyio

MAX_PIXELS = 1_000_000


async def examined(path: Path, claimed: str = "", filename: str = "") -> MediaFacts:
    return await probe(path, claimed_content_type=claimed, filename=filename, max_pixels=MAX_PIXELS)


async def refused(path: Path, claimed: str = "", filename: str = "") -> str:
    with pytest.raises(MediaRejected) as caught:
        await examined(path, claimed, filename)
    return caught.value.reason


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One sound file of each kind."""
    folder = tmp_path_factory.mktemp("shelf")
    film = media.counter(folder / "silent.mp4", frames=50)
    tone = media.tone(folder / "tone.wav", seconds=2, sample_rate=44100, channels=1)
    made = {"silent.mp4": film, "tone.wav": tone}
    for name, options in {
        "film.mp4": ("-c:v", "copy", "-c:a", "aac"),
        "fast.mp4": ("-c:v", "copy", "-c:a", "aac", "-movflags", "+faststart"),
        "pieces.mp4": ("-c:v", "copy", "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
        "film.mov": ("-c:v", "copy", "-c:a", "aac"),
        "film.mkv": ("-c:v", "copy", "-c:a", "flac"),
        "film.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"),
        "film.avi": ("-c:v", "mpeg4", "-c:a", "mp3"),
        "film.ts": ("-c:v", "copy", "-c:a", "aac"),
    }.items():
        made[name] = media.joined(folder / name, film, tone, options=options)
    for name in ("sound.mp3", "sound.flac", "sound.ogg", "sound.aac", "sound.aiff", "sound.m4a"):
        made[name] = media.joined(folder / name, tone, options=())
    for name in ("still.png", "still.jpg", "still.webp", "still.bmp", "still.tiff", "still.gif"):
        made[name] = media.still(folder / name, "red")
    made["moving.gif"] = media.counter(folder / "moving.gif", frames=10, rate="10", options=())
    return made


FILM = MediaFacts(
    kind=MediaKind.VIDEO,
    container="mp4",
    video_codec="h264",
    audio_codec="aac",
    width=320,
    height=180,
    frame_rate="25",
    duration_seconds=2.0,
    frame_count=50,
    shown_late_seconds=0.0,
    channels=1,
    sample_rate=44100,
)


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("film.mp4", {}),
        ("silent.mp4", {"audio_codec": None, "channels": None, "sample_rate": None}),
        ("film.mov", {"container": "mov"}),
        ("film.mkv", {"container": "matroska", "audio_codec": "flac"}),
        ("film.webm", {"container": "webm", "video_codec": "vp9", "audio_codec": "opus", "sample_rate": 48000}),
        ("film.avi", {"container": "avi", "video_codec": "mpeg4", "audio_codec": "mp3"}),
        ("film.ts", {"container": "mpegts"}),
    ],
)
async def test_a_video_is_known_by_its_facts(
    shelf: Mapping[str, Path], name: str, differs: Mapping[str, object]
) -> None:
    facts = await examined(shelf[name])
    assert facts.duration_seconds == pytest.approx(2.0, abs=0.05)  # an AVI counts whole frames
    assert dataclasses.replace(facts, duration_seconds=2.0) == dataclasses.replace(FILM, **differs)


@pytest.mark.parametrize(
    ("name", "container", "codec"),
    [
        ("tone.wav", "wav", "pcm_s16le"),
        ("sound.mp3", "mp3", "mp3"),
        ("sound.flac", "flac", "flac"),
        ("sound.ogg", "ogg", "vorbis"),
        ("sound.aac", "aac", "aac"),
        ("sound.aiff", "aiff", "pcm_s16be"),
        ("sound.m4a", "mp4", "aac"),
    ],
)
async def test_a_sound_is_known_by_its_facts(shelf: Mapping[str, Path], name: str, container: str, codec: str) -> None:
    facts = await examined(shelf[name])
    assert facts.duration_seconds == pytest.approx(2.0, abs=0.05)
    assert dataclasses.replace(facts, duration_seconds=2.0) == MediaFacts(
        kind=MediaKind.AUDIO,
        container=container,
        audio_codec=codec,
        duration_seconds=2.0,
        channels=1,
        sample_rate=44100,
    )


@pytest.mark.parametrize("name", ["still.png", "still.jpg", "still.webp", "still.bmp", "still.tiff", "still.gif"])
async def test_a_still_has_a_size_and_no_duration(shelf: Mapping[str, Path], name: str) -> None:
    facts = await examined(shelf[name])
    container = {"jpg": "jpeg"}.get(name[6:], name[6:])
    assert (facts.kind, facts.container, facts.width, facts.height) == (MediaKind.IMAGE, container, 320, 180)
    assert (facts.duration_seconds, facts.frame_rate, facts.audio_codec) == (None, None, None)


async def test_an_animated_gif_is_a_video(shelf: Mapping[str, Path]) -> None:
    facts = await examined(shelf["moving.gif"], "image/gif")
    assert (facts.kind, facts.frame_count, facts.frame_rate) == (MediaKind.VIDEO, 10, "10")
    assert facts.duration_seconds == pytest.approx(1.0)


async def test_a_sound_with_a_cover_is_a_sound(shelf: Mapping[str, Path], tmp_path: Path) -> None:
    cover = ("-c", "copy", "-disposition:v:0", "attached_pic")
    song = media.joined(tmp_path / "song.mp3", shelf["sound.mp3"], shelf["still.jpg"], options=cover)
    facts = await examined(song, "audio/mpeg")
    assert (facts.kind, facts.width, facts.video_codec) == (MediaKind.AUDIO, None, None)


@pytest.mark.parametrize("rate", ["30000/1001", "24000/1001", "60", "12"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
async def test_a_frame_rate_is_told_exactly(tmp_path: Path, rate: str, container: str) -> None:
    facts = await examined(media.counter(tmp_path / f"a.{container}", frames=30, rate=rate))
    assert (facts.frame_rate, facts.frame_count) == (rate, 30)


async def test_an_uneven_frame_rate_is_told_as_its_average(tmp_path: Path) -> None:
    even = media.counter(tmp_path / "even.mp4", frames=60, rate="30")
    media.ffmpeg("-i", even, "-vf", "select='lt(n,20)+gte(n,40)'", "-fps_mode", "vfr", *media.H264, tmp_path / "a.mp4")
    facts = await examined(tmp_path / "a.mp4")
    assert (facts.frame_rate, facts.frame_count, facts.duration_seconds) == ("20", 40, 2.0)


async def test_tags_of_colour_are_read(tmp_path: Path) -> None:
    tagged = ("-vf", "setparams=colorspace=bt709", *media.H264)
    assert (await examined(media.counter(tmp_path / "a.mp4", frames=3, options=tagged))).color_matrix == "bt709"


# --- what is refused ------------------------------------------------------------------------------------------------

NOT_MEDIA = "The file is not a media file of a kind we can read."
INCOMPLETE = "The file is incomplete: it ends before all it announces has come."
UNREADABLE = "The file is damaged: a part of it cannot be read."


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert await refused(tmp_path / "a.mp4", "video/mp4") == "The file is empty."


@pytest.mark.parametrize(
    "content",
    [
        b"This is only text, whatever its name says.\n" * 50,
        b"ffconcat version 1.0\nfile film.mp4\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfilm.ts\n#EXT-X-ENDLIST\n",
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><image href='film.mp4'/></svg>",
        b"<?xml version='1.0'?><MPD><Period><BaseURL>film.mp4</BaseURL></Period></MPD>",
        b"1\n00:00:00,000 --> 00:00:01,000\nsubtitle\n",
        bytes(5000),
        b"%PDF-1.7\n" + bytes(100),
    ],
)
async def test_what_is_no_media_is_refused_and_leads_to_no_other_file(
    shelf: Mapping[str, Path], tmp_path: Path, content: bytes
) -> None:
    for name in ("film.mp4", "film.ts"):
        (tmp_path / name).write_bytes(shelf[name].read_bytes())
    (tmp_path / "a.mp4").write_bytes(content)
    assert await refused(tmp_path / "a.mp4", "video/mp4", "a.mp4") == NOT_MEDIA


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("film.mp4", "The file is incomplete or damaged: it begins as MP4, but its index is missing."),
        ("fast.mp4", INCOMPLETE),
        ("pieces.mp4", INCOMPLETE),
        ("film.mkv", INCOMPLETE),
        ("film.webm", INCOMPLETE),
        ("film.avi", INCOMPLETE),
        ("tone.wav", INCOMPLETE),
        ("sound.aiff", INCOMPLETE),
        ("sound.flac", INCOMPLETE),
        ("still.jpg", UNREADABLE),
        ("still.png", UNREADABLE),
        ("still.webp", UNREADABLE),
        ("still.bmp", UNREADABLE),
        ("still.tiff", UNREADABLE),
    ],
)
async def test_a_file_that_breaks_off_is_refused(
    shelf: Mapping[str, Path], tmp_path: Path, name: str, reason: str
) -> None:
    whole = shelf[name].read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 6 // 10])
    assert await refused(tmp_path / name) == reason


async def test_the_last_byte_counts(shelf: Mapping[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(shelf["fast.mp4"].read_bytes()[:-1])
    assert await refused(tmp_path / "a.mp4") == INCOMPLETE


async def test_a_file_whose_picture_is_noise_is_refused(shelf: Mapping[str, Path], tmp_path: Path) -> None:
    whole = bytearray(shelf["silent.mp4"].read_bytes())
    begin = whole.find(b"mdat") + 4
    size = struct.unpack(">I", whole[begin - 8 : begin - 4])[0] - 8
    whole[begin : begin + size] = b"\xa5" * size
    (tmp_path / "a.mp4").write_bytes(whole)
    assert (await refused(tmp_path / "a.mp4")).startswith("The file is damaged")


@pytest.mark.parametrize(
    ("name", "claimed", "filename", "reason"),
    [
        ("film.mp4", "image/png", "a.png", "The file claims to be image/png, but it is a video (mp4)."),
        ("film.mp4", "audio/mpeg", "", "The file claims to be audio/mpeg, but it is a video (mp4)."),
        ("film.mp4", "text/plain", "", "The file claims to be text/plain, but it is a video (mp4)."),
        ("sound.mp3", "video/mp4", "a.mp4", "The file claims to be video/mp4, but it is sound only (mp3)."),
        ("still.jpg", "video/mp4", "", "The file claims to be video/mp4, but it is an image (jpeg)."),
        ("sound.mp3", "image/gif", "", "The file claims to be image/gif, but it is sound only (mp3)."),
        ("film.mp4", "application/octet-stream", "a.jpg", "The file claims to be image/jpeg, but it is a video (mp4)."),
        ("film.mp4", "", "a.wav", "The file claims to be audio/x-wav, but it is a video (mp4)."),
    ],
)
async def test_a_file_that_is_not_what_it_claims_is_refused(
    shelf: Mapping[str, Path], name: str, claimed: str, filename: str, reason: str
) -> None:
    assert await refused(shelf[name], claimed, filename) == reason


@pytest.mark.parametrize(
    ("name", "claimed", "filename"),
    [
        ("film.mp4", "video/mp4; codecs=avc1", "a.mp4"),
        ("film.mkv", "application/octet-stream", "a"),
        ("film.mp4", "video/quicktime", "a.jpg"),
        ("still.jpg", "image/png", "a.png"),
        ("still.gif", "image/gif", "a.gif"),
        ("sound.ogg", "application/ogg", "a.ogg"),
    ],
)
async def test_a_claim_need_only_be_of_the_right_kind(
    shelf: Mapping[str, Path], name: str, claimed: str, filename: str
) -> None:
    await examined(shelf[name], claimed, filename)


async def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    """A PNG of a few bytes that would unfold to ten gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )
    (tmp_path / "bomb.png").write_bytes(bomb)
    reason = "A picture of 60000 x 60000 has 3,600,000,000 pixels; 1,000,000 are allowed."
    assert await refused(tmp_path / "bomb.png") == reason


async def test_a_large_video_is_refused_with_its_size(tmp_path: Path) -> None:
    media.plain(tmp_path / "a.mp4", "red", frames=2, size="1280x800")
    assert await refused(tmp_path / "a.mp4") == "A picture of 1280 x 800 has 1,024,000 pixels; 1,000,000 are allowed."


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:100] + bytes(200) + data[300:],
        lambda data: data[: len(data) // 2] + b"\xff" * 500 + data[len(data) // 2 + 500 :],
        lambda data: data + data,
        lambda data: data[::-1],
        lambda data: bytes(each ^ 0x55 for each in data),
    ],
)
@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts", "sound.mp3", "still.jpg"])
async def test_a_broken_file_is_examined_or_refused_but_never_an_error(
    shelf: Mapping[str, Path], tmp_path: Path, name: str, harm: Callable[[bytes], bytes]
) -> None:
    (tmp_path / name).write_bytes(harm(shelf[name].read_bytes()))
    try:
        assert (await examined(tmp_path / name)).container
    except MediaRejected as rejected:
        assert rejected.reason.endswith(".")  # noqa: PT017 - either answer is right


async def test_a_result_is_measured_packet_by_packet(shelf: Mapping[str, Path]) -> None:
    measured = await measure(shelf["film.mp4"], max_pixels=MAX_PIXELS)
    assert (measured.video_codec, measured.width, measured.height) == ("h264", 320, 180)
    assert (measured.frame_rate, measured.frames, measured.first_time, measured.uneven_steps) == ("25", 50, "0", 0)
    assert (measured.audio_codec, measured.sample_rate, measured.channels) == ("aac", 44100, 1)
    assert measured.samples == 88200


async def test_an_uneven_result_is_noticed(tmp_path: Path) -> None:
    even = media.counter(tmp_path / "even.mp4", frames=20)
    media.ffmpeg("-i", even, "-vf", "select='not(eq(n,7))'", "-fps_mode", "vfr", *media.H264, tmp_path / "a.mp4")
    measured = await measure(tmp_path / "a.mp4", max_pixels=MAX_PIXELS)
    assert (measured.frames, measured.uneven_steps >= 1) == (19, True)


@pytest.mark.parametrize("name", ["tagged.wav", "tagged.avi", "tagged.mp4"])
async def test_a_tag_in_an_old_encoding_spoils_no_file(shelf: Mapping[str, Path], tmp_path: Path, name: str) -> None:
    source = shelf["film.avi"] if name.endswith("avi") else shelf["tone.wav"]
    whole = media.joined(tmp_path / f"whole-{name}", source, options=("-metadata", "title=cafX"))
    tagged = tmp_path / name
    tagged.write_bytes(whole.read_bytes().replace(b"cafX", b"caf\xe9"))
    assert b"caf\xe9" in tagged.read_bytes()
    assert (await examined(tagged)).container == name.rpartition(".")[2]


async def test_pixels_of_an_impossible_shape_leave_no_picture(shelf: Mapping[str, Path], tmp_path: Path) -> None:
    odd, squeezed = tmp_path / "odd.mp4", tmp_path / "squeezed.mp4"
    media.ffmpeg("-i", shelf["silent.mp4"], "-vf", "setsar=2/3", "-frames:v", "5", *media.H264, odd)
    shape, flat = (b"pasp" + struct.pack(">II", *each) for each in ((2, 3), (1, 100_000)))
    assert shape in odd.read_bytes()
    squeezed.write_bytes(odd.read_bytes().replace(shape, flat))
    assert await refused(squeezed) == "The shape of its pixels leaves nothing of the picture."
