"""Settings are read once, and what is wrong with one is a line that names it."""

from pathlib import Path

import pytest

from persistence.settings import SettingError, Settings

ENOUGH = {
    "DATABASE_URL": "postgresql://u:p@host/db",
    "REDIS_URL": "redis://host",
    "SECRET_KEY": "0123456789abcdef0123456789abcdef",
}


def test_three_settings_are_enough_and_the_rest_have_sensible_values() -> None:
    settings = Settings.read(ENOUGH)
    assert (settings.database_url, settings.lease_seconds, settings.allowed_origins) == (ENOUGH["DATABASE_URL"], 10, ())


@pytest.mark.parametrize("name", ENOUGH)
def test_a_missing_setting_is_named_with_a_remedy(name: str) -> None:
    with pytest.raises(SettingError, match=rf"^{name} is not set; .+$"):
        Settings.read({each: value for each, value in ENOUGH.items() if each != name})
    with pytest.raises(SettingError, match=rf"^{name} is not set"):
        Settings.read({**ENOUGH, name: "  "})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://host/db"),
        ("REDIS_URL", "host:6379"),
        ("SECRET_KEY", "short"),
        ("PUBLIC_URL", "example.org"),
        ("MAX_UPLOAD_BYTES", "much"),
        ("LEASE_SECONDS", "0"),
        ("LIGHT_SLOTS", "-1"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=rf"^{name} must [^\n]+$"):
        Settings.read({**ENOUGH, name: value})


@pytest.mark.parametrize("password", ["sl/ash", "hash#", "ask?me", "at@/home", "[bracket"])
@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_password_that_is_not_encoded_is_named_but_not_told(name: str, password: str) -> None:
    scheme = "postgresql" if name == "DATABASE_URL" else "redis"
    with pytest.raises(SettingError, match=rf"^{name} must have special characters .* percent-encoded") as caught:
        Settings.read({**ENOUGH, name: f"{scheme}://u:{password}@host:1234/0"})
    assert password not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "rediss://u:p%40@cache.example.org:6380/0?ssl_ca_certs=/ca.pem",
        "redis+sentinel://:p@a:26379,b:26379/films/0?sentinel_password=q",
        "redis://[::1]:6379",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_redis_may_be_named_in_all_these_ways(url: str) -> None:
    assert Settings.read({**ENOUGH, "REDIS_URL": url}).redis_url == url


def test_a_parameter_that_redis_does_not_know_is_named() -> None:
    with pytest.raises(SettingError, match=r"^REDIS_URL must not have the parameter sslmode: "):
        Settings.read({**ENOUGH, "REDIS_URL": "rediss://host?sslmode=require"})


def test_what_a_command_does_not_use_it_does_not_ask_for() -> None:
    settings = Settings.read({"DATABASE_URL": ENOUGH["DATABASE_URL"]}, needless=("redis_url", "secret_key"))
    assert settings.redis_url == ""


def test_lists_are_separated_by_commas_or_spaces_and_urls_lose_their_last_slash() -> None:
    given = {"ALLOWED_ORIGINS": "https://a.example, https://b.example", "PUBLIC_URL": "https://media.example/"}
    settings = Settings.read({**ENOUGH, **given})
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.public_url == "https://media.example"


def test_secrets_may_be_given_by_file(tmp_path: Path) -> None:
    given = ENOUGH | {"S3_ACCESS_KEY_ID": "an-id", "S3_SECRET_ACCESS_KEY": "a-secret"}
    for name, value in given.items():
        (tmp_path / name).write_text(f"{value}\n")
    settings = Settings.read({f"{name}_FILE": str(tmp_path / name) for name in given})
    assert settings == Settings.read(given)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SECRET_KEY_FILE": "good"}, "SECRET_KEY and SECRET_KEY_FILE are both set; take one away"),
        (
            {"SECRET_KEY": "", "SECRET_KEY_FILE": "none"},
            "SECRET_KEY_FILE: none cannot be read: No such file or directory",
        ),
        ({"SECRET_KEY": "", "SECRET_KEY_FILE": "."}, "SECRET_KEY_FILE: . cannot be read: Is a directory"),
        ({"SECRET_KEY": "", "SECRET_KEY_FILE": "empty"}, "SECRET_KEY_FILE: empty is empty"),
        ({"SECRET_KEY": "", "SECRET_KEY_FILE": "bytes"}, "SECRET_KEY_FILE: bytes is not text"),
        (
            {"SECRET_KEY": "", "SECRET_KEY_FILE": "short"},
            "SECRET_KEY must have at least 32 characters; `openssl rand -hex 32` makes one",
        ),
    ],
)
def test_a_file_that_gives_no_secret_is_named(
    environment: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in {"good": b"x" * 32, "empty": b" \n", "bytes": b"\xff" * 32, "short": b"short"}.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingError) as raised:
        Settings.read(ENOUGH | environment)
    assert str(raised.value) == message


def test_only_secrets_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://media.example.org")
    assert Settings.read({**ENOUGH, "PUBLIC_URL_FILE": str(tmp_path / "url")}) == Settings.read(ENOUGH)


def test_folders_mean_the_same_place_to_every_child() -> None:
    settings = Settings.read(ENOUGH)
    assert (settings.storage_path.is_absolute(), settings.scratch_path.is_absolute()) == (True, True)
