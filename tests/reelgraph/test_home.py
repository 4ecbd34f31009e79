import os
import socket
import stat
from pathlib import Path

import pytest

from reelgraph.home import AlreadyRunningError, Home, StartError, is_free


def test_the_home_is_in_the_current_folder_unless_the_environment_names_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Home.chosen({}).path == tmp_path / ".reelgraph"
    assert Home.chosen({"REELGRAPH_HOME": "  "}).path == tmp_path / ".reelgraph"
    assert Home.chosen({"REELGRAPH_HOME": "there"}).path == tmp_path / "there"
    assert Home.chosen({"REELGRAPH_HOME": "/srv/reelgraph"}).path == Path("/srv/reelgraph")


def test_a_secret_is_random_private_and_stays(tmp_path):
    home = Home(tmp_path)
    key = home.secret("key")
    assert len(key) == 48
    assert home.secret("key") == key
    assert home.secret("redis") != key
    assert stat.S_IMODE((tmp_path / "secrets" / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_a_port_stays_while_it_is_free(tmp_path):
    home = Home(tmp_path)
    port = home.port("api")
    assert home.port("api") == port
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        other = home.port("api")
        assert other != port
    assert home.port("api") == other


def test_a_wanted_port_is_taken_the_first_time(tmp_path):
    wanted = Home(tmp_path / "elsewhere").path.parent
    with socket.create_server(("127.0.0.1", 0)) as taken:
        home = Home(wanted)
        port = taken.getsockname()[1]
        assert home.port("api", wanted=port) != port
    assert Home(wanted).port("other", wanted=port) == port


def test_one_process_at_a_time_holds_a_home(tmp_path):
    home = Home(tmp_path / "home")
    with home.held():
        with (
            pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}, which has not finished starting"),
            home.held(),
        ):
            pass
        home.announce("http://127.0.0.1:8123")
        with (
            pytest.raises(
                AlreadyRunningError, match=f"^already running at http://127.0.0.1:8123 \\(process {os.getpid()}\\)"
            ) as error,
            home.held(),
        ):
            pass
        assert error.value.url == "http://127.0.0.1:8123"
    with home.held():
        pass


def test_the_folder_is_private(tmp_path):
    home = Home(tmp_path / "home")
    with home.held():
        assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_somebody_elses_home_is_left_alone(tmp_path):
    home = Home(tmp_path / "home")
    home.path.mkdir()
    os.chown(home.path, 65534, 65534)
    with (
        pytest.raises(StartError, match="belongs to nobody, you are root: run as that user, or set REELGRAPH_HOME"),
        home.held(),
    ):
        pass
    assert list(home.path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(
            StartError, match=r"cannot keep data in .*/file/home: Not a directory; REELGRAPH_HOME names another"
        ),
        Home(tmp_path / "file" / "home").held(),
    ):
        pass
