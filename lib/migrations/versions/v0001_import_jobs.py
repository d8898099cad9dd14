"""Import jobs and the events of each."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "import_jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("customer", sa.Text, nullable=False),
        sa.Column("source_uri", sa.Text, nullable=False),
        sa.Column("source_name", sa.Text, nullable=False),
        sa.Column("source_sha256", sa.Text, nullable=False),
        sa.Column("source_bytes", sa.BigInteger, nullable=False),
        sa.Column("output_uri", sa.Text, nullable=False),
        sa.Column("profile", sa.JSON, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("runner", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text),
        sa.Column("rows", sa.BigInteger),
        sa.Column("categorized", sa.BigInteger),
        sa.Column("review", sa.BigInteger),
        sa.Column("rejected", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("runs", sa.JSON, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.Double),
        sa.Column("submitted_by", sa.Text, nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text),
        sa.CheckConstraint(
            "status IN ('submitted', 'running', 'succeeded', 'failed', 'cancelled')", name="import_jobs_status"
        ),
    )
    op.create_index("import_jobs_content", "import_jobs", ["customer", "source_sha256"])
    op.create_index("import_jobs_submitted_at", "import_jobs", ["submitted_at"])
    op.create_table(
        "import_job_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("import_jobs.id"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("import_job_events_job", "import_job_events", ["job_id", "id"])


def downgrade() -> None:
    """Remove the tables with all they hold."""
    op.drop_table("import_job_events")
    op.drop_table("import_jobs")
