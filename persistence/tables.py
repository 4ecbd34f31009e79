"""All declared tables in one metadata, for migrations and for tests."""

from sqlalchemy import Column, MetaData

from domain import (
    asset,
    asset_text,
    attempt,
    event,
    job,
    membership,
    oauth_client,
    order,
    piece,
    pool,
    project,
    schedule,
    sign_in,
    signing_key,
    stored,
    timeline_version,
    upload,
    user,
)
from domain.entity import Base

DECLARING = (
    asset,
    asset_text,
    attempt,
    event,
    job,
    membership,
    oauth_client,
    order,
    piece,
    pool,
    project,
    schedule,
    sign_in,
    signing_key,
    stored,
    timeline_version,
    upload,
    user,
)
"""The modules that declare tables; importing them is what puts a table into the metadata."""


def owners_of_objects() -> list[Column[str]]:
    """The columns that say whose a stored object is: a table that is declared with one more needs no word here."""
    ledger = stored.StoredObject.__tablename__
    keys = (key for table in declared().tables.values() for key in table.foreign_keys)
    found = [key.parent for key in keys if key.target_fullname == f"{ledger}.id"]
    # The one that refers to it by name only: an upload is remembered when its object is long gone.
    return [*found, declared().tables[upload.Upload.__tablename__].c.object_id]


def declared() -> MetaData:
    """The tables as the domain declares them."""
    return Base.metadata
