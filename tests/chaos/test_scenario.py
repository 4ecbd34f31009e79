"""The scenarios of the checker: complete, and the same each time."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.scenario import Happening, Kind, Scenario, blows, plans

FOLDER = Path(__file__).parent
NAMES = ["full", "short"]


@pytest.mark.parametrize(("name", "jobs"), [("full", 1000), ("short", 200)])
def test_a_scenario_has_jobs_and_trouble_of_every_kind(name: str, jobs: int) -> None:
    scenario = Scenario.read(FOLDER / f"{name}.toml")
    planned = plans(scenario)
    assert len(planned) == jobs
    assert {plan.kind for plan in planned} == set(Kind)
    assert {blow.happening for blow in blows(scenario)} == set(Happening)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_fixes_what_is_planned(name: str) -> None:
    scenario = Scenario.read(FOLDER / f"{name}.toml")
    other = replace(scenario, seed=scenario.seed + 1)
    assert plans(scenario) == plans(scenario) != plans(other)
    assert blows(scenario) == blows(scenario) != blows(other)


@pytest.mark.parametrize("name", NAMES)
def test_jobs_and_trouble_come_in_order_and_in_time(name: str) -> None:
    scenario = Scenario.read(FOLDER / f"{name}.toml")
    for moments in ([plan.at for plan in plans(scenario)], [blow.at for blow in blows(scenario)]):
        assert moments == sorted(moments)
        assert 0 <= moments[0] <= moments[-1] <= scenario.seconds
