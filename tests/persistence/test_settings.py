"""Settings are read once, and what is wrong with one is a line that names it."""

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


def test_what_a_command_does_not_use_it_does_not_ask_for() -> None:
    settings = Settings.read({"DATABASE_URL": ENOUGH["DATABASE_URL"]}, needless=("redis_url", "secret_key"))
    assert settings.redis_url == ""


def test_lists_are_separated_by_commas_or_spaces_and_urls_lose_their_last_slash() -> None:
    given = {"ALLOWED_ORIGINS": "https://a.example, https://b.example", "PUBLIC_URL": "https://media.example/"}
    settings = Settings.read({**ENOUGH, **given})
    assert settings.allowed_origins == ("https://a.example", "https://b.example")
    assert settings.public_url == "https://media.example"
