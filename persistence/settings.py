"""The settings: one frozen object, read once from the environment by a composition root."""

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


class SettingError(Exception):
    """A setting is missing or wrong; the message is one line that names it and says what to do."""


def _url(*schemes: str) -> Any:
    def read(name: str, raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise SettingError(f"{name} must be a URL that starts with {' or '.join(s + '://' for s in schemes)}")
        try:
            _ = "http" in schemes and parts.port
        except ValueError:
            raise SettingError(f"{name} must have a port between 0 and 65535") from None
        return raw

    return read


def _server(*schemes: str, parameters: Collection[str] = ()) -> Any:
    """Read a URL that may name several hosts, with nothing in it that its user did not mean to be there."""

    def read(name: str, raw: str) -> str:
        try:
            _url(*schemes)(name, raw)
            parts = urlsplit(raw)
            hosts = parts.netloc.rpartition("@")[2].split(",")
            clear = not parts.fragment and "@" not in parts.path + parts.query and all(map(_HOST.fullmatch, hosts))
        except ValueError:
            clear = False
        if not clear:
            # A password with a slash, say, ends the host there. Nothing of it is repeated: part of it may be secret.
            raise SettingError(
                f"{name} must have special characters of its user and password percent-encoded, such as %40 for @"
            )
        parts = urlsplit(raw)
        if unknown := parameters and parse_qs(parts.query, keep_blank_values=True).keys() - set(parameters):
            raise SettingError(f"{name} must not have the parameter {min(unknown)}: nobody here knows it")
        return raw

    return read


def _number(least: float, most: float, cast: type[int] | type[float] = int) -> Any:
    def read(name: str, raw: str) -> float:
        try:
            number = cast(raw)
        except ValueError:
            raise SettingError(f"{name} must be a number, not {raw!r}") from None
        if not least <= number <= most:
            raise SettingError(f"{name} must be between {_shown(least)} and {_shown(most)}, not {_shown(number)}")
        return number

    return read


def _shown(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _origins(name: str, raw: str) -> tuple[str, ...]:
    words = _words(name, raw)
    for word in words:
        parts = urlsplit(word)
        if word != "*" and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.path):
            raise SettingError(f"{name} must list origins such as https://app.example.org, or be *; not {word!r}")
    return words


def _words(_: str, raw: str) -> tuple[str, ...]:
    return tuple(word for word in raw.replace(",", " ").split() if word)


def _folder(_: str, raw: str) -> Path:
    return Path(raw).expanduser().absolute()


def _text(_: str, raw: str) -> str:
    return raw


def _flag(name: str, raw: str) -> bool:
    try:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[raw.lower()]
    except KeyError:
        raise SettingError(f"{name} must be true or false, not {raw!r}") from None


def _endpoint(name: str, raw: str) -> str:
    return _url("http", "https")(name, raw).rstrip("/")


def _one_of(*choices: str) -> Any:
    def read(name: str, raw: str) -> str:
        if raw.lower() not in choices:
            raise SettingError(f"{name} must be {' or '.join(choices)}, not {raw!r}")
        return raw.lower()

    return read


def _prefix(name: str, raw: str) -> str:
    prefix = raw.strip("/")
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", prefix):
        raise SettingError(f"{name} must be a path of plain names such as media/reelgraph, not {raw!r}")
    return prefix


def _level(name: str, raw: str) -> str:
    if raw.upper() not in logging.getLevelNamesMapping():
        raise SettingError(f"{name} must be DEBUG, INFO, WARNING or ERROR, not {raw!r}")
    return raw.upper()


def _secret(name: str, raw: str) -> str:
    if len(raw) < 32:  # noqa: PLR2004
        raise SettingError(f"{name} must have at least 32 characters; `openssl rand -hex 32` makes one")
    return raw


def _setting(read: Any, default: Any = MISSING, *, by_file: bool = False) -> Any:
    metadata = {"read": read, "by_file": by_file}
    return field(metadata=metadata) if default is MISSING else field(metadata=metadata, default=default)


_HOST = re.compile(r"|\[[0-9a-fA-F:.%]+\](:\d+)?|[\w.-]*(:\d+)?", re.ASCII)
_REDIS_PARAMETERS = frozenset(
    {"db", "protocol", "client_name", "socket_keepalive", "sentinel_username", "sentinel_password"}
    | {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Each field is the environment variable of the same name in capitals.

    Those that hold secrets may be given by file instead: SECRET_KEY_FILE names a file whose content is the SECRET_KEY.
    """

    database_url: str = _setting(_server("postgresql", "postgres"), by_file=True)
    """PostgreSQL, e.g. postgresql://user:password@host:5432/reelgraph, with libpq's parameters such as sslmode."""
    redis_url: str = _setting(
        _server("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", parameters=_REDIS_PARAMETERS),
        by_file=True,
    )
    """Redis, e.g. redis://host:6379/0; `persistence.redis_pool` tells the forms."""
    secret_key: str = _setting(_secret, by_file=True)
    """Signs media URLs and encrypts what must not lie open in the database. The same for every process."""
    public_url: str = _setting(_url("http", "https"), "http://127.0.0.1:8000")
    """Where clients reach the API: the OAuth issuer and the base of every signed URL. No slash at the end."""
    storage: str = _setting(_one_of("disk", "s3"), "disk")
    """What keeps the media: a folder (STORAGE_PATH) or a bucket (S3_BUCKET)."""
    storage_path: Path = _setting(_folder, Path(".reelgraph/media"))
    """The folder of stored media (local storage)."""
    s3_bucket: str | None = _setting(_text, None)
    """The bucket of stored media, used by nobody else unless S3_PREFIX keeps us apart."""
    s3_prefix: str | None = _setting(_prefix, None)
    """What all keys in the bucket begin with, without the slash."""
    s3_region: str | None = _setting(_text, None)
    """If not said: as the AWS tools find it, else us-east-1."""
    s3_endpoint_url: str | None = _setting(_endpoint, None)
    """Where the store answers, for one that is not AWS."""
    s3_public_endpoint_url: str | None = _setting(_endpoint, None)
    """Where clients reach the store, if that is elsewhere."""
    s3_path_style: bool | None = _setting(_flag, None)
    """Whether the bucket stands in the path instead of the host name; if not said: yes with S3_ENDPOINT_URL."""
    s3_access_key_id: str | None = _setting(_text, None, by_file=True)
    """If not said: credentials as the AWS tools find them (AWS_… variables, profile, role of the machine)."""
    s3_secret_access_key: str | None = _setting(_text, None, by_file=True)
    scratch_path: Path = _setting(_folder, Path(".reelgraph/scratch"))
    """Where workers keep part files and cached originals; may be emptied while no worker runs."""
    allowed_origins: tuple[str, ...] = _setting(_origins, ())
    """Web origins (scheme://host:port) that may call the API from a browser, or * for any."""
    open_registration: bool = _setting(_flag, True)
    """Whether strangers may make accounts for themselves."""
    redis_namespace: str = _setting(_text, "reelgraph")
    """Prefix of every Redis key and channel, so that deployments can share one Redis."""
    max_upload_bytes: int = _setting(_number(1, 2**43), 20 * 2**30)
    max_pixels: int = _setting(_number(1, 2**31 - 1), 50_000_000)
    """The most pixels a frame of an upload may have (width x height)."""
    upload_part_bytes: int = _setting(_number(2**10, 2**30), 16 * 2**20)
    upload_hours: float = _setting(_number(0.001, 24 * 30, float), 24.0)
    """How long an upload stays open for its parts."""
    download_hours: float = _setting(_number(0.001, 24 * 7, float), 6.0)
    """How long a signed download URL is good."""
    lease_seconds: float = _setting(_number(1, 3600, float), 10.0)
    """How long a running job may stay silent before another worker takes it over."""
    render_slots: int = _setting(_number(0, 256), 1)
    """Jobs of the render pool that one worker runs at once; 0 keeps it out of the pool."""
    render_threads: int = _setting(_number(1, 64), 4)
    """Threads of one video encoder. They shape the bytes: the same for all workers, or nothing fits together."""
    render_nvenc: bool = _setting(_flag, False)
    """Whether NVIDIA's encoder is used for the codecs that it knows; the same for all workers."""
    speech_slots: int = _setting(_number(0, 256), 1)
    """Jobs of the speech pool that one worker runs at once; 0 keeps it out of the pool."""
    light_slots: int = _setting(_number(0, 256), 4)
    """Jobs of the light pool (probes, small things) that one worker runs at once."""
    render_cache_bytes: int = _setting(_number(0, 2**50), 20 * 2**30)
    """How much of what renders have made is kept for later ones, in each project; 0: no longer than it is needed."""
    ffmpeg_binary: str | None = _setting(_text, None)
    """The ffmpeg to use; if not said, the one that came with the imageio-ffmpeg wheel, then one on PATH."""
    child_memory_bytes: int = _setting(_number(2**28, 2**43), 8 * 2**30)
    """The most memory that one ffmpeg may take for itself."""
    originals_cache_bytes: int = _setting(_number(0, 2**50), 50 * 2**30)
    """How many bytes of originals a machine keeps at hand beyond their use; 0 keeps none. Unused with local storage."""
    attempt_hours: float = _setting(_number(0.0001, 24 * 7, float), 6.0)
    """The longest that one attempt at a job may take; then it has failed."""
    job_hours: float = _setting(_number(0.0001, 24 * 30, float), 24.0)
    """The longest that a job may take with all its attempts and children, from when a worker first took it."""
    user_running_jobs: int = _setting(_number(0, 100_000), 0)
    """How many jobs of one user may run at once, the children of a job apart; 0 for any number."""
    project_running_jobs: int = _setting(_number(0, 100_000), 0)
    """How many jobs of one project may run at once, the children of a job apart; 0 for any number."""
    drain_seconds: float = _setting(_number(0, 3600, float), 10.0)
    """How long a worker that is told to stop lets its jobs go on before it hands them back."""
    database_pool: int = _setting(_number(1, 1000), 10)
    """Connections to PostgreSQL that one process may hold."""
    database_prepared: bool = _setting(_flag, True)
    """Whether statements are prepared once for each connection; not behind a pooler that shares connections."""
    redis_pool: int = _setting(_number(4, 1000), 16)
    """Connections to Redis that one process may hold, besides the one it listens on."""
    log_level: str = _setting(_level, "INFO")

    @classmethod
    def read(cls, environment: Mapping[str, str], *, needless: Collection[str] = ()) -> "Settings":
        """Read the environment; raise SettingError on the first setting that is missing or wrong.

        The needless ones may be missing (and are empty then): a migration, say, rings nobody and signs nothing.
        """
        values: dict[str, Any] = {}
        for each in fields(cls):
            name = each.name.upper()
            raw = _given(environment, name, by_file=each.metadata["by_file"])
            if raw:
                values[each.name] = each.metadata["read"](name, raw)
            elif each.name in needless:
                values[each.name] = ""
            elif each.default is MISSING:
                raise SettingError(f"{name} is not set; {_REMEDIES[each.name]}")
            elif isinstance(each.default, Path):
                # Children run in folders of their own: a relative path would mean another place to them.
                values[each.name] = each.default.absolute()
        values["public_url"] = values.get("public_url", cls.public_url).rstrip("/")
        settings = cls(**values)
        if settings.storage == "s3":
            settings.check_s3()
        return settings

    def check_s3(self) -> None:
        """Raise SettingError where the settings do not describe a bucket that media can be kept in."""
        if not self.s3_bucket:
            raise SettingError("S3_BUCKET is not set; it names the bucket that keeps the media")
        if bool(self.s3_access_key_id) != bool(self.s3_secret_access_key):
            raise SettingError("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY go together; set both or neither")
        if self.upload_part_bytes < _LEAST_S3_PART:
            raise SettingError(f"UPLOAD_PART_BYTES must be at least {_LEAST_S3_PART} with S3: no store takes less")


def _given(environment: Mapping[str, str], name: str, *, by_file: bool) -> str:
    """What the environment says, itself or by file, without the white space around it; empty if it says nothing."""
    raw = environment.get(name, "").strip()
    file = environment.get(f"{name}_FILE", "").strip() if by_file else ""
    if not file:
        return raw
    if raw:
        raise SettingError(f"{name} and {name}_FILE are both set; take one away")
    try:
        raw = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingError(f"{name}_FILE: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingError(f"{name}_FILE: {file} is not text") from None
    if not raw:
        raise SettingError(f"{name}_FILE: {file} is empty")
    return raw


_LEAST_S3_PART = 5 * 2**20

_REMEDIES = {
    "database_url": "e.g. postgresql://user:password@localhost:5432/reelgraph (`make up` starts one for you)",
    "redis_url": "e.g. redis://localhost:6379/0 (`make up` starts one for you)",
    "secret_key": "`openssl rand -hex 32` makes one; every process needs the same",
}
