"""What is seen: each clip as a stream of exactly its frames, to be laid over what is below."""

from dataclasses import dataclass
from fractions import Fraction

from domain.media import MediaFacts
from domain.render.graph import Graph, counted, quoted
from domain.render.output import even
from domain.render.stage import Stage
from domain.timeline.edit import Audio, Fit, Image, Text, TextPosition, Video
from domain.timeline.placing import Placed

TO_BT709 = "out_color_matrix=bt709:out_range=tv"
TICKS = 10_000
LINE_HEIGHT = Fraction(6, 5)
TURNS = {0: [], 90: ["transpose=clock"], 180: ["hflip", "vflip"], 270: ["transpose=cclock"]}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A stream of a clip's frames, numbered from 0, and where its left upper corner goes."""

    link: str
    x: int = 0
    y: int = 0


def picture(graph: Graph, stage: Stage, clip: Placed) -> Picture | None:
    """Add what makes a clip's picture to the graph; None for what is only heard."""
    match clip.clip.content:
        case Video() as video:
            return _video(graph, stage, clip, video)
        case Image() as image:
            return _image(graph, stage, clip, image)
        case Text() as text:
            return _text(graph, stage, clip, text)
        case Audio():
            return None


def still(length: int, rate: Fraction) -> list[str]:
    """Hold the first frame for a number of frames."""
    return ["loop=-1:1", counted(rate), f"trim=end_frame={length}"]


def color(value: str, stage: Stage, *, opacity: int = 1) -> str:
    """One frame of a colour, in RGB so that the way to BT.709 is ours."""
    size = f"{stage.width}x{stage.height}"
    return (
        f"color=0x{value[1:]}@{opacity}:s={size}:r={stage.rate},trim=end_frame=1,format={'gbrp' if opacity else 'rgba'}"
    )


def _video(graph: Graph, stage: Stage, clip: Placed, video: Video) -> Picture:
    source = stage.sources[video.asset_id]
    number = graph.open(source.input(at=video.in_ / stage.rate, max_pixels=stage.max_pixels))
    # The frame shown at a moment is the last one whose time, rounded to the timeline's frames, has come. Times move in
    # ticks so fine that each frame of the timeline, and the middle between two, falls on one: so what is shown does not
    # hang on where the clip begins. A source that ends a fraction of a frame early holds its last frame.
    rate = stage.rate
    exact = [
        f"settb=1/{rate.numerator * TICKS}",
        f"setpts=PTS-{video.in_ * rate.denominator * TICKS}",
        f"fps={rate}:start_time=0",
        "tpad=stop=-1:stop_mode=clone",
        f"trim=end_frame={clip.length}",
    ]
    fitted, x, y = _fitted(source.facts, clip.clip.fit, stage)
    link = graph.chain(*exact, *fitted, "format=yuva420p", counted(stage.rate), links=[f"[{number}:V:0]"])
    return Picture(link=link, x=x, y=y)


def _image(graph: Graph, stage: Stage, clip: Placed, image: Image) -> Picture:
    source = stage.sources[image.asset_id]
    number = graph.open(source.input(max_pixels=stage.max_pixels))
    fitted, x, y = _fitted(source.facts, clip.clip.fit, stage)
    held = still(clip.length, stage.rate)
    link = graph.chain("trim=end_frame=1", *fitted, "format=yuva420p", *held, links=[f"[{number}:v:0]"])
    return Picture(link=link, x=x, y=y)


def _fitted(facts: MediaFacts, fit: Fit, stage: Stage) -> tuple[list[str], int, int]:
    """The filters that turn and scale a picture, and where it then goes; its corner stays on whole chroma pixels."""
    if facts.width is None or facts.height is None:
        raise ValueError("a picture without a size cannot be placed")
    turned = TURNS[facts.rotation]
    width, height = stage.width, stage.height
    if fit is Fit.CONTAIN:
        scale = min(Fraction(width, facts.width), Fraction(height, facts.height))
        width, height = even(facts.width * scale), even(facts.height * scale)
    if fit is Fit.COVER:  # cut first: a very flat picture, scaled as a whole, would be huge
        shape = Fraction(width * facts.height, height * facts.width)
        across = max(min(shape, Fraction(1)), min(Fraction(16, facts.width), Fraction(1)))
        down = max(min(1 / shape, Fraction(1)), min(Fraction(16, facts.height), Fraction(1)))
        turned = [*turned, f"crop=iw*{across}:ih*{down}"]
    filters = [*turned, f"scale={width}:{height}:{_from_matrix(facts)}{TO_BT709}", "setsar=1"]
    return filters, (stage.width - width) // 4 * 2, (stage.height - height) // 4 * 2


def _from_matrix(facts: MediaFacts) -> str:
    """What an untagged file means, by old custom: BT.709 from HD on, BT.601 below."""
    if facts.color_matrix is not None:
        return ""
    hd = min(facts.width or 0, facts.height or 0) >= 720  # noqa: PLR2004 - the shorter side of HD
    return f"in_color_matrix={'bt709' if hd else 'bt601'}:"


def _text(graph: Graph, stage: Stage, clip: Placed, text: Text) -> Picture:
    # Drawn once, on nothing, in the text's own colour (so that its soft edges do not darken), and then held.
    drawn = [color(text.color, stage, opacity=0), *_lines(graph, stage, text)]
    held = [f"scale={TO_BT709}", "format=yuva420p", *still(clip.length, stage.rate)]
    fades = [
        f"fade={way}:{first}:{frames}:alpha=1"
        for way, first, frames in (("in", 0, text.fade_in), ("out", clip.length - text.fade_out, text.fade_out))
        if frames
    ]
    return Picture(link=graph.chain(*drawn, *held, *fades))


def _lines(graph: Graph, stage: Stage, text: Text) -> list[str]:
    """One filter for each line: centring several in one is beyond older FFmpegs. Text never enters the graph itself."""
    lines = [line.expandtabs(4) for line in text.text.splitlines()]
    size = max(1, round(text.size * stage.scale))
    advance = size * LINE_HEIGHT
    margin = Fraction(stage.height, 10)
    first = {
        TextPosition.TOP: margin,
        TextPosition.CENTER: (stage.height - len(lines) * advance) / 2,
        TextPosition.BOTTOM: stage.height - margin - len(lines) * advance,
    }[text.position]
    look = f"fontfile={quoted(str(stage.font))}:fontsize={size}:fontcolor=0x{text.color[1:]}"
    drawn: list[str] = []
    for index, line in enumerate(lines):
        if line.strip():
            baseline = round(first + index * advance + size)
            place = f"x=(w-text_w)/2:y={baseline}-ascent"  # one baseline, however tall the letters of a line are
            drawn.append(f"drawtext=textfile={graph.write(line)}:expansion=none:{look}:{place}")
    return drawn
