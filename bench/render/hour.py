"""A plan of an hour: no file is touched."""

import time
from fractions import Fraction
from random import Random

from bench.render.scenario import Scenario
from domain.ffmpeg.command import Original
from domain.ffmpeg.stage import Source
from domain.media import MediaFacts, MediaKind
from domain.render.movie import movie
from domain.render.output import Output, VideoCodec
from domain.render.scene import Tools
from domain.timeline import Canvas, Captions, Clip, Cue, Timeline, Track, Transition, Video

FILMS = 40
RATE = 25
FADE = 12


def planned(scenario: Scenario) -> tuple[float, int]:
    """The processor seconds that planning it takes, keys and all, and how many spans it becomes."""
    edit, sources = _hour(scenario), _sources()
    output = Output(codec=VideoCodec.H264, width=1920, height=1080, crf=scenario.encoder.crf)
    started = time.process_time()
    plan = movie(edit, output, sources, Tools(ffmpeg="any", threads=scenario.encoder.threads))
    assert len(plan.command.key) == 64  # that of everything it is made from is in it
    return time.process_time() - started, len(plan.spans)


def _hour(scenario: Scenario) -> Timeline:
    chance, clips = Random(scenario.seed), list[Clip]()
    usual = 3600 * RATE // scenario.hour.clips + FADE
    for number in range(scenario.hour.clips):
        in_, length = chance.randint(0, 10_000), usual + chance.randint(-usual // 2, usual // 2)
        content = Video(asset_id=f"film {chance.randrange(FILMS)}", in_=in_, out=in_ + length)  # pyright: ignore[reportArgumentType]  # an id
        clips.append(Clip(content=content, transition=Transition(frames=FADE) if number else None))
    every = 3600 * RATE // scenario.hour.captions
    cues = tuple(
        Cue(start=number * every, end=number * every + every - 5, text=f"Words {number}")
        for number in range(scenario.hour.captions)
    )
    captions = Clip(content=Captions(cues=cues, size=50))
    canvas = Canvas(width=1920, height=1080, frame_rate=Fraction(RATE))
    return Timeline(canvas=canvas, tracks=(Track(clips=tuple(clips)), Track(clips=(captions,))))


def _sources() -> dict[str, Source]:
    facts = MediaFacts(
        kind=MediaKind.VIDEO,
        container="mp4",
        video_codec="h264",
        audio_codec="aac",
        width=1920,
        height=1080,
        duration_seconds=3600.0,
        channels=2,
        color_matrix="bt709",
    )
    return {
        f"film {number}": Source(original=Original(asset_id=f"film {number}", sha256=f"{number:064}"), facts=facts)
        for number in range(FILMS)
    }
