"""A still picture."""

from domain.ffmpeg.graph import counted
from domain.ffmpeg.stage import Stage
from domain.media import MediaKind
from domain.timeline.checks import Check
from domain.timeline.content import Content, Lengths, Picture, Shot
from domain.timeline.contents.still import in_matrix, size_of, turned
from domain.timeline.value import AssetId, said

OPAQUE = frozenset({"jpeg", "bmp"})
"""Containers whose pictures have no transparent parts. An animated GIF is a video, and may have some."""


@Content.kind
class Image(Content):
    """A still picture, held for a while."""

    asset_id: AssetId = said("The image.")
    length: int = said("For how many frames.")

    def problems(self, check: Check, sources: Lengths) -> None:  # noqa: ARG002 - of every content
        """It is an image, and is seen."""
        check.asset(self.asset_id, MediaKind.IMAGE)
        check.at_least("length", self.length, 1)

    def lasts(self, sources: Lengths) -> int:  # noqa: ARG002 - of every content
        """As long as it says."""
        return self.length

    def shape(self, stage: Stage) -> tuple[int, int] | None:
        """As it is shown."""
        facts = stage.sources[self.asset_id].facts
        return size_of(facts) if facts.container in OPAQUE else None

    def picture(self, shot: Shot) -> Picture:
        """One frame; whoever fits it holds it then, which saves scaling each."""
        source = shot.stage.sources[self.asset_id]
        number = source.open(shot.graph)
        link = shot.graph.chain(
            "trim=end_frame=1", *turned(source.facts), counted(shot.rate), links=[f"[{number}:v:0]"]
        )
        width, height = size_of(source.facts)
        return Picture(
            link=link,
            width=width,
            height=height,
            in_matrix=in_matrix(source.facts),
            alpha=source.facts.container not in OPAQUE,
            still=True,
        )
