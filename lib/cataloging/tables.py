"""The tables of the catalog: `imports`, a row a job; `products`, a row a product; `corrections`, a row for each time a
person decided.

They are made by lib/migrations, never from here.
"""

import sqlalchemy as sa

metadata = sa.MetaData()
imports = sa.Table(
    "imports",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),  # UUID
    sa.Column("customer", sa.Text, nullable=False),  # '' for none
    sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),  # UTC; a customer's jobs are in its order
    sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),  # UTC
    sa.Column("fingerprint", sa.Text, nullable=False),  # of all that made the results
    sa.Column("whole_file", sa.Boolean, nullable=False),  # False: batches were set aside, so nothing is called gone
    sa.Column("rows", sa.BigInteger, nullable=False),  # products of the job; the sum of the next four
    sa.Column("new_rows", sa.BigInteger, nullable=False),
    sa.Column("changed_rows", sa.BigInteger, nullable=False),
    sa.Column("unchanged_rows", sa.BigInteger, nullable=False),
    sa.Column("superseded_rows", sa.BigInteger, nullable=False),  # left as a later job has them
    sa.Column("gone_rows", sa.BigInteger, nullable=False),
    sa.Column("corrected_rows", sa.BigInteger, nullable=False),  # of its products, those whose category a person gave
    sa.Index("imports_customer", "customer", "submitted_at"),
)
# No index but the key: what asks for products asks within a customer, whose rows lie together under it, and every
# import would pay for another. Without a rowid SQLite's table is its primary key and not a second copy of it.
products = sa.Table(
    "products",
    metadata,
    sa.Column("customer", sa.Text, primary_key=True),
    sa.Column("only_job", sa.Text, primary_key=True),  # the job where there is no customer, else ''
    sa.Column("product_key", sa.Text, primary_key=True),  # sku:..., else gtin:..., else row: and a hash of the row
    sa.Column("occurrence", sa.Integer, primary_key=True, autoincrement=False),  # 1, 2, ... of products with one key
    sa.Column("name", sa.Text),
    sa.Column("sku", sa.Text),
    sa.Column("gtin", sa.Text),
    sa.Column("brand", sa.Text),
    sa.Column("category", sa.Text),
    sa.Column("confidence", sa.Double),
    sa.Column("needs_review", sa.Boolean),
    # Where the row comes from: the latest job that has it, and its place there ('' where one sheet holds products).
    sa.Column("job_id", sa.Text, sa.ForeignKey("imports.job_id"), nullable=False),
    sa.Column("line", sa.BigInteger),
    sa.Column("sheet", sa.Text),
    sa.Column("model_version", sa.Text),  # that gave the category; null where a person did
    sa.Column("corrected_by", sa.Text),  # the person who gave the category
    sa.Column("corrected_at", sa.Text),  # the day, as 2026-11-24
    sa.Column("corrected_for", sa.Text),  # the customer it was said for
    sa.Column("change", sa.Text, nullable=False),  # in that job: new, changed or unchanged
    sa.Column("gone_job_id", sa.Text),  # the first job since that lacks it
    sa.Column("name_key", sa.Text),  # reviewed.name_key
    sa.Column("content", sa.Text, nullable=False),  # a hash of what the customer says of the product
    sqlite_with_rowid=False,
)
# Never changed and never removed: of one customer's for one name, the newest is in force.
corrections = sa.Table(
    "corrections",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("customer", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("corrected_by", sa.Text, nullable=False),
    sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=False),  # UTC
    sa.Column("suggested", sa.Text),  # the model's category
    # The product that was looked at, for people and for training.
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("brand", sa.Text),
    sa.Column("customer_category", sa.Text),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("line", sa.BigInteger, nullable=False),
    sa.Column("sheet", sa.Text, nullable=False),
    sa.Index("corrections_name", "name_key", "customer"),
)
