"""docs/sign_in.py against a real API process, with a person at the browser."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape

import httpx
import pytest

from tests.docs.pages import ROOT

ADA = {"name": "Ada", "email": "ada@example.org", "password": "difference engine"}


@pytest.fixture
def api(environment: dict[str, str]) -> Iterator[str]:
    """Where an API process answers."""
    del environment["PUBLIC_URL"]
    with subprocess.Popen(
        [sys.executable, "-m", "reelgraph", "api", "--host", "127.0.0.1", "--port", "0"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process.stdout.readline().removeprefix("Listening on ").strip()
        finally:
            process.terminate()


def test_the_program_signs_a_new_user_in_and_prints_a_token_that_works(api: str) -> None:
    with subprocess.Popen(
        [sys.executable, "docs/sign_in.py", f"{api}/"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "BROWSER": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            program.stderr.readline()
            authorize = program.stderr.readline().strip()
            with httpx.Client(follow_redirects=True, base_url=api, timeout=30) as browser:
                sign_in = browser.get(authorize)
                register = browser.get(unescape(re.search(r'href="([^"]*/oauth/register[^"]*)"', sign_in.text)[1]))
                hidden = dict(re.findall(r'name="(form_token|next)" value="([^"]*)"', register.text))
                asks = browser.post("/oauth/register", data=ADA | {k: unescape(v) for k, v in hidden.items()})
                action = unescape(re.search(r'<form method="post" action="([^"]*)" class="answers">', asks.text)[1])
                proof = unescape(re.search(r'name="form_token" value="([^"]*)"', asks.text)[1])
                done = browser.post(action, data={"form_token": proof, "answer": "allow"})
            assert done.text.startswith("Done.")
            token = program.stdout.read().strip()
            assert program.wait(10) == 0
        finally:
            program.kill()
    answer = httpx.post(
        f"{api}/graphql", json={"query": "{ viewer { name } }"}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.json() == {"data": {"viewer": {"name": "Ada"}}}
