"""The rules of uploads."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.refusals import InvalidInput, UploadClosed
from domain.upload import MOST_PARTS, Announcement, Upload, UploadState

EXPIRES = datetime(2026, 1, 2, tzinfo=UTC)


def _upload(size: int, part_size: int) -> Upload:
    return Upload(
        project_id="p",
        object_id="o",
        filename="a",
        content_type="video/mp4",
        size=size,
        part_size=part_size,
        expires_at=EXPIRES,
    )


def _announced(size: int, **changes: str | None) -> Announcement:
    words = {"filename": "a.mp4", "content_type": "video/mp4", "sha256": None, **changes}
    return Announcement.of(size=size, limit=2**50, **words)  # type: ignore[arg-type]


@settings(deadline=None)
@given(size=st.integers(1, 10**6), part_size=st.integers(1, 10**6).filter(lambda size: size > 100))
def test_the_parts_tile_the_file_exactly(size: int, part_size: int) -> None:
    parts = _upload(size, part_size).parts
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert [part.offset for part in parts] == [sum(part.size for part in parts[:i]) for i in range(len(parts))]
    assert sum(part.size for part in parts) == size
    assert all(part.size == part_size for part in parts[:-1])


@given(size=st.integers(1, 2**50))
def test_no_file_has_more_parts_than_storages_take(size: int) -> None:
    part_size = _announced(size).part_size(16 * 2**20)
    assert part_size >= 16 * 2**20
    assert -(-size // part_size) <= MOST_PARTS


def test_names_are_kept_composed_and_trimmed() -> None:
    assert _announced(1, filename=" u\u0308ber.mp4 ").filename == "über.mp4"


@pytest.mark.parametrize("name", [".", "..", "a/b", "a\\b", "a\0", "\u202e", "ä" * 128])
def test_names_that_no_file_can_have_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        _announced(1, filename=name)


def test_an_upload_takes_nothing_once_it_is_closed_or_too_late() -> None:
    upload = _upload(1, 1)
    upload.still_open(datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(UploadClosed) as late:
        upload.still_open(EXPIRES)
    assert late.value.state == UploadState.EXPIRED
    upload.complete("asset")
    with pytest.raises(UploadClosed) as closed:
        upload.abort(datetime(2026, 1, 1, tzinfo=UTC))
    assert closed.value.state == UploadState.COMPLETED
