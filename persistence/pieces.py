"""The pieces that renders keep: looked up by the thousand, kept once, and removed when a project has too many.

Whoever looks must be ready to find a piece gone when its bytes are fetched: then `forget` it and make it again.

Locks are taken in the order of `persistence.work` (asset, piece, stored object), several pieces in the order of their
keys; `make_room` waits for nobody.
"""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import ARRAY, ColumnElement, Select, String, any_, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from domain.asset import Asset
from domain.job import ENDED, Job
from domain.kinds import JobKind
from domain.piece import SPARED_FOR, TOUCH_AFTER, Pace, Piece
from domain.project import Project
from domain.stored import StoredObject
from persistence.database import Database
from persistence.work import Work, transaction

MOST_AT_ONCE = 1000
"""So many pieces are removed in one transaction."""
_PACED_BY = 200
"""An estimate looks at so many pieces."""
_USERS = (JobKind.RENDER, JobKind.RENDER_PART, JobKind.PREPARE, JobKind.PREVIEW)
"""The kinds of job that use pieces, from their start to their end. A batch only waits for its renders."""


async def cached(database: Database, project_id: str, keys: Collection[str]) -> dict[str, Piece]:
    """Those of the pieces that are there, by key: in one query, however many are asked for."""
    async with database.statements() as session:
        return await _cached(session, project_id, keys)


async def touched(database: Database, project_id: str, keys: Collection[str]) -> dict[str, Piece]:
    """The same, for somebody who is going to use them: they are spared while a render that started before goes on."""
    there = _among(project_id, keys)
    # Locked in one order; and so one that is just being removed is waited for, and not taken for there.
    stale = select(Piece.key).where(there, Piece.used_at < func.now() - TOUCH_AFTER).order_by(Piece.key)
    locked = stale.with_for_update(key_share=True).cte("stale")
    touch = update(Piece).where(Piece.project_id == project_id, Piece.key == locked.c.key)
    touch = touch.values(used_at=func.now()).execution_options(synchronize_session=False)
    async with database.statements() as session:
        await session.execute(touch)
        return await _cached(session, project_id, keys)


async def _cached(session: AsyncSession, project_id: str, keys: Collection[str]) -> dict[str, Piece]:
    found = await session.scalars(_with_objects().where(_among(project_id, keys)))
    return {piece.key: piece for piece in found}


def _with_objects() -> Select[Piece]:
    return select(Piece).options(joinedload(Piece.stored, innerjoin=True))


def _among(project_id: str, keys: Collection[str]) -> ColumnElement[bool]:
    # One parameter, however many keys: PostgreSQL takes 32,767 at most.
    return (Piece.project_id == project_id) & (Piece.key == any_(literal(sorted(set(keys)), ARRAY(String))))


async def keep(work: Work, made: Piece, *, sha256: str) -> Piece | None:
    """Keep a piece whose object is stored; the piece that is there from now on, of that key.

    That is another one where somebody else was faster: ours is then removed. None: the project or the asset is gone, or
    the object was given up meanwhile, and nothing is kept. To be called once in a transaction.
    """
    stored = None
    if await _still_there(work, made.project_id, made.asset_id):
        stored = await work.locked(StoredObject, made.object_id)
    if stored is None or stored.doomed_at is not None:
        await work.doom(made.object_id)
        return None
    stored.keep(size=made.size, sha256=sha256, now=await work.now())
    await work.session.flush()
    new = insert(Piece).values(
        {
            each.key: getattr(made, each.key)
            for each in Piece.__mapper__.column_attrs
            if each.key not in {"used_at", "created_at"}
        }
    )
    # One that belongs to an asset stays one, and one that did not begins to.
    there = {"used_at": func.now(), "asset_id": func.coalesce(Piece.asset_id, new.excluded.asset_id)}
    new = new.on_conflict_do_update(index_elements=[Piece.project_id, Piece.key], set_=there)
    await work.session.execute(new)
    of_key = _with_objects().where(Piece.project_id == made.project_id, Piece.key == made.key)
    kept = (await work.session.scalars(of_key.execution_options(populate_existing=True))).one()
    if kept.object_id != made.object_id:
        stored.doom(await work.now())
    return kept


async def pin(work: Work, piece: Piece, asset_id: str) -> bool:
    """Let a piece belong to an asset of its project, unless it does to one. False: the piece or the asset is gone."""
    if not await _still_there(work, piece.project_id, asset_id):
        return False
    there = (Piece.project_id == piece.project_id) & (Piece.key == piece.key)
    pinned = update(Piece).where(there).values(asset_id=func.coalesce(Piece.asset_id, asset_id)).returning(Piece.key)
    return await work.session.scalar(pinned.execution_options(synchronize_session=False)) is not None


async def _still_there(work: Work, project_id: str, asset_id: str | None) -> bool:
    """Whether what a piece belongs to is there, and stays until we are done."""
    # The project last: whoever deletes it has locked its assets before.
    owners = [select(Project.id).where(Project.id == project_id)]
    if asset_id is not None:
        owners.insert(0, select(Asset.id).where(Asset.id == asset_id, Asset.project_id == project_id))
    for owner in owners:
        if await work.session.scalar(owner.with_for_update(read=True, key_share=True)) is None:
            return False
    return True


async def make_room(work: Work, project_id: str, cap_bytes: int) -> int:
    """Remove what was not used for longest until the project's pieces, without those of assets, are under the cap.

    What a job that has started may count on stays in any case. Returns how many went: MOST_AT_ONCE means that there may
    be more to do; 0 also when somebody else is at it.
    """
    alone = func.pg_try_advisory_xact_lock(func.hashtextextended(f"pieces {project_id}", 0))
    if not await work.session.scalar(select(alone)):
        return 0
    loose = (Piece.project_id == project_id) & Piece.asset_id.is_(None)
    up_to_here = func.sum(Piece.size).over(order_by=(Piece.used_at.desc(), Piece.key))
    ranked = select(Piece.object_id, Piece.used_at, up_to_here.label("up_to_here")).where(loose).subquery()
    spared_since = (await work.session.scalars(select(_spared_since(project_id)))).one()
    over = select(ranked.c.object_id).where(ranked.c.up_to_here > cap_bytes, ranked.c.used_at < spared_since)
    # In two steps: as one query, planned while the tables' statistics lag behind, this took a minute.
    ids = (await work.session.scalars(over.order_by(ranked.c.used_at).limit(MOST_AT_ONCE))).all()
    going = select(Piece.object_id).where(_of_objects(ids), loose, Piece.used_at < spared_since)
    return await work.remove_pieces(going.with_for_update(skip_locked=True))


def _spared_since(project_id: str) -> ColumnElement[datetime]:
    """What was used from then on stays: somebody may be about to fetch it, or count on it since their plan."""
    started = select(func.min(Job.started_at)).where(
        Job.project_id == project_id, Job.kind.in_(_USERS), Job.state.not_in(ENDED)
    )
    return func.least(func.now() - SPARED_FOR, started.scalar_subquery()) - TOUCH_AFTER


async def forget(database: Database, pieces: Iterable[Piece]) -> None:
    """Remove pieces whose bytes turned out to be missing or damaged; not those that were made anew since."""
    ids = sorted({piece.object_id for piece in pieces})
    going = select(Piece.object_id).where(_of_objects(ids))
    async with transaction(database.sessions()) as work:
        await work.remove_pieces(going.order_by(Piece.project_id, Piece.key).with_for_update())


def _of_objects(ids: Collection[str]) -> ColumnElement[bool]:
    return Piece.object_id == any_(literal(list(ids), ARRAY(String)))


async def pace(database: Database, project_id: str, signature: str) -> Pace | None:
    """What a frame of this signature has cost in the project lately; None if there is nothing to go by."""
    lately = (
        select(Piece.frames, Piece.cpu_seconds, Piece.size)
        .where(Piece.project_id == project_id, Piece.signature == signature, Piece.frames > 0)
        .order_by(Piece.created_at.desc())
        .limit(_PACED_BY)
        .subquery()
    )
    totals = select(
        *(func.coalesce(func.sum(each), 0) for each in (lately.c.frames, lately.c.cpu_seconds, lately.c.size))
    )
    async with database.statements() as session:
        frames, cpu_seconds, size = map(float, (await session.execute(totals)).one())
    return Pace(cpu_seconds_per_frame=cpu_seconds / frames, bytes_per_frame=size / frames) if frames else None


async def over_the_cap(database: Database, cap_bytes: int) -> list[str]:
    """The projects that keep more than they may, as far as that is not of their assets."""
    loose = select(Piece.project_id).where(Piece.asset_id.is_(None)).group_by(Piece.project_id)
    async with database.statements() as session:
        return list((await session.scalars(loose.having(func.sum(Piece.size) > cap_bytes))).all())
