"""The edit: what is shown when, and what must therefore come out."""

from collections.abc import Mapping

from reelgraph.demo.client import Json
from reelgraph.demo.footage import DUSK, FRACTAL, FRAME_RATE, LIFE, MUSIC, NIGHT, SAND, SUN, Footage
from reelgraph.demo.verify import Expected

WIDTH, HEIGHT = 1280, 720
PRESET = "H264_720P"

_CUT = 75
"""Dusk ends here, and the fractal begins."""
_FADE = 25
_FRACTAL_END = _CUT + 90
_LIFE_END = _FRACTAL_END - _FADE + 90
_END = _LIFE_END - _FADE + 75

EXPECTED = Expected(width=WIDTH, height=HEIGHT, frame_rate=FRAME_RATE, frames=_END, cut=_CUT)


LAST_WORDS = f"{_END} frames, as planned"
OTHER_WORDS = "Only this has changed"


def timeline(assets: Mapping[Footage, str], last_words: str = LAST_WORDS) -> Json:
    """The timeline as GraphQL input: `assets` says under which id each footage was uploaded."""
    fade = {"frames": _FADE, "kind": "CROSS_FADE"}
    pictures: list[Json] = [
        {"content": {"video": {"assetId": assets[DUSK], "in": 10, "out": 10 + _CUT}}},
        {"content": {"video": {"assetId": assets[FRACTAL], "out": 90}}},
        {"content": {"video": {"assetId": assets[LIFE], "in": 5, "out": 95, "volume": 0.4}}, "transition": fade},
        {"content": {"image": {"assetId": assets[SUN], "length": 75}}, "transition": fade, "fit": "COVER"},
    ]
    titles: list[Json] = [
        _title("Reelgraph\nthree clips, a still, a sound", start=15, length=_CUT + 10, size=64),
        _title(last_words, start=_END - 60, length=60, size=56, color=SAND, position="BOTTOM"),
    ]
    music = {"assetId": assets[MUSIC], "out": _END, "volume": 0.8, "fadeIn": 25, "fadeOut": 50}
    return {
        "canvas": {"width": WIDTH, "height": HEIGHT, "frameRate": str(FRAME_RATE)},
        "background": NIGHT,
        "tracks": [{"clips": pictures}, {"clips": titles}, {"clips": [{"content": {"audio": music}}]}],
    }


def _title(text: str, *, start: int, length: int, **look: object) -> Json:
    return {"start": start, "content": {"text": {"text": text, "length": length, "fadeIn": 12, "fadeOut": 12, **look}}}
