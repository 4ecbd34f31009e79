"""a render pays for what changed"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pieces",
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("object_id", sa.String(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
        sa.Column("signature", sa.String(length=64), nullable=True),
        sa.Column(
            "facts", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True
        ),
        sa.Column("asset_id", sa.String(length=32), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_pieces_asset_id_assets"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["object_id"], ["stored_objects.id"], name=op.f("fk_pieces_object_id_stored_objects")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_pieces_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "key", name=op.f("pk_pieces")),
    )
    op.create_index(
        "ix_pieces_asset_id",
        "pieces",
        ["asset_id"],
        unique=False,
        postgresql_where=sa.text("asset_id IS NOT NULL"),
    )
    op.create_index(
        "ix_pieces_least_used",
        "pieces",
        ["project_id", "used_at"],
        unique=False,
        postgresql_where=sa.text("asset_id IS NULL"),
    )
    op.create_index(op.f("ix_pieces_object_id"), "pieces", ["object_id"], unique=False)
    op.create_index(
        "ix_pieces_pace",
        "pieces",
        ["project_id", "signature", "created_at"],
        unique=False,
        postgresql_where=sa.text("frames > 0"),
    )
    # Objects now go by the thousand, and for each of them assets are asked whether it is theirs.
    op.create_index(op.f("ix_assets_object_id"), "assets", ["object_id"], unique=False)
    op.add_column("assets", sa.Column("poster_id", sa.String(length=32), nullable=True))
    op.create_foreign_key(op.f("fk_assets_poster_id_stored_objects"), "assets", "stored_objects", ["poster_id"], ["id"])
    op.create_index(op.f("ix_assets_poster_id"), "assets", ["poster_id"], unique=False)
    op.create_table(
        "asset_texts",
        sa.Column("asset_id", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_asset_texts_asset_id_assets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_asset_texts")),
    )
    op.create_table(
        "timeline_versions",
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "timeline", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("restored_from", sa.Integer(), nullable=True),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_timeline_versions_project_id_projects"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_timeline_versions_user_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timeline_versions")),
        sa.UniqueConstraint("project_id", "number", name=op.f("uq_timeline_versions_project_id_number")),
    )
    op.create_index(
        "ix_timeline_versions_project_id_created_at",
        "timeline_versions",
        ["project_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_timeline_versions_user_id"), "timeline_versions", ["user_id"], unique=False)
    op.add_column(
        "workers",
        sa.Column(
            "tools", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=True
        ),
    )

    # Nobody knows who set the timelines that are there, or when; from here on it is known what they were.
    op.execute(
        """
        INSERT INTO timeline_versions (id, project_id, number, timeline)
        SELECT left(replace(gen_random_uuid()::text, '-', ''), 24), id, timeline_version, timeline
        FROM projects WHERE timeline IS NOT NULL AND timeline != 'null'
        """
    )


def downgrade() -> None:
    op.drop_column("workers", "tools")
    op.drop_table("timeline_versions")
    op.drop_table("asset_texts")
    op.drop_column("assets", "poster_id")
    op.drop_index(op.f("ix_assets_object_id"), table_name="assets")
    op.drop_table("pieces")
