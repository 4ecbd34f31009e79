"""The keys that sign access tokens: rows that every API process shares, so that each can check what another signed."""

import hmac
import time
from datetime import UTC, datetime

from joserfc.jwk import ECKey, KeySet, KeySetSerialization
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.entity import new_id
from domain.signing_key import PUBLISHED_AHEAD, SigningKey
from persistence.database import Database
from persistence.settings import SettingError, Settings

_LOCK = 7_236_401
"""Advisory lock: one process at a time makes keys."""
_FRESH = 60.0
"""Seconds that the rows are trusted for. A key is published for longer than that before it signs."""
_STRANGER = 1.0
"""Seconds between looks for a `kid` we don't know, so that made-up ones cost nothing."""


class SigningKeys:
    """The key set of the installation. `ensure` it once at start-up."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """Keep the database and the passphrase; nothing is read yet."""
        self._database = database
        # Not the secret key itself: what encrypts here must not be what signs URLs there.
        self._passphrase = hmac.digest(settings.secret_key.encode(), b"reelgraph signing keys", "sha256").hex()
        self._opened: dict[str, ECKey] = {}
        self._rows: list[SigningKey] = []
        self._read_at = float("-inf")

    async def ensure(self) -> None:
        """Make the first key if there is none, and see that SECRET_KEY opens those there are."""
        async with self._database.sessions() as session, session.begin():
            await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            if not await self._published(session):
                session.add(self._made(signs_from=datetime.now(UTC)))
        await self._read()

    async def rotate(self) -> None:
        """Publish a new key, which takes over once everybody knows it; the old one leaves when its tokens are dead."""
        async with self._database.sessions() as session, session.begin():
            await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            successor = self._made(signs_from=datetime.now(UTC) + PUBLISHED_AHEAD)
            for key in await self._published(session):
                if key.retires_at is None:
                    key.give_way(successor)
            session.add(successor)
        await self._read()

    async def signing(self) -> KeySet:
        """The key that signs now, alone in its set: so the token names it."""
        await self._refresh()
        now = datetime.now(UTC)
        due = [row for row in self._rows if row.signs_from <= now]
        # The first key of all was made by whoever's clock was ahead of ours.
        row = max(due, key=lambda row: row.signs_from) if due else self._rows[0]
        return KeySet([self._opened[row.id]])

    async def verifying(self, kid: str | None = None) -> KeySet:
        """Every key whose tokens may be alive; a `kid` we have not seen makes us look again."""
        await self._refresh(kid)
        return KeySet([self._opened[row.id] for row in self._rows])

    async def public(self) -> KeySetSerialization:
        """The key set (JWKS) for everybody."""
        await self._refresh()
        return KeySet([self._opened[row.id] for row in self._rows]).as_dict(private=False)

    async def _refresh(self, kid: str | None = None) -> None:
        age = time.monotonic() - self._read_at
        if age > _FRESH or (kid is not None and kid not in self._opened and age > _STRANGER):
            await self._read()

    async def _read(self) -> None:
        self._read_at = time.monotonic()
        async with self._database.sessions() as session:
            rows = await self._published(session)
        self._opened = {row.id: self._opened.get(row.id) or self._open(row) for row in rows}
        self._rows = rows

    @staticmethod
    async def _published(session: AsyncSession) -> list[SigningKey]:
        now = datetime.now(UTC)
        query = select(SigningKey).where((SigningKey.retires_at.is_(None)) | (SigningKey.retires_at > now))
        return list((await session.scalars(query.order_by(SigningKey.signs_from))).all())

    def _made(self, *, signs_from: datetime) -> SigningKey:
        key = ECKey.generate_key("P-256", parameters={"use": "sig", "alg": "ES256"})
        pem = key.as_pem(private=True, password=self._passphrase).decode()
        return SigningKey(id=new_id(), pem=pem, signs_from=signs_from)

    def _open(self, row: SigningKey) -> ECKey:
        parameters = {"kid": row.id, "use": "sig", "alg": "ES256"}
        try:
            return ECKey.import_key(row.pem, parameters=parameters, password=self._passphrase)  # pyright: ignore[reportArgumentType]
        except ValueError:
            raise SettingError(
                "SECRET_KEY is not the one that this database was set up with; give every process that one"
            ) from None
