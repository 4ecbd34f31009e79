"""The kinds of job: for each, what is asked (its spec) and what came of it (its result)."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Self

from domain.entity import Worded
from domain.template import assets_of, resolved
from domain.timeline import Timeline

LONGEST_PAUSE = 3600.0


class JobKind(Worded):
    """What a job does."""

    INGEST = "INGEST", "Examine an uploaded file."
    RENDER = "RENDER", "Make a file of a project's timeline: a video, a picture or a sound."
    RENDER_PART = "RENDER_PART", "Make some of the pieces that a render lacks: its child."
    RENDER_BATCH = "RENDER_BATCH", "Render a template once for each row of values; each render is its child."
    PREPARE = "PREPARE", "Make an asset's sound and a small copy of its picture ready, for quick renders and previews."
    PREVIEW = "PREVIEW", "Make a small picture, or clip, of a place in a timeline."
    PAUSE = "PAUSE", "Only take time: to try out a deployment's queue, workers and live updates."


class Pool(Worded):
    """Which workers' slots a job needs, so that heavy work never blocks a light one."""

    RENDER = "render", "Heavy on the processor: renders."
    SPEECH = "speech", "Heavy on memory: models that listen to sound."
    LIGHT = "light", "Seconds at most: probes and other small things."


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a job is asked to do. Its fields are plain JSON values."""

    kind: ClassVar[JobKind]
    usual_pool: ClassVar[Pool]

    @property
    def pool(self) -> Pool:
        """Whose slots it needs."""
        return self.usual_pool

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept. What is as usual is left out: then older processes understand it too."""
        return {
            each.name: value
            for each in fields(self)
            if (value := getattr(self, each.name)) != _usual(each.default, each.default_factory)
        }

    def asked(self) -> dict[str, Any]:
        """What of it the client said, as opposed to what was looked up for it."""
        return self.to_json()

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Return it from how it was kept; what a newer version says beside it is passed over."""
        return cls(**{each.name: kept[each.name] for each in fields(cls) if each.name in kept})


def _usual(default: Any, factory: Any) -> Any:
    return default if factory is MISSING else factory()


@dataclass(frozen=True, kw_only=True)
class PauseSpec(Spec):
    """Take this many seconds; with parts, let so many children share them."""

    kind = JobKind.PAUSE

    seconds: float
    slots: str = Pool.LIGHT.value
    parts: int = 0

    @property
    def pool(self) -> Pool:
        """Any: it tries out the workers."""
        return Pool(self.slots)

    def asked(self) -> dict[str, Any]:
        """Without what is as usual: keys given before there were parts stay good."""
        return self.to_json()

    def split(self) -> "list[PauseSpec]":
        """What its children take; together as long as itself."""
        return [PauseSpec(seconds=self.seconds / self.parts, slots=self.slots) for _ in range(self.parts)]


@dataclass(frozen=True, kw_only=True)
class IngestSpec(Spec):
    """Examine the file behind this asset."""

    kind = JobKind.INGEST
    usual_pool = Pool.LIGHT

    asset_id: str


@dataclass(frozen=True, kw_only=True)
class RenderSpec(Spec):
    """Render this timeline (as it stood when the render was started) to this output."""

    kind = JobKind.RENDER
    usual_pool = Pool.RENDER

    timeline: dict[str, Any]
    timeline_version: int
    output: dict[str, Any]
    name: str
    """The file name of the video to be."""
    values: dict[str, str] = field(default_factory=dict[str, str])
    """What was put in for the variables of the timeline, which has none any more."""

    def asked(self) -> dict[str, Any]:
        """A client names output and values; the timeline is whatever stands when the job is made."""
        return {"output": self.output} | ({"values": self.values} if self.values else {})

    @property
    def asset_ids(self) -> frozenset[str]:
        """The assets it needs."""
        return Timeline.from_json(self.timeline).asset_ids


@dataclass(frozen=True, kw_only=True)
class RenderPartSpec(Spec):
    """Make these pieces of the parent's render, in this order."""

    kind = JobKind.RENDER_PART
    usual_pool = Pool.RENDER

    keys: list[str]


@dataclass(frozen=True, kw_only=True)
class RenderBatchSpec(Spec):
    """Render this template once for each row. It only waits for the renders, so it is light."""

    kind = JobKind.RENDER_BATCH
    usual_pool = Pool.LIGHT

    timeline: dict[str, Any]
    """With its variables."""
    timeline_version: int
    output: dict[str, Any]
    rows: list[dict[str, Any]]
    """As they were asked for: of each its `values`, and its `name` or None."""
    names: list[str]
    """The file names of the videos to be, all different."""

    def asked(self) -> dict[str, Any]:
        """A client names the output and the rows; the timeline is whatever stands when the job is made."""
        return {"output": self.output, "rows": self.rows}

    def renders(self) -> Iterator[RenderSpec]:
        """What is asked of its children, in the order of the rows."""
        template = Timeline.from_json(self.timeline)
        for row, name in zip(self.rows, self.names, strict=True):
            yield RenderSpec(
                timeline=resolved(template, row["values"]).to_json(),
                timeline_version=self.timeline_version,
                output=self.output,
                name=name,
                values=row["values"],
            )

    @property
    def asset_ids(self) -> frozenset[str]:
        """The assets it needs."""
        return assets_of(Timeline.from_json(self.timeline), *(row["values"] for row in self.rows))


@dataclass(frozen=True, kw_only=True)
class PrepareSpec(Spec):
    """Make the pieces that belong to this asset."""

    kind = JobKind.PREPARE
    usual_pool = Pool.RENDER

    asset_id: str


@dataclass(frozen=True, kw_only=True)
class PreviewSpec(Spec):
    """Show these frames of this timeline: one as a picture, or more as a clip."""

    kind = JobKind.PREVIEW
    usual_pool = Pool.LIGHT

    timeline: dict[str, Any]
    first: int
    """The number of the first frame."""
    count: int
    """How many frames; 1 is a picture."""
    width: int
    """In pixels; the height follows from the canvas."""
    format: str
    """As what: of `domain.render`'s formats."""


SPECS: dict[JobKind, type[Spec]] = {
    spec.kind: spec
    for spec in (PauseSpec, IngestSpec, RenderSpec, RenderPartSpec, RenderBatchSpec, PrepareSpec, PreviewSpec)
}
