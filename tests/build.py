"""A build in the small: makes commands and all that they are made from, one after the other, by the real FFmpeg."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from domain.ffmpeg.command import Command, Input, Original, Shipped
from domain.sound.loudness import gain
from tasks.ffmpeg import FONT, find_ffmpeg, guarded


def made(command: Command, folder: Path, shelf: Mapping[str, Path], *, tool: Path | None = None) -> Path:
    """Make a command's result, unless an equal one was made in this folder before.

    Each command works in a folder of its own below this one, named by its key; assets come from the shelf by their ids.
    """
    for each in command.tree():
        if not _result(each, folder).exists():
            _make(each, folder, shelf, tool or find_ffmpeg(None))
    return _result(command, folder)


def missing(command: Command, folder: Path) -> list[Command]:
    """What of it has not been made in this folder."""
    return [each for each in command.tree() if not _result(each, folder).exists()]


def _result(command: Command, folder: Path) -> Path:
    return folder / command.key / command.result


def _make(command: Command, folder: Path, shelf: Mapping[str, Path], tool: Path) -> None:
    place = folder / f"{command.key}.part"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name, needed in command.inputs.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(_path(needed, folder, shelf).resolve())
    for name, text in command.files.items():
        (place / name).write_text(text)
    quiet = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-y"]
    argv = [tool, *quiet, *guarded(list(_argv(command, place)), None)]
    fonts = {"FONTCONFIG_FILE": str(FONT.parent / "fonts.conf")}  # as for every child: none of the machine's
    ran = subprocess.run(
        argv, cwd=place, env=fonts, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ran.returncode or not (place / command.result).exists():
        raise AssertionError(f"ffmpeg ended with {ran.returncode}: {ran.stderr}\n{argv}\n{command.files}")
    place.rename(folder / command.key)


def _argv(command: Command, place: Path) -> Iterator[str]:
    """The arguments, with the number that was measured before."""
    measure = command.measure
    number = gain((place / measure.input).read_text(), measure.target) if measure else ""
    for word in command.argv:
        yield word.replace("{measured}", number) if measure else word


def _path(needed: Input, folder: Path, shelf: Mapping[str, Path]) -> Path:
    match needed:
        case Original():
            return shelf[needed.asset_id]
        case Shipped():
            return FONT.parent / Path(needed.name).name
        case Command():
            return _result(needed, folder)
