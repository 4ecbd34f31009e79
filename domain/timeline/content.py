"""What a clip can show or play: the base of all contents.

A content is one class in `domain/timeline/contents/`, declared with `@Content.kind`: its fields, what makes it sound,
how long it lasts, and how FFmpeg makes its picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from domain.ffmpeg.graph import Graph, frame_number
from domain.ffmpeg.stage import Stage
from domain.timeline.checks import Check
from domain.timeline.value import Kinds

if TYPE_CHECKING:
    from domain.timeline.edit import Track
    from domain.timeline.placing import Placed

Lengths = Mapping[str, int | None]
"""How many frames of the timeline each asset fills; None for an image, or where nobody knows."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A stream of frames, numbered from 0, as a content makes it: upright, with square pixels, not yet fitted."""

    link: str
    width: int
    height: int
    in_matrix: str | None = None
    """How its YUV is meant, for a scale filter; None where it says so itself or is RGB."""
    alpha: bool = False
    """Whether parts of it may be transparent."""
    is_ours: bool = False
    """Whether it is YUV 4:2:0 in BT.709 already."""
    still: bool = False
    """Whether it is a single frame, which is to be held for the shot once it is fitted."""
    fills_stage: bool = False
    """Whether it is drawn in the size of the stage already, and is not to be fitted: texts, captions."""
    own_size: bool = False
    """Whether it is drawn in its own size on the stage, and is not to be fitted: shapes."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """Some frames of a clip that are to be made: `count` of them from its frame `first` on.

    What a content or an effect makes of a frame may hang on the frame's number within the clip, and on nothing else:
    then it does not matter where a span begins, and spans that are joined are one picture.
    """

    graph: Graph
    stage: Stage
    clip: "Placed"
    first: int
    count: int

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return self.stage.rate

    @property
    def now(self) -> str:
        """The number of a frame within its clip, as an expression for filters that know `t` (see `frame_number`)."""
        return frame_number(self.rate, plus=self.first)


class Content(Kinds):
    """What a clip shows or plays."""

    is_seen: ClassVar[bool] = True
    """Whether it has a picture."""
    is_media: ClassVar[bool] = True
    """Whether its first frame is a place to cut; a title or a caption is not: it is content of what lies below it."""

    @property
    def fades(self) -> tuple[int, int]:
        """Over how many frames it appears and disappears by itself, next to what its clip says."""
        return (0, 0)

    @property
    def tracks_within(self) -> "tuple[Track, ...]":
        """The tracks of an edit within the edit."""
        return ()

    def problems(self, check: Check, sources: Lengths) -> None:
        """Say everything that is wrong with it."""
        raise NotImplementedError

    def lasts(self, sources: Lengths) -> int | None:
        """How many frames it lasts; None where that hangs on an asset of unknown length."""
        raise NotImplementedError

    def picture(self, shot: Shot) -> Picture | None:
        """Add what makes its picture to the graph: exactly `shot.count` frames. None for what is only heard."""
        raise NotImplementedError

    def shape(self, stage: Stage) -> tuple[int, int] | None:  # noqa: ARG002 - for those who know
        """The sides of its picture, if it surely has no transparent parts; None if it may have some."""
        return None

    def drawn(self, shot: Shot, below: str, at: int) -> str | None:  # noqa: ARG002 - for those who can
        """Draw it straight onto the stream below, where its first frame is frame `at`; None if it cannot.

        A shortcut for what covers little, such as a line of text: asked for only where the clip lies on the canvas as
        it is, neither moved nor faded.
        """
        return None
