"""jobs that nothing can lose"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "pools", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_table(
        "paused_pools",
        sa.Column(
            "pool", sa.Enum("render", "speech", "light", name="pool", native_enum=False, length=32), nullable=False
        ),
        sa.Column("paused_by", sa.String(length=32), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["paused_by"], ["users.id"], name=op.f("fk_paused_pools_paused_by_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("pool", name=op.f("pk_paused_pools")),
    )
    op.create_table(
        "job_attempts",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum(
                "COMPLETED",
                "FORKED",
                "FAILED",
                "CANCELLED",
                "HANDED_BACK",
                "LOST",
                name="outcome",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.String(length=4000), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("tail", sa.ARRAY(sa.String()), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_attempts_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_job_attempts")),
    )
    op.create_table(
        "schedules",
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("cron", sa.String(length=100), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column(
            "start", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column(
            "priority", sa.Enum("LOW", "NORMAL", "HIGH", name="priority", native_enum=False, length=32), nullable=False
        ),
        sa.Column(
            "pause_reason",
            sa.Enum("ASKED", "USER_GONE", "USER_MAY_NOT", name="schedulepausereason", native_enum=False, length=32),
            nullable=True,
        ),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_job_id", sa.String(length=32), nullable=True),
        sa.Column("refusal_code", sa.String(length=64), nullable=True),
        sa.Column("refusal_message", sa.String(length=1000), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["last_job_id"], ["jobs.id"], name=op.f("fk_schedules_last_job_id_jobs"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_schedules_project_id_projects"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_schedules_user_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index(
        "ix_schedules_due",
        "schedules",
        ["next_at", "id"],
        unique=False,
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_schedules_last_job_id"), "schedules", ["last_job_id"], unique=False)
    op.create_index("ix_schedules_project_id_created_at", "schedules", ["project_id", "created_at", "id"], unique=False)
    op.create_index(op.f("ix_schedules_user_id"), "schedules", ["user_id"], unique=False)
    op.add_column("jobs", sa.Column("parent_id", sa.String(length=32), nullable=True))
    op.add_column("jobs", sa.Column("root_id", sa.String(length=32), nullable=True))
    op.add_column("jobs", sa.Column("place", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("jobs", sa.Column("weight", sa.Double(), server_default=sa.text("1"), nullable=False))
    op.add_column("jobs", sa.Column("step", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("jobs", sa.Column("floor", sa.Double(), server_default=sa.text("0"), nullable=False))
    op.add_column("jobs", sa.Column("share", sa.Double(), server_default=sa.text("0"), nullable=False))
    op.add_column("jobs", sa.Column("turn", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("in_line", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("jobs", sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("attempt_ends_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("ends_by", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("beat_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index(op.f("ix_jobs_leases"), table_name="jobs", postgresql_where="((state)::text = 'PROCESSING'::text)")
    op.drop_index(op.f("ix_jobs_user_id"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_claim"), table_name="jobs", postgresql_where="((state)::text = 'QUEUED'::text)")
    op.create_index(
        "ix_jobs_claim",
        "jobs",
        ["pool", sa.literal_column("priority DESC"), "turn", "queued_at"],
        unique=False,
        postgresql_where=sa.text("in_line"),
    )
    op.create_index("ix_jobs_created_at_id", "jobs", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_jobs_ended",
        "jobs",
        ["state", "ended_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('COMPLETED', 'FAILED', 'CANCELLED')"),
    )
    op.create_index(
        "ix_jobs_family",
        "jobs",
        ["parent_id", "state"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_processing", "jobs", ["claimed_at"], unique=False, postgresql_where=sa.text("state = 'PROCESSING'")
    )
    op.create_index(
        "ix_jobs_scheduled",
        "jobs",
        ["not_before"],
        unique=False,
        postgresql_where=sa.text("state = 'QUEUED' AND NOT in_line"),
    )
    op.create_index(
        "ix_jobs_turns", "jobs", ["pool", "priority", "turn"], unique=False, postgresql_where=sa.text("attempt > 0")
    )
    op.create_index("ix_jobs_turns_of_user", "jobs", ["user_id", "pool", "priority", "turn"], unique=False)
    op.create_foreign_key(op.f("fk_jobs_parent_id_jobs"), "jobs", "jobs", ["parent_id"], ["id"], ondelete="CASCADE")

    # Until now one was told by state alone who may be taken.
    op.execute("UPDATE jobs SET in_line = (state = 'QUEUED' AND not_before IS NULL)")
    op.execute("UPDATE jobs SET turn = 0 WHERE state = 'QUEUED'")
    op.drop_index("uq_jobs_active_render", table_name="jobs")
    op.create_index(
        "uq_jobs_active_render",
        "jobs",
        ["project_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'RENDER' AND parent_id IS NULL AND state IN ('QUEUED', 'PROCESSING')"),
    )
    # Heartbeats rewrite rows all the time: room beside them, and they stay on their page.
    op.execute("ALTER TABLE jobs SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02)")


def downgrade() -> None:
    op.drop_constraint(op.f("fk_jobs_parent_id_jobs"), "jobs", type_="foreignkey")
    op.drop_index("ix_jobs_turns_of_user", table_name="jobs")
    op.drop_index("ix_jobs_turns", table_name="jobs", postgresql_where=sa.text("attempt > 0"))
    op.drop_index("ix_jobs_scheduled", table_name="jobs", postgresql_where=sa.text("state = 'QUEUED' AND NOT in_line"))
    op.drop_index("ix_jobs_processing", table_name="jobs", postgresql_where=sa.text("state = 'PROCESSING'"))
    op.drop_index("ix_jobs_family", table_name="jobs", postgresql_where=sa.text("parent_id IS NOT NULL"))
    op.drop_index(
        "ix_jobs_ended", table_name="jobs", postgresql_where=sa.text("state IN ('COMPLETED', 'FAILED', 'CANCELLED')")
    )
    op.drop_index("ix_jobs_created_at_id", table_name="jobs")
    op.drop_index("ix_jobs_claim", table_name="jobs", postgresql_where=sa.text("in_line"))
    op.create_index(
        op.f("ix_jobs_claim"),
        "jobs",
        ["pool", sa.literal_column("priority DESC"), "queued_at"],
        unique=False,
        postgresql_where="((state)::text = 'QUEUED'::text)",
    )
    op.create_index(op.f("ix_jobs_user_id"), "jobs", ["user_id"], unique=False)
    op.create_index(
        op.f("ix_jobs_leases"),
        "jobs",
        ["lease_expires_at"],
        unique=False,
        postgresql_where="((state)::text = 'PROCESSING'::text)",
    )
    op.drop_column("jobs", "beat_at")
    op.drop_column("jobs", "ends_by")
    op.drop_column("jobs", "attempt_ends_at")
    op.drop_column("jobs", "claimed_at")
    op.drop_column("jobs", "in_line")
    op.drop_column("jobs", "turn")
    op.drop_column("jobs", "share")
    op.drop_column("jobs", "floor")
    op.drop_column("jobs", "step")
    op.drop_column("jobs", "weight")
    op.drop_column("jobs", "place")
    op.drop_column("jobs", "root_id")
    op.drop_column("jobs", "parent_id")
    op.drop_index(op.f("ix_schedules_user_id"), table_name="schedules")
    op.drop_index("ix_schedules_project_id_created_at", table_name="schedules")
    op.drop_index(op.f("ix_schedules_last_job_id"), table_name="schedules")
    op.drop_index("ix_schedules_due", table_name="schedules", postgresql_where=sa.text("next_at IS NOT NULL"))
    op.drop_table("schedules")
    op.drop_table("job_attempts")
    op.drop_table("paused_pools")
    op.drop_table("workers")
    op.execute("ALTER TABLE jobs RESET (fillfactor, autovacuum_vacuum_scale_factor)")
