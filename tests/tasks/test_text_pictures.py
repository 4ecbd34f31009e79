"""Text as it is seen: each letter, line and frame where it should be."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from fontTools.subset import Subsetter
from fontTools.ttLib import TTFont

from domain.captions import Caption, to_text
from domain.ffmpeg.command import Command, Original
from domain.ffmpeg.graph import Graph
from domain.ffmpeg.stage import Source
from domain.media import MediaFacts, MediaKind
from domain.render.scene import Tools, scene
from domain.timeline import (
    Canvas,
    Captions,
    Clip,
    Composition,
    Cue,
    Point,
    Text,
    TextAlignment,
    TextBox,
    TextPosition,
    TextShadow,
    TextStroke,
    TextStyle,
    TextWeight,
    Timeline,
    Track,
    Transition,
)
from tasks.ffmpeg import FONT
from tasks.text_assets import read_text_asset
from tests.build import made

WIDTH, HEIGHT = 320, 180
CANVAS = Canvas(width=WIDTH, height=HEIGHT, frame_rate=Fraction(25))
BLOCK = "\u2588"
"""A letter that fills its whole square, so that any pixel of it shows the colour."""
RATES = ["24000/1001", "25", "30000/1001", "60000/1001", "120"]
MOVED = {"position": Point(x=0.5001)}
"""A clip that is not drawn straight onto what lies below, and looks the same."""


class Frame:
    """A frame of raw YUV 4:2:0."""

    def __init__(self, data: bytes, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.data, self.width, self.height = data, width, height

    def luma(self, x: int, y: int) -> int:
        return self.data[y * self.width + x]

    def yuv(self, x: int, y: int) -> tuple[int, int, int]:
        whole, place = self.width * self.height, y // 2 * (self.width // 2) + x // 2
        return self.luma(x, y), self.data[whole + place], self.data[whole * 5 // 4 + place]

    def rows(self, over: int = 128) -> list[int]:
        """The rows in which anything is brighter than this."""
        return [y for y in range(self.height) if max(self.data[y * self.width : (y + 1) * self.width]) > over]

    def columns(self, over: int = 128, top: int = 0, bottom: int | None = None) -> list[int]:
        """The columns in which anything is brighter than this, between two rows."""
        part = self.data[top * self.width : (self.height if bottom is None else bottom) * self.width]
        return [x for x in range(self.width) if max(part[x :: self.width]) > over]

    def bands(self, over: int = 128) -> list[tuple[int, int]]:
        """The rows of each line of text: first and last."""
        found: list[list[int]] = []
        for row in self.rows(over):
            if found and row == found[-1][-1] + 1:
                found[-1].append(row)
            else:
                found.append([row])
        return [(each[0], each[-1]) for each in found]


class Studio:
    """Makes frames as a worker does: by commands, in folders of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources: dict[str, Source] = {}
        self.shelf: dict[str, Path] = {}

    def frames(
        self,
        *clips: Clip,
        first: int = 0,
        count: int = 1,
        canvas: Canvas = CANVAS,
        background: str = "#000000",
        width: int = 0,
    ) -> list[Frame]:
        """Some frames of clips that lie one over the other."""
        tracks = tuple(Track(clips=(clip,)) for clip in clips)
        return self.of(Timeline(canvas=canvas, background=background, tracks=tracks), first, count, width)

    def of(self, timeline: Timeline, first: int, count: int, width: int = 0) -> list[Frame]:
        height = timeline.canvas.height * width // timeline.canvas.width
        whole = scene(timeline, self.sources, Tools(ffmpeg="9"), width=width, height=height)
        graph = Graph()
        link = whole.seen(graph, first, count)
        raw = ("-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p")
        argv = (*graph.options, *graph.arguments(), "-map", link, *raw, "frames.yuv")
        command = Command(argv=argv, result="frames.yuv", tool="9", inputs=graph.inputs, files=graph.files)
        data = made(command, self.folder, self.shelf).read_bytes()
        size = whole.width * whole.height * 3 // 2
        assert len(data) == size * count
        return [Frame(data[each * size :][:size], whole.width, whole.height) for each in range(count)]


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def text(said: str = BLOCK, size: int = 40, length: int = 20, **more: object) -> Text:
    return Text(text=said, size=size, length=length, **more)


def clip(content: Text | Captions, **more: object) -> Clip:
    return Clip(content=content, **more)


def is_lit(frames: list[Frame]) -> list[bool]:
    return [bool(frame.rows()) for frame in frames]


# --- when -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
def test_captions_are_seen_on_exactly_their_frames_at_every_rate(studio: Studio, rate: str) -> None:
    canvas = replace(CANVAS, frame_rate=Fraction(rate))
    cues = [(0, 1), (2, 5), (7, 8), (13, 30)]
    captions = Captions(cues=tuple(Cue(start=a, end=b, text="HHH") for a, b in cues), length=32, size=40)
    for clips in ([clip(captions)], [clip(captions, **MOVED)]):
        lit = is_lit(studio.frames(*clips, count=32, canvas=canvas))
        assert lit == [any(a <= frame < b for a, b in cues) for frame in range(32)]


@pytest.mark.parametrize("rate", RATES)
def test_the_times_of_a_file_are_met_to_the_frame(studio: Studio, rate: str) -> None:
    facts = MediaFacts(kind=MediaKind.CAPTIONS, container="srt", duration_seconds=0.5, cue_count=2)
    kept = to_text([Caption(101, 203, "HHH"), Caption(333, 501, "HHH")])
    studio.sources["file"] = Source(original=Original(asset_id="file", sha256="0" * 64), facts=facts, text=kept)
    canvas = replace(CANVAS, frame_rate=Fraction(rate))
    count = facts.frames(canvas.frame_rate) or 0
    frames = studio.frames(clip(Captions(asset_id="file", size=40)), count=count, canvas=canvas)
    edges = [round(each * canvas.frame_rate / 1000) for each in (101, 203, 333, 501)]
    assert is_lit(frames) == [edges[0] <= each < edges[1] or edges[2] <= each < edges[3] for each in range(count)]


def test_a_title_over_others_is_seen_on_exactly_its_frames(studio: Studio) -> None:
    frames = studio.frames(
        clip(text("x", length=30, size=4, position=TextPosition.TOP)), clip(text(length=6), start=11), count=30
    )
    assert [frame.luma(160, 90) > 128 for frame in frames] == [11 <= each < 17 for each in range(30)]


@pytest.mark.parametrize("more", [{}, MOVED], ids=["drawn", "laid over"])
def test_a_frame_is_the_same_wherever_a_span_begins(studio: Studio, more: Mapping[str, Point]) -> None:
    look = TextStyle(stroke=TextStroke(width=3), max_width=0.8)
    title = text("Fading, é " + BLOCK, size=30, length=37, color="#ffcc00", style=look, fade_in=11, fade_out=13)
    cues = (Cue(start=3, end=20, text="one"), Cue(start=15, end=33, text="two"), Cue(start=33, end=40, text="three"))
    captions = Captions(cues=cues, size=16, style=look)
    clips = [clip(title, start=2, **more), clip(captions, start=1, **more)]
    whole = [frame.data for frame in studio.frames(*clips, count=42, background="#204060")]
    for first, count in ((0, 5), (1, 1), (4, 9), (12, 3), (13, 29), (18, 2), (30, 12), (41, 1)):
        part = studio.frames(*clips, first=first, count=count, background="#204060")
        assert [frame.data for frame in part] == whole[first : first + count]


@pytest.mark.parametrize("more", [{}, MOVED], ids=["drawn", "laid over"])
def test_a_title_fades_evenly_over_exactly_its_frames(studio: Studio, more: Mapping[str, Point]) -> None:
    frames = studio.frames(clip(text(BLOCK * 3, 60, fade_in=5, fade_out=10), **more), count=20)
    seen = [(frame.luma(160, 90) - 16) / 219 for frame in frames]
    wanted = [each / 5 for each in range(5)] + [1] * 5 + [1 - each / 10 for each in range(10)]
    assert seen == pytest.approx(wanted, abs=0.005)


def test_what_has_a_box_fades_as_a_whole(studio: Studio) -> None:
    """The box never shines through its letters."""
    title = text(BLOCK, 60, fade_in=4, style=TextStyle(box=TextBox(color="#000000", padding=30)))
    frames = studio.frames(clip(title), count=5, background="#ffffff")
    assert {frame.luma(160, 90) for frame in frames} <= {234, 235}
    assert [round((235 - frame.luma(125, 90)) / 219, 2) for frame in frames] == [0, 0.25, 0.5, 0.75, 1]


def test_titles_give_way_to_one_another(studio: Studio) -> None:
    pair = Track(
        clips=(
            clip(text(color="#ff0000", length=10)),
            clip(text(color="#0000ff", length=10), transition=Transition(frames=4)),
        )
    )
    timeline = Timeline(canvas=CANVAS, tracks=(pair,))
    whole = studio.of(timeline, 0, 16)
    assert whole[5].yuv(160, 90) == pytest.approx((63, 102, 240), abs=2)
    assert whole[12].yuv(160, 90) == pytest.approx((32, 240, 118), abs=2)
    for first, count in ((0, 6), (3, 5), (7, 9)):
        assert [each.data for each in studio.of(timeline, first, count)] == [
            each.data for each in whole[first : first + count]
        ]


# --- where ----------------------------------------------------------------------------------------------------------


def test_a_text_stands_at_its_margin_or_in_the_middle(studio: Studio) -> None:
    def block(position: TextPosition, margin: float) -> tuple[int, int]:
        content = text(BLOCK, 40, position=position, style=TextStyle(margin=margin))
        rows = studio.frames(clip(content))[0].rows()
        return rows[0], rows[-1]

    assert block(TextPosition.TOP, 0.2) == pytest.approx((36, 36 + 47), abs=1)
    assert block(TextPosition.BOTTOM, 0.2) == pytest.approx((144 - 47, 143), abs=1)
    assert block(TextPosition.CENTER, 0.2) == pytest.approx((66, 113), abs=1)


def test_lines_wrap_at_their_width_and_are_of_like_length(studio: Studio) -> None:
    said = "one two three four five six seven"
    whole = studio.frames(clip(text(said, 14)))[0]
    assert len(whole.bands()) == 1
    narrow = studio.frames(clip(text(said, 14, style=TextStyle(max_width=0.5))))[0]
    assert len(narrow.bands()) == 2
    assert min(narrow.columns()) >= 80
    assert max(narrow.columns()) <= 240
    first, second = narrow.bands()
    widths = [len(narrow.columns(top=top, bottom=bottom + 1)) for top, bottom in (first, second)]
    assert max(widths) < 1.5 * min(widths)


def test_lines_break_where_they_are_broken_and_empty_ones_take_their_room(studio: Studio) -> None:
    (top, _), (low, _) = studio.frames(clip(text("H\n\nH", 20)))[0].bands()
    assert low - top == pytest.approx(2 * 20 * 2384 / 2048, abs=1)


@pytest.mark.parametrize(
    ("alignment", "edges"),
    [
        (TextAlignment.LEFT, (32, None)),
        (TextAlignment.CENTER, (None, None)),
        (TextAlignment.RIGHT, (None, 287)),
    ],
)
def test_lines_are_aligned(studio: Studio, alignment: TextAlignment, edges: tuple[int | None, int | None]) -> None:
    content = text(f"{BLOCK * 5}\n\n{BLOCK}", 20, style=TextStyle(alignment=alignment, max_width=0.8))
    frame = studio.frames(clip(content))[0]
    (top, upper), (lower, bottom) = frame.bands()
    long, short = frame.columns(top=top, bottom=upper + 1), frame.columns(top=lower, bottom=bottom + 1)
    left, right = edges
    for columns in (long, short):
        assert left is None or columns[0] == pytest.approx(left, abs=2)
        assert right is None or columns[-1] == pytest.approx(right, abs=2)
    if left is right is None:
        assert long[0] + long[-1] == pytest.approx(319, abs=2)
        assert short[0] + short[-1] == pytest.approx(319, abs=2)
    assert len(long) > 4 * len(short)


def test_captions_at_the_same_time_stand_one_above_the_other(studio: Studio) -> None:
    cues = (Cue(start=0, end=10, text="HHHHHH"), Cue(start=5, end=15, text="H"))
    frames = studio.frames(clip(Captions(cues=cues, size=20)), count=15)
    assert [len(frame.bands()) for frame in frames] == [1] * 5 + [2] * 5 + [1] * 5
    (top, bottom), (low, end) = frames[7].bands()
    assert len(frames[7].columns(top=top, bottom=bottom + 1)) > 3 * len(frames[7].columns(top=low, bottom=end + 1))
    assert frames[2].bands()[0] == pytest.approx((low, end), abs=1)


def test_a_smaller_output_shows_the_same_smaller(studio: Studio) -> None:
    content = text("Hello there,\nyou", 20, style=TextStyle(stroke=TextStroke(width=2, color="#ffffff")))
    large, small = studio.frames(clip(content))[0], studio.frames(clip(content), width=160)[0]
    assert small.columns()[0] == pytest.approx(large.columns()[0] / 2, abs=1)
    assert small.columns()[-1] == pytest.approx(large.columns()[-1] / 2, abs=1)
    assert len(small.rows()) == pytest.approx(len(large.rows()) / 2, abs=2)


# --- looks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, MOVED], ids=["drawn", "laid over"])
def test_colours_are_those_of_bt709(studio: Studio, more: Mapping[str, Point]) -> None:
    frame = studio.frames(clip(text(BLOCK * 3, 60, color="#ff0000"), **more))[0]
    assert frame.yuv(160, 90) == pytest.approx((63, 102, 240), abs=1)


@pytest.mark.parametrize("more", [{}, MOVED], ids=["drawn", "laid over"])
def test_a_half_transparent_box_lets_half_of_what_is_below_through(studio: Studio, more: Mapping[str, Point]) -> None:
    boxed = text("A", 20, style=TextStyle(box=TextBox(color="#00ff0080", padding=40)))
    frame = studio.frames(clip(boxed, **more), background="#ffffff")[0]
    assert frame.yuv(125, 90) == pytest.approx((204, 85, 77), abs=2)
    assert frame.yuv(20, 20) == (235, 128, 128)


def test_a_box_goes_its_padding_beyond_the_text(studio: Studio) -> None:
    def sides(padding: float) -> tuple[int, int, int, int]:
        boxed = text("H", 40, color="#ffffff", style=TextStyle(box=TextBox(color="#ffffff", padding=padding)))
        frame = studio.frames(clip(boxed))[0]
        return frame.columns()[0], frame.columns()[-1], frame.rows()[0], frame.rows()[-1]

    tight, wide = sides(0), sides(10)
    assert [abs(one - other) for one, other in zip(tight, wide, strict=True)] == pytest.approx([10] * 4, abs=1)


@pytest.mark.parametrize("more", [{}, MOVED], ids=["drawn", "laid over"])
def test_a_stroke_goes_around_every_letter(studio: Studio, more: Mapping[str, Point]) -> None:
    stroked = text(BLOCK, 40, color="#000000", style=TextStyle(stroke=TextStroke(width=5, color="#ffffff")))
    plain = studio.frames(clip(text(BLOCK, 40)))[0]
    frame = studio.frames(clip(stroked, **more), background="#404040")[0]
    left, right = plain.columns()[0], plain.columns()[-1]
    assert frame.columns()[0] == pytest.approx(left - 5, abs=1)
    assert frame.columns()[-1] == pytest.approx(right + 5, abs=1)
    assert frame.luma(left - 2, 90) == pytest.approx(235, abs=1)
    assert frame.luma(160, 90) == pytest.approx(16, abs=1)


def test_a_shadow_falls_where_it_should_and_blurs(studio: Studio) -> None:
    def shadowed(**shadow: float) -> Frame:
        style = TextStyle(shadow=TextShadow(color="#ffffff", **shadow))
        return studio.frames(clip(text(BLOCK, 40, color="#000000", style=style)))[0]

    plain = studio.frames(clip(text(BLOCK, 40)))[0]
    right, bottom = plain.columns()[-1], plain.rows()[-1]
    sharp = shadowed(x=10, y=6)
    assert (sharp.columns()[-1], sharp.rows()[-1]) == pytest.approx((right + 10, bottom + 6), abs=1)
    assert sharp.luma(right + 5, 90) == pytest.approx(235, abs=1)
    assert sharp.luma(160, 80) == pytest.approx(16, abs=1)
    left = shadowed(x=-10, y=0)
    assert left.columns()[0] == pytest.approx(plain.columns()[0] - 10, abs=1)
    glow = shadowed(x=0, y=0, blur=6)
    assert 20 < glow.luma(right + 5, 90) < 200
    assert glow.luma(plain.columns()[0] - 5, 90) == pytest.approx(glow.luma(right + 5, 90), abs=12)


def test_bold_and_slanted_letters_differ_from_plain_ones(studio: Studio) -> None:
    def ink(**style: object) -> tuple[int, bytes]:
        data = studio.frames(clip(text("Hill", 60, style=TextStyle(**style))))[0].data[: WIDTH * HEIGHT]
        return sum(data), data

    plain, bold, slanted = ink(), ink(weight=TextWeight.BOLD), ink(italic=True)
    assert bold[0] > plain[0] * 1.02
    assert slanted[1] != plain[1]
    serif, mono = ink(font="DejaVu Serif"), ink(font="DejaVu Sans Mono")
    assert len({plain[1], bold[1], slanted[1], serif[1], mono[1]}) == 5


# --- what is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "letters"),
    [
        (r"{\an8}", 6),
        (r"{\pos(1,1)}", 11),
        (r"\N", 2),
        (r"\h.", 3),
        (r"{", 1),
        ("\\", 1),
        (r"a\{b}", 5),
        ("'; [out]", 8),
        ("%{pts}", 6),
        ("<b>x</b>", 8),
    ],
)
def test_a_text_is_shown_as_it_is_written(studio: Studio, said: str, letters: int) -> None:
    """In a font whose letters are all as wide, every one of them takes its place, and on one line."""
    mono = TextStyle(font="DejaVu Sans Mono", box=TextBox(color="#ffffff", padding=0))
    boxed = studio.frames(clip(text(said, 20, color="#000000", style=mono)))[0]
    assert len(boxed.columns(200)) == pytest.approx(letters * 20 * 1233 / 2048, abs=2)
    assert len(boxed.rows(200)) == pytest.approx(20 * 2384 / 2048, abs=2)


@pytest.mark.parametrize("said", ["שלום אב", "مرحبا"])
def test_what_is_read_from_the_right_is_written_from_the_right(studio: Studio, said: str) -> None:
    """What comes first, though it be a mere block, is at the right; what comes last is at the left."""
    aligned = TextStyle(alignment=TextAlignment.RIGHT, font="DejaVu Sans")
    left_to_right = studio.frames(clip(text(f"{BLOCK}{said}", 30, style=aligned)))[0]
    alone = studio.frames(clip(text(BLOCK, 30, style=aligned)))[0]
    assert left_to_right.columns()[-1] == pytest.approx(alone.columns()[-1], abs=2)
    mixed = studio.frames(clip(text(f"{said} {BLOCK}", 30, style=replace(aligned, alignment=TextAlignment.LEFT))))[0]
    block = studio.frames(clip(text(BLOCK, 30, style=replace(aligned, alignment=TextAlignment.LEFT))))[0]
    assert mixed.columns()[: len(block.columns())] == block.columns()


def test_the_letters_of_arabic_join(studio: Studio) -> None:
    """Three that join take less room than three that stand alone."""
    joined = studio.frames(clip(text("بين", 60)))[0]
    apart = studio.frames(clip(text("ب\u200cي\u200cن", 60)))[0]
    assert len(joined.columns()) < 0.8 * len(apart.columns())


# --- fonts ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def house_font(studio: Studio, tmp_path: Path) -> str:
    """A font of a project's own: bold, with but two letters."""
    path = tmp_path / "house.ttf"
    with TTFont(FONT.with_name("DejaVuSerif-Bold.ttf")) as font:
        subsetter = Subsetter()
        subsetter.populate(text="HI")
        subsetter.subset(font)
        for record in font["name"].names:
            if record.nameID in {1, 4, 6, 16}:
                record.string = "House of Reels"
        font.save(path)
    read = await read_text_asset(path, claimed_content_type="font/ttf", filename="house.ttf")
    assert read
    assert (read[0].font_family, read[0].font_weight) == ("House of Reels", 700)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    studio.sources["house"] = Source(original=Original(asset_id="house", sha256=checksum), facts=read[0])
    studio.shelf["house"] = path
    return "house"


async def test_a_font_of_the_project_is_used_as_it_is(studio: Studio, house_font: str) -> None:
    own = studio.frames(clip(text("HI", 60, style=TextStyle(font_id=house_font))))[0]
    same = studio.frames(clip(text("HI", 60, style=TextStyle(font="DejaVu Serif", weight=TextWeight.BOLD))))[0]
    assert own.data == same.data


async def test_a_letter_that_a_font_lacks_comes_from_ours(studio: Studio, house_font: str) -> None:
    own = studio.frames(clip(text("Z", 60, style=TextStyle(font_id=house_font))))[0]
    sans = studio.frames(clip(text("Z", 60)))[0]
    assert len(own.columns()) == pytest.approx(len(sans.columns()), abs=4)
    missing = studio.frames(clip(text("\ue000", 60)))[0]
    assert own.data != missing.data
    serif = studio.frames(clip(text("ש", 60, style=TextStyle(font="DejaVu Serif"))))[0]
    assert serif.columns() == pytest.approx(studio.frames(clip(text("ש", 60)))[0].columns(), abs=1)


async def font_of(studio: Studio, file: str, name: str, family: str) -> str:
    """One of our fonts as one of the project's, under the name of another family."""
    path = studio.folder / f"{name}.ttf"
    with TTFont(FONT.with_name(file)) as font:
        for record in font["name"].names:
            if record.nameID in {1, 16}:
                record.string = family
            elif record.nameID in {4, 6}:
                record.string = f"{family} {name}"
        font.save(path)
    read = await read_text_asset(path, claimed_content_type="font/ttf", filename=path.name)
    assert read
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    studio.sources[name] = Source(original=Original(asset_id=name, sha256=checksum), facts=read[0])
    studio.shelf[name] = path
    return name


@pytest.mark.parametrize("family", ["Brand", "DejaVu Sans"])
async def test_a_text_keeps_its_font_whatever_else_a_span_shows(studio: Studio, family: str) -> None:
    """Of two fonts of one family, the one that is heavier than the text asks for."""
    heavy = await font_of(studio, "DejaVuSansMono-Bold.ttf", "heavy", family)
    light = await font_of(studio, "DejaVuSerif.ttf", "light", family)
    said = clip(text("Hamburg", length=20, style=TextStyle(font_id=heavy)))
    later = clip(text("x", 16, length=9, position=TextPosition.TOP, style=TextStyle(font_id=light)), start=10)
    ours = clip(text("x", 16, length=9, position=TextPosition.BOTTOM), start=10)
    alone = studio.frames(said, later, ours, first=5)[0]
    assert studio.frames(said, later, ours, first=5, count=10)[0].data == alone.data
    mono = TextStyle(font="DejaVu Sans Mono", weight=TextWeight.BOLD)
    assert alone.data == studio.frames(clip(text("Hamburg", style=mono)))[0].data


# --- among others ---------------------------------------------------------------------------------------------------


def test_a_text_in_a_composition_is_as_large_and_its_edges_are_clean(studio: Studio) -> None:
    inner = Track(clips=(clip(text(BLOCK * 2, 60, color="#ff0000")),))
    nested = Clip(content=Composition(width=WIDTH, height=HEIGHT, tracks=(inner,)))
    flat, deep = (
        studio.frames(each, background="#ff0000")[0] for each in (clip(text(BLOCK * 2, 60, color="#ff0000")), nested)
    )
    assert deep.yuv(160, 90) == pytest.approx((63, 102, 240), abs=2)
    rows = range(0, HEIGHT, 2)
    assert all(abs(deep.luma(x, y) - flat.luma(x, y)) <= 2 for x in range(0, WIDTH, 2) for y in rows)


def test_a_scaled_text_has_no_dark_edges(studio: Studio) -> None:
    """White on white is white, whatever its size."""
    small = clip(
        text("Edges", 60, style=TextStyle(stroke=TextStroke(width=3, color="#ffffff"))), scale=0.37, rotation=7
    )
    frame = studio.frames(small, background="#ffffff")[0]
    assert min(frame.data[: WIDTH * HEIGHT]) >= 231
