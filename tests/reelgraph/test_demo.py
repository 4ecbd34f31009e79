"""The demo, on everything real: one run in full, and what it says when something is wrong."""

import io
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from reelgraph.demo import edit, verify
from reelgraph.demo.client import Client
from reelgraph.demo.display import Display
from reelgraph.demo.documents import CREATE_PROJECT, JOB, SET_TIMELINE
from reelgraph.demo.failure import DemoFailed
from reelgraph.demo.footage import FOOTAGE
from reelgraph.demo.live import Live
from reelgraph.demo.sign_in import Person, register, sign_in
from reelgraph.demo.verify import Expected
from reelgraph.home import Home
from reelgraph.stack import Stack, stack
from tests.media import ffmpeg

pytestmark = pytest.mark.xdist_group("demo")  # they share one stack

STAGES = [
    "Start everything",
    "Register",
    "Sign in (OAuth, PKCE)",
    "Create a project",
    "Make clips, still, sound",
    "Upload (signed URLs)",
    "Wait for examination",
    "Set the timeline",
    "Render, watched live",
    "Download (Range, ETag)",
    "Render again, changed",
    "Verify every frame",
]


def demo(home: Path) -> subprocess.CompletedProcess[str]:
    """`reelgraph demo` on this home, its output going to a log."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    if not Home(home).last_port("api"):
        Home(home).port("api")  # other tests start stacks on the usual one meanwhile
    return subprocess.run(
        [sys.executable, "-m", "reelgraph", "demo"],
        env=clean | {"REELGRAPH_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def stages_in(said: str) -> list[str]:
    """The stages that were finished, in order; each has its seconds."""
    return re.findall(r"^(\S.*?) +\d+\.\d\d s(?:  .*)?$", said, re.MULTILINE)


def test_it_ends_with_a_right_video_and_nothing_running(tmp_path):
    done = demo(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert stages_in(done.stdout) == STAGES
    video = tmp_path / "demo" / "reelgraph-demo.mp4"
    assert str(video) in done.stdout.splitlines()[len(STAGES) + 1]
    assert verify.problems(video, edit.EXPECTED) == []
    url = re.search(r"http://127\.0\.0\.1:\d+", done.stdout).group()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


# --- against an installation that runs already ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Home, Stack]]:
    home = Home(tmp_path_factory.mktemp("home"))
    home.port("api")  # other tests start stacks on the usual one meanwhile
    with stack(home, environment={}) as running:
        yield home, running


@pytest.fixture
async def person(running: tuple[Home, Stack]) -> Person:
    person = Person.new()
    await register(running[1].url, person)
    return person


@pytest.fixture
async def token(running: tuple[Home, Stack], person: Person) -> str:
    return await sign_in(running[1].url, person)


@pytest.fixture
async def client(running: tuple[Home, Stack], token: str) -> AsyncGenerator[Client]:
    async with httpx.AsyncClient(base_url=running[1].url, trust_env=False) as http:
        yield Client(http, token)


def test_it_uses_what_runs_already_and_a_failure_is_one_clear_message(running):
    home, stack = running
    in_the_way = home.path / "demo"
    in_the_way.write_text("")
    done = demo(home.path)
    in_the_way.unlink()
    assert done.returncode == 1
    assert f"it runs already, at {stack.url}" in done.stdout
    assert stages_in(done.stdout) == STAGES[:4]
    assert re.search(rf"^{STAGES[4]} +failed$", done.stdout, re.MULTILINE)
    assert done.stderr.splitlines() == [
        f"reelgraph: the demo failed: [Errno 20] Not a directory: '{home.path}/demo/sources'",
        f"The logs are in {home.path}/logs",
    ]
    assert httpx.get(f"{stack.url}/healthz", trust_env=False).status_code == 200


async def test_a_form_that_is_refused_says_why(running, person):
    with pytest.raises(DemoFailed, match=r"^the registration was answered with 400: .*account with this address"):
        await register(running[1].url, person)
    with pytest.raises(DemoFailed, match=r"^the sign-in was answered with 400: The e-mail address or the password"):
        await sign_in(running[1].url, replace(person, password="another password"))


async def test_a_refusal_is_told_with_its_code_and_every_problem(client):
    with pytest.raises(DemoFailed, match=r"^refused with INVALID_INPUT: .*name"):
        await client.do(CREATE_PROJECT, name="")
    project = (await client.do(CREATE_PROJECT, name="Empty"))["id"]
    timeline = edit.timeline({each: each.name for each in FOOTAGE})
    with pytest.raises(DemoFailed) as refused:
        await client.do(SET_TIMELINE, projectId=project, timeline=timeline)
    first, *problems = str(refused.value).splitlines()
    assert first.startswith("refused with TIMELINE_INVALID: ")
    assert [each.split(":")[0].strip() for each in problems] == [
        *(f"tracks.0.clips.{number}.content.video.assetId" for number in range(3)),
        "tracks.0.clips.3.content.image.assetId",
        "tracks.2.clips.0.content.audio.assetId",
    ]


async def test_subscriptions_share_a_socket_and_fail_alone(running, token):
    async with Live.connected(running[1].url, token) as live:
        for _ in range(2):
            with pytest.raises(DemoFailed, match="There is no job"):
                await anext(live.watch(JOB, id="nothing"))
        async with aclosing(live.watch("subscription { answer: no }")) as answers:
            with pytest.raises(DemoFailed, match="Cannot query field"):
                await anext(answers)


async def test_a_wrong_token_is_refused_over_the_socket_too(running):
    with pytest.raises(DemoFailed, match=r"^the live connection was refused: .*4403"):
        async with Live.connected(running[1].url, "nonsense"):
            pass


# --- whether a video is right -----------------------------------------------------------------------------------------

SMALL = Expected(width=320, height=180, frame_rate=25, frames=50, cut=20)


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("videos") / "right.mp4")


def made(path: Path, *options: str, frames: int = 50, wave: str = "0.5*sin(800*t)", faststart: bool = True) -> Path:
    """Black, then white from frame 20 on, with a sound."""
    lengths = ((20, "black"), (frames - 20, "white"))
    colors = ";".join(f"color={color}:s=320x180:r=25,trim=end_frame={length}[{color}]" for length, color in lengths)
    ffmpeg(
        *("-filter_complex", f"{colors};[black][white]concat=n=2;aevalsrc='{wave}|{wave}':s=48000:d={frames / 25}"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
        *(("-movflags", "+faststart") if faststart else ()),
        *options,
        path,
    )
    return path


def test_a_right_video_has_no_problems(right):
    verify.check(right, SMALL)


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        (
            {"frames": 51},
            [
                "the number of frames is 50, expected was 51",
                "the number of samples is 96256, expected was 97920",
                "the duration is 2.00 s, expected was 2.04 s",
            ],
        ),
        ({"cut": 21}, ["the frame of the cut is 20, expected was 21"]),
        ({"width": 640, "height": 360}, ["the size is 320x180, expected was 640x360"]),
    ],
)
def test_what_is_other_than_expected_is_named(right, changes, problems):
    wrong = replace(SMALL, **changes)
    assert verify.problems(right, wrong) == problems
    with pytest.raises(DemoFailed, match=f"^the video {right} is not right:\n  {problems[0]}"):
        verify.check(right, wrong)


def test_silence_and_an_index_at_the_end_are_found(tmp_path):
    path = made(tmp_path / "silent.mp4", wave="0", faststart=False)
    assert verify.problems(path, SMALL) == [
        "the first box behind the file type is mdat, expected was moov",
        "whether there is anything to hear is False, expected was True",
    ]


def test_a_video_without_sound_and_a_damaged_one_are_found(tmp_path, right):
    mute = tmp_path / "mute.mp4"
    ffmpeg("-i", right, "-c", "copy", "-an", "-movflags", "+faststart", mute)
    assert verify.problems(mute, SMALL) == ["the list of streams is ['video'], expected was ['audio', 'video']"]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(right.read_bytes()[:1000])
    assert verify.problems(broken, SMALL)[0].startswith("it cannot be decoded")


# --- what is shown ----------------------------------------------------------------------------------------------------


def shown(*, terminal: bool) -> str:
    file = io.StringIO()
    with Display(Console(file=file, force_terminal=terminal, width=100)) as display:
        with display.stage("Good") as stage:
            stage.tell("halfway", 0.5)
            stage.tell("[all] of it")
        with pytest.raises(ZeroDivisionError), display.stage("Bad"):
            raise ZeroDivisionError
        display.say("The end")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


def test_a_log_has_a_line_for_each_stage():
    first, second, third = shown(terminal=False).splitlines()
    assert re.fullmatch(r"Good {21} +0\.\d\d s  \[all\] of it", first)
    assert re.fullmatch(r"Bad +failed", second)
    assert third == "The end"


def test_a_terminal_has_a_bar_for_each_stage_that_stays():
    *_, first, second, third = shown(terminal=True).splitlines()
    assert re.search(r"✓ Good +━+ +0\.\d\d s \[all\] of it", first)
    assert re.search(r"Bad", second)
    assert third == "The end"
