"""`reelgraph doctor`: look at everything that the settings name, and say of each thing whether it is fit.

It runs beside a deployment and with its environment. It changes nothing: what it writes to the storage, the scratch
folder and Redis it takes away again.
"""

from collections.abc import AsyncIterator, Callable, Mapping

from rich.console import Console
from rich.text import Text

from persistence.settings import SettingError, Settings
from reelgraph.doctor import machine, media, reachable, servers
from reelgraph.doctor.finding import Finding, Verdict, failure, ok

Check = Callable[[Settings], AsyncIterator[Finding]]

CHECKS: tuple[Check, ...] = (
    servers.postgresql,
    servers.redis,
    machine.ffmpeg,
    machine.sandbox,
    machine.scratch,
    media.storage,
    reachable.public_url,
)
_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILURE: "bold red"}


async def examine(environment: Mapping[str, str], console: Console) -> bool:
    """Print a line for each finding, as it comes; return whether there is no failure among them."""
    counts = dict.fromkeys(Verdict, 0)
    async for finding in findings(environment):
        counts[finding.verdict] += 1
        # One line however long it is: a log has no width, and a terminal breaks lines by itself.
        console.print(
            Text.assemble((f"{finding.verdict:<8}", _STYLES[finding.verdict]), f" {finding.subject}: {finding.said}"),
            soft_wrap=True,
        )
    failures, warnings = counts[Verdict.FAILURE], counts[Verdict.WARNING]
    console.print(f"{_counted(failures, 'failure')}, {_counted(warnings, 'warning')}.", soft_wrap=True, highlight=False)
    return not failures


async def findings(environment: Mapping[str, str]) -> AsyncIterator[Finding]:
    """Look at one thing after the other."""
    try:
        settings = Settings.read(environment)
    except SettingError as error:
        yield failure("settings", str(error))
        return
    yield ok("settings", "complete")
    for check in CHECKS:
        async for finding in check(settings):
            yield finding


def _counted(number: int, thing: str) -> str:
    return f"{number or 'no'} {thing}{'s'[: number != 1]}"
