"""A key that signs access tokens, and when it does."""

from datetime import datetime, timedelta

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from domain.entity import Base, Entity
from domain.sign_in import ACCESS_TOKEN_LIFE

PUBLISHED_AHEAD = timedelta(minutes=10)
"""How long a new key is published before it signs: longer than anybody may cache the key set."""
KEY_SET_MAX_AGE = timedelta(minutes=5)


class SigningKey(Entity, Base):
    """An ES256 key, the same for every API process. Its id is the `kid` that tokens name."""

    __tablename__ = "signing_keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    pem: Mapped[str] = mapped_column(Text)
    """The private key, encrypted with the installation's secret key."""
    signs_from: Mapped[datetime] = mapped_column()
    retires_at: Mapped[datetime | None] = mapped_column(default=None)
    """When it leaves the key set: no token it signed is alive then. None while it has no successor."""

    def give_way(self, successor: "SigningKey") -> None:
        """Retire once the last token this key signs has expired."""
        self.retires_at = successor.signs_from + ACCESS_TOKEN_LIFE + KEY_SET_MAX_AGE
