"""The fuzzer of media works, and finds nothing in its first few cases."""

from pathlib import Path

import pytest

from domain.media import CONTAINERS
from tests.fuzz.media import Fuzz, main


def test_every_container_is_harmed_and_every_case_can_be_had_again(tmp_path: Path) -> None:
    run = Fuzz(tmp_path, tmp_path / "found", seed=1)
    cases = [run.case(number) for number in range(400)]
    assert {container for container, _ in cases} == set(CONTAINERS)
    assert len({data for _, data in cases}) > 390
    assert run.case(17) == cases[17]


def test_the_first_cases_do_no_harm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "12", "--keep", str(tmp_path / "found")]) == 0
    assert capsys.readouterr().out.count(") ok\n") == 5
    assert not (tmp_path / "found").exists()
