"""The kinds of job: for each, what is asked (its spec) and what came of it (its result)."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from domain.entity import Worded
from domain.timeline import Timeline

LONGEST_PAUSE = 3600.0


class JobKind(Worded):
    """What a job does."""

    INGEST = "INGEST", "Examine an uploaded file."
    RENDER = "RENDER", "Make a video of a project's timeline."
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
        """Return it as it is kept."""
        return asdict(self)

    def asked(self) -> dict[str, Any]:
        """What of it the client said, as opposed to what was looked up for it."""
        return self.to_json()

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Return it from how it was kept."""
        return cls(**kept)


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
        usual = PauseSpec(seconds=self.seconds).to_json()
        return {"seconds": self.seconds} | {
            name: value for name, value in self.to_json().items() if value != usual[name]
        }

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

    def asked(self) -> dict[str, Any]:
        """A client names the output; the timeline is whatever stands when the job is made."""
        return {"output": self.output}

    @property
    def asset_ids(self) -> frozenset[str]:
        """The assets it needs."""
        return Timeline.from_json(self.timeline).asset_ids


SPECS: dict[JobKind, type[Spec]] = {spec.kind: spec for spec in (PauseSpec, IngestSpec, RenderSpec)}
