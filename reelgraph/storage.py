"""`reelgraph storage`: what is done to the media's storage as a whole."""

import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from persistence.settings import SettingError, Settings
from persistence.storage import StorageUnavailableError
from reelgraph.home import StartError

if TYPE_CHECKING:
    from persistence.storage.move import Outcome

T = TypeVar("T")

storage = typer.Typer(help="The storage of media.", no_args_is_help=True)


class Kind(StrEnum):
    """What can keep media."""

    DISK = "disk"
    S3 = "s3"


@storage.command()
def move(
    to: Annotated[Kind, typer.Option("--to", help="Which storage is to have the media.", show_default=False)],
) -> None:
    """Copy all media from disk to S3, or back, and read every copy back. The deployment may go on running.

    Set STORAGE_PATH and S3_… for both, and leave STORAGE as it is. Run it again to go on after a stop, or to catch up.
    Nothing is removed from where it comes from.
    """
    settings = Settings.read(os.environ, needless=("redis_url", "secret_key"))
    settings.check_s3()
    outcome = _run(lambda: _moved(settings, to))
    _report(outcome, settings, to)
    if outcome.problems:
        sys.exit(1)


@storage.command()
def cors(
    *,
    set_: Annotated[bool, typer.Option("--set", help="Put the rule into the bucket.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Ask the store as a browser does.")] = False,
) -> None:
    """Let web pages of ALLOWED_ORIGINS send parts to the bucket and read from it."""
    if not (set_ or check):
        raise SettingError("say --set, --check or both")
    settings = Settings.read(os.environ, needless=("database_url", "redis_url", "secret_key"))
    problems = _run(lambda: _cors(replace(settings, storage="s3"), set_=set_, check=check))
    for problem in problems:
        print(f"- {problem}")
    if problems:
        sys.exit(1)


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    import uvloop

    try:
        return uvloop.run(work())
    except StorageUnavailableError as error:
        raise StartError(str(error)) from None


async def _moved(settings: Settings, to: Kind) -> "Outcome":
    from persistence.database import Database
    from persistence.resources import storage_opened
    from persistence.storage.move import Move, journal_of
    from reelgraph.reach import reach

    await reach(settings, redis=False)
    source = Kind.S3 if to == Kind.DISK else Kind.DISK
    bar = Progress(
        TextColumn("{task.description}"),
        *(BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()),
        console=Console(highlight=False),
    )
    async with (
        Database.opened(settings) as database,
        storage_opened(replace(settings, storage=str(source))) as old,
        storage_opened(replace(settings, storage=str(to))) as new,
    ):
        with bar:
            task = bar.add_task(f"{source} to {to}", total=None)
            return await Move(
                database,
                source=old,
                target=new,
                journal=journal_of(settings, str(to)),
                scratch=settings.scratch_path,
                tell=lambda done, total: bar.update(task, completed=done, total=total),
            ).run()


def _report(outcome: "Outcome", settings: Settings, to: Kind) -> None:
    print(f"{_objects(outcome.carried)} carried over ({outcome.carried_bytes:,} bytes), each read back and right.")
    if outcome.already_there:
        print(f"{_objects(outcome.already_there)} there already, and right.")
    if outcome.removed:
        print(f"{_objects(outcome.removed)} removed from {to} again, as they have been deleted since.")
    for problem in outcome.problems:
        print(f"- {problem}")
    if outcome.problems:
        print(f"{_objects(len(outcome.problems))} could not be carried over. Run this again when that is put right.")
        return
    if outcome.open_uploads:
        print(
            f"Uploads that are not complete: {outcome.open_uploads}. Their parts are not carried over: let their"
            " clients finish and run this again, or they begin anew."
        )
    if settings.storage == to:
        return
    print(
        f"To change over: stop the API and the workers, run this again (it is quick now), set STORAGE={to} for every"
        " process, and start them."
    )
    if to == Kind.S3:
        print("If browsers upload or play: reelgraph storage cors --set --check")
    print("Nothing was removed from the old storage.")


def _objects(count: int) -> str:
    return f"{count:,} object" if count == 1 else f"{count:,} objects"


async def _cors(settings: Settings, *, set_: bool, check: bool) -> list[str]:
    from persistence.storage.cors import check_cors, origins, set_cors
    from persistence.storage.s3 import S3Storage

    opened = await S3Storage.opened(settings)
    try:
        if set_:
            try:
                await set_cors(opened, settings)
            except StorageUnavailableError as error:
                raise StartError(
                    f"{error}. If this store takes no CORS rules by the S3 API, let these origins in by its own"
                    f" configuration, and then --check: {' '.join(origins(settings))}"
                ) from None
            print(f"Set for {', '.join(origins(settings))}.")
        if not check:
            return []
        problems = await check_cors(opened, settings)
        if not problems:
            print(f"Browsers are let in from {', '.join(origins(settings))}.")
        return problems
    finally:
        await opened.close()
