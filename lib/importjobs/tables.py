"""The tables of the job store: `import_jobs`, a row a job, and `import_job_events`, one a change of status.

They are made by lib/migrations, never from here.
"""

import sqlalchemy as sa

metadata = sa.MetaData()
import_jobs = sa.Table(
    "import_jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # UUID
    sa.Column("customer", sa.Text, nullable=False),  # '' for none
    sa.Column("source_uri", sa.Text, nullable=False),  # where the file was when it was submitted
    sa.Column("source_name", sa.Text, nullable=False),  # its copy, in the job's folder
    sa.Column("source_sha256", sa.Text, nullable=False),
    sa.Column("source_bytes", sa.BigInteger, nullable=False),
    sa.Column("output_uri", sa.Text, nullable=False),  # the job's folder is below it
    sa.Column("profile", sa.JSON, nullable=False),  # profiles.Profile
    sa.Column("settings", sa.JSON, nullable=False),  # settings.Settings at submission, without the database's URL
    sa.Column("runner", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text),  # of the latest attempt
    sa.Column("rows", sa.BigInteger),
    sa.Column("categorized", sa.BigInteger),
    sa.Column("review", sa.BigInteger),
    sa.Column("rejected", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False),  # how often it was begun; the latest one's number
    sa.Column("runs", sa.JSON, nullable=False),  # Metaflow's pathspecs (or an Argo workflow's), the latest last
    sa.Column("lease_owner", sa.Text),  # processes.identity of who runs it
    sa.Column("lease_until", sa.Double),  # seconds since 1970 by the store's clock
    sa.Column("submitted_by", sa.Text, nullable=False),
    sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),  # UTC, as all times here
    sa.Column("started_at", sa.DateTime(timezone=True)),  # of the latest attempt
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Column("error", sa.Text),  # one line
    sa.CheckConstraint(
        "status IN ('submitted', 'running', 'succeeded', 'failed', 'cancelled')", name="import_jobs_status"
    ),
    sa.Index("import_jobs_content", "customer", "source_sha256"),
    sa.Index("import_jobs_submitted_at", "submitted_at"),
)
import_job_events = sa.Table(
    "import_job_events",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("job_id", sa.Text, sa.ForeignKey("import_jobs.id"), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("before", sa.Text),  # null: the job's beginning
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Index("import_job_events_job", "job_id", "id"),
)
