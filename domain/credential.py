"""Secrets we hand out (cookies, codes, tokens, client secrets) and what we keep of them."""

import hmac
import secrets
from hashlib import sha256

from sqlalchemy import String

DIGEST = String(64)
"""The column type of a kept digest."""


def new_secret() -> str:
    """256 random bits, as 43 URL-safe characters."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """What is kept of a secret: its SHA-256, in hex.

    A fast hash is right here and only here: nobody guesses 256 random bits, so there is no dictionary to slow down,
    and a slow hash would only let strangers spend our processor. Passwords are chosen by people and get Argon2.
    """
    return sha256(secret.encode()).hexdigest()


def is_secret_of(digest: str, secret: str) -> bool:
    """Whether the digest was kept of this secret, in constant time."""
    return hmac.compare_digest(digest, digest_of(secret))
