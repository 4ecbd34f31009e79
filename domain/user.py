"""A person with an account."""

import re

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base, Entity
from domain.refusals import InvalidInput

NAME_LENGTH = 200
EMAIL_LENGTH = 254
PASSWORD_LEAST, PASSWORD_MOST = 10, 1000
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)*")


def clean_name(name: str, *, path: str = "name") -> str:
    """Return a display name, trimmed; refuse an empty, an overlong or an unprintable one."""
    name = name.strip()
    if not name:
        raise InvalidInput(path=path, problem="it must not be empty")
    if len(name) > NAME_LENGTH:
        raise InvalidInput(path=path, problem=f"it has {len(name)} characters, {NAME_LENGTH} are allowed")
    if not name.isprintable():
        raise InvalidInput(path=path, problem="it contains control characters")
    return name


def clean_email(email: str) -> str:
    """Return the address as it is kept and compared: trimmed, in lower case."""
    email = email.strip().lower()
    if len(email) > EMAIL_LENGTH or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise InvalidInput(path="email", problem="it is not an e-mail address")
    return email


def clean_password(password: str) -> str:
    """Return a password that somebody chose, as typed; refuse a short one. Length counts, kinds of characters don't."""
    if len(password) < PASSWORD_LEAST:
        raise InvalidInput(path="password", problem=f"it needs at least {PASSWORD_LEAST} characters")
    if len(password) > PASSWORD_MOST:
        raise InvalidInput(path="password", problem=f"it may have {PASSWORD_MOST} characters at most")
    return password


class User(Entity, Base):
    """A person with an account. The password is kept as an Argon2 hash only."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH), unique=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    password_hash: Mapped[str | None] = mapped_column(String(200), default=None)
    is_admin: Mapped[bool] = mapped_column(default=False)
