"""What is heard: each clip as exactly its samples, then all of them added up."""

from collections.abc import Sequence
from fractions import Fraction

from domain.render.graph import Graph
from domain.render.stage import Stage
from domain.timeline.edit import Audio, Image, Text, Video
from domain.timeline.placing import Placed

SAMPLE_RATE = 48_000
CHANNELS = 2


def samples(frames: int, rate: Fraction) -> int:
    """The sample on which a frame begins: rounded from the start of the timeline, so that no error adds up."""
    return int(frames * SAMPLE_RATE / rate + Fraction(1, 2))


def sound(graph: Graph, stage: Stage, clip: Placed) -> str | None:
    """Add what makes a clip heard, at its place on the timeline; None for silence."""
    match clip.clip.content:
        case Text() | Image():
            return None
        case Video() as heard:
            fade_in, fade_out = clip.fade_in, clip.fade_out
        case Audio() as heard:
            fade_in, fade_out = heard.fade_in, heard.fade_out
    source = stage.sources[heard.asset_id]
    if not source.facts.has_sound or not heard.volume:
        return None
    start = samples(clip.start, stage.rate)
    length = samples(clip.end, stage.rate) - start
    faded_in = samples(clip.start + fade_in, stage.rate) - start
    fading_out = samples(clip.end - fade_out, stage.rate) - start
    number = graph.open(source.input(at=heard.in_ / stage.rate, max_pixels=stage.max_pixels))
    return graph.chain(
        *_stereo(source.facts.channels),
        # Cut or padded to begin with exactly this sample of the source, gaps filled with silence.
        f"aresample=async=1:min_comp=0.00001:first_pts={samples(heard.in_, stage.rate)}",
        *exactly(length),
        *([f"volume={heard.volume:g}"] if heard.volume != 1 else []),
        *([f"afade=in:0:{faded_in}"] if fade_in else []),
        *([f"afade=out:{fading_out}:{length - fading_out}"] if fade_out else []),
        *([f"adelay={start}S:all=1"] if start else []),
        links=[f"[{number}:a:0]"],
    )


def mixed(graph: Graph, sounds: Sequence[str], length: int) -> str:
    """Add sounds up, to exactly this many samples."""
    adding = [f"amix={len(sounds)}:normalize=0"] if len(sounds) > 1 else []
    return graph.chain(*adding, *exactly(length), links=sounds)


def exactly(length: int) -> list[str]:
    """Cut or pad with silence to a number of samples, and count them from 0."""
    return [f"atrim=end_sample={length}", f"apad=whole_len={length}", "asetpts=N/SR/TB"]


def _stereo(channels: int | None) -> list[str]:
    """Two channels of floats at our rate. One channel goes to both sides as it is, which a plain conversion weakens."""
    both = ["pan=stereo|c0=c0|c1=c0"] if channels == 1 else []
    return [*both, f"aresample={SAMPLE_RATE}", f"aformat=fltp:{SAMPLE_RATE}:stereo"]
