import os
import select
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest


@pytest.fixture
def gone() -> Callable[..., bool]:
    """`watch = gone(pids)` while they live; `watch(seconds)` then tells whether all of them end in that time."""
    handles: list[int] = []

    def watch(pids: Iterable[int]) -> Callable[[float], bool]:
        mine = [os.pidfd_open(pid) for pid in pids]
        handles.extend(mine)

        def all_end(within: float) -> bool:
            poll = select.poll()
            for handle in mine:
                poll.register(handle, select.POLLIN)
            waiting = set(mine)
            while waiting:
                ended = poll.poll(within * 1000)
                if not ended:
                    return False
                for handle, _ in ended:
                    poll.unregister(handle)
                    waiting.discard(handle)
            return True

        return all_end

    yield watch
    for handle in handles:
        os.close(handle)


@pytest.fixture
def descendants() -> Callable[[int], list[int]]:
    """All processes below one, children of children too."""

    def below(pid: int) -> list[int]:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
        return children + [grandchild for child in children for grandchild in below(child)]

    return below
