"""The catalog: imports, products and corrections."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "imports",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("customer", sa.Text, nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("whole_file", sa.Boolean, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("new_rows", sa.BigInteger, nullable=False),
        sa.Column("changed_rows", sa.BigInteger, nullable=False),
        sa.Column("unchanged_rows", sa.BigInteger, nullable=False),
        sa.Column("superseded_rows", sa.BigInteger, nullable=False),
        sa.Column("gone_rows", sa.BigInteger, nullable=False),
        sa.Column("corrected_rows", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "products",
        sa.Column("customer", sa.Text, primary_key=True),
        sa.Column("only_job", sa.Text, primary_key=True),
        sa.Column("product_key", sa.Text, primary_key=True),
        sa.Column("occurrence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text),
        sa.Column("sku", sa.Text),
        sa.Column("gtin", sa.Text),
        sa.Column("brand", sa.Text),
        sa.Column("category", sa.Text),
        sa.Column("confidence", sa.Double),
        sa.Column("needs_review", sa.Boolean),
        sa.Column("job_id", sa.Text, sa.ForeignKey("imports.job_id"), nullable=False),
        sa.Column("line", sa.BigInteger),
        sa.Column("sheet", sa.Text),
        sa.Column("model_version", sa.Text),
        sa.Column("corrected_by", sa.Text),
        sa.Column("corrected_at", sa.Text),
        sa.Column("corrected_for", sa.Text),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("gone_job_id", sa.Text),
        sa.Column("name_key", sa.Text),
        sa.Column("content", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "corrections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("customer", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("corrected_by", sa.Text, nullable=False),
        sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("suggested", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("brand", sa.Text),
        sa.Column("customer_category", sa.Text),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("sheet", sa.Text, nullable=False),
    )
    op.create_index("imports_customer", "imports", ["customer", "submitted_at"])
    op.create_index("corrections_name", "corrections", ["name_key", "customer"])


def downgrade() -> None:
    """Remove the tables with all they hold."""
    op.drop_table("corrections")
    op.drop_table("products")
    op.drop_table("imports")
