import gc
import weakref

from reelgraph.memory import settle


class Thing:
    """Something to be kept, or not."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_there_stays_and_what_comes_later_is_still_collected() -> None:
    before = gc.get_freeze_count()
    try:
        settle()
        assert gc.get_freeze_count() > before
        late = weakref.ref(Thing())
        gc.collect()
        assert late() is None
    finally:
        gc.unfreeze()
