"""All declared tables in one metadata, for migrations and for tests."""

from sqlalchemy import MetaData

from domain import (
    asset,
    attempt,
    event,
    job,
    membership,
    oauth_client,
    order,
    pool,
    project,
    schedule,
    sign_in,
    signing_key,
    stored,
    upload,
    user,
)
from domain.entity import Base

DECLARING = (
    asset,
    attempt,
    event,
    job,
    membership,
    oauth_client,
    order,
    pool,
    project,
    schedule,
    sign_in,
    signing_key,
    stored,
    upload,
    user,
)
"""The modules that declare tables; importing them is what puts a table into the metadata."""


def declared() -> MetaData:
    """The tables as the domain declares them."""
    return Base.metadata
