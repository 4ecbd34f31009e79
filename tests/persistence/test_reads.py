"""Look-ups by the batch."""

from domain.asset import Asset
from domain.asset_text import AssetText
from domain.kinds import IngestSpec, PrepareSpec
from domain.order import Order
from domain.project import Project
from domain.stored import StoredObject
from persistence.resources import Resources


async def _assets(resources: Resources, count: int) -> list[Asset]:
    async with resources.work() as work:
        project = Project(name="A project")
        work.add(project)
        await work.session.flush()
        found: list[Asset] = []
        for number in range(count):
            stored = StoredObject(
                project_id=project.id, key=str(number), content_type="text/plain", expires_at=await work.now()
            )
            work.add(stored)
            await work.session.flush()
            found.append(
                Asset(
                    project_id=project.id,
                    object_id=stored.id,
                    name=f"{number}.srt",
                    content_type="text/plain",
                    size=1,
                    sha256="0" * 64,
                )
            )
        work.add(*found)
    return found


async def test_the_texts_of_assets_that_are_text_are_read_only_when_asked_for(resources: Resources) -> None:
    captions, film, table = await _assets(resources, 3)
    async with resources.work() as work:
        work.add(AssetText(asset_id=captions.id, text="héllo\n"), AssetText(asset_id=table.id, text="LUT"))
    reads = resources.reads()
    assert await reads.texts([captions.id, film.id, "nothing"]) == {captions.id: "héllo\n"}
    assert await reads.texts([]) == {}
    async with resources.work() as work:
        found = await work.locked(Asset, captions.id)
        assert found is not None
        await work.delete_asset(found)
    assert await reads.texts([captions.id, table.id]) == {table.id: "LUT"}


async def test_the_job_of_an_asset_is_the_one_that_examined_it_not_one_that_prepares_it(resources: Resources) -> None:
    (asset,) = await _assets(resources, 1)
    made: list[str] = []
    for spec in (IngestSpec(asset_id=asset.id), PrepareSpec(asset_id=asset.id)):
        order = Order(spec=spec, project_id=asset.project_id, user_id=None, asset_id=asset.id)
        async with resources.work() as work:
            made.append((await work.place(order)).id)
    (job,) = await resources.reads().asset_jobs([asset.id])
    assert job is not None
    assert job.id == made[0]
