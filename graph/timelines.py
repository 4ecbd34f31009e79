"""The timeline as clients write and read it: typed all through, in whole frames."""

from collections.abc import Mapping
from typing import Any, ClassVar

import domain.timeline.effects  # noqa: F401  # pyright: ignore[reportUnusedImport]  # so that they are known
from domain.timeline import Timeline
from graph.parts import faces, inputs, read


class TimelineInput:
    """As domain Timeline. Its fields, and the types of what it holds, follow from the domain's declarations."""

    given: ClassVar[Mapping[str, Any]]
    """What was written, found by GraphQL to be of this type."""

    def value(self) -> Timeline:
        """The domain's value. Only the frame rate can be unreadable; all else is the rules' to judge."""
        return read(Timeline, self.given)


class TimelineFace:
    """As domain Timeline, too."""


inputs(Timeline, TimelineInput)
faces(Timeline, TimelineFace)
