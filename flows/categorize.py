"""The main job: a product file in, categorized products and an account of every row out.

python flows/categorize.py run --source products.csv
python flows/categorize.py run --source s3://bucket/products.parquet --output s3://bucket/results
python flows/categorize.py --config settings my.toml run --source products.csv.gz
python flows/categorize.py run --job-id UUID      # of a job that `python -m lib.jobs submit` has taken on
python flows/categorize.py run --help
python flows/categorize.py card view end
"""

import sys
from pathlib import Path

# The repo's root, and only that: in a pod the folder above this file's is `/`, and lib/ lies beside the file.
_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "lib" / "__init__.py").exists():
    sys.path.insert(0, str(_ROOT))

from metaflow import Config, FlowSpec, Parameter, card, catch, current, package_sources, step  # noqa: E402

from lib import entry, settings  # noqa: E402
from lib.argo.pods import deployable, workers  # noqa: E402
from lib.importjobs.runs import job_step  # noqa: E402
from lib.refusing import one_line_errors  # noqa: E402


@deployable
@package_sources(["../lib", "../config"], suffixes=[".py", ".toml", ".csv", ".json", ".npz", ".txt"])
class CategorizeFlow(FlowSpec):
    """stage → foreach batch: parse, validate, transform, categorize → join → import into the catalog → report."""

    config = Config("settings", default=str(settings.DEFAULT_FILE), parser=one_line_errors(settings.parse))

    source = Parameter("source", default="", help="The product file: a path or an s3:// URI.")
    output = Parameter("output", default="results", help="Folder or s3:// prefix that gets a folder for each job.")
    profile = Parameter("profile", default="", help="Customer whose config/profiles/CUSTOMER.toml says how to read it.")
    columns = Parameter("columns", default="", help="Columns told, not found: name=HEADER,gtin=HEADER.")
    model = Parameter("model", default="", help="The categorizer's folder or s3:// URI, not the one in the settings.")
    job_id = Parameter("job-id", default="", help="UUID of the job to run (again); a new one if left out.")

    @step
    @job_step
    def start(self):
        """Check everything, stage the source's rows as shards, and plan the batches."""
        from lib.importjobs.runs import order_of, planned
        from lib.planning import plan_import
        from lib.reporting import now

        self.started = now()
        order = order_of(
            source=self.source,
            output=self.output,
            job_id=self.job_id,
            profile=self.profile,
            columns=self.columns,
            model=self.model,
            config=self.config,
            run=f"{current.flow_name}/{current.run_id}",
        )
        self.attempt, self.chosen = order.attempt, order.settings
        self.plan = plan_import(
            order.source,
            output=order.output,
            job_id=order.job_id,
            settings=settings.settings_of(self.chosen),
            cores=workers(self.config),
            profile=order.profile,
            customer=order.customer,
            submitted_at=order.submitted_at,
        )
        planned(self.plan, self.attempt, run=f"{current.flow_name}/{current.run_id}", config=self.config)
        print(self.plan.announcement(submitted=self.attempt is not None))
        self.batches = list(self.plan.batches)
        self.next(self.categorize, foreach="batches")

    @catch(var="failure", print_exception=False)  # the join judges; a killed task gets there as well
    @step
    @job_step
    def categorize(self):
        """Parse, validate, transform and categorize one batch."""
        from lib.processing import process_batch

        self.result = process_batch(self.input, plan=self.plan, settings=settings.settings_of(self.chosen))
        self.next(self.join)

    @step
    @job_step
    def join(self, inputs):
        """Account for every row, also of batches that failed, and write the files of results."""
        from lib.failing import gathered, set_aside
        from lib.joining import join_batches

        # Not merge_artifacts: it compares pickles, and a batch that was killed has others of the same things.
        first = next(task for task in inputs if hasattr(task, "plan"))
        self.plan, self.started, self.attempt, self.chosen = first.plan, first.started, first.attempt, first.chosen
        self.results, failures = gathered(self.plan, inputs)
        budget = settings.settings_of(self.chosen).batches.failed_at_most
        self.failed = set_aside(self.plan, failures, at_most=budget)
        self.joined = join_batches(self.plan, self.results, failed=self.failed)
        self.next(self.load_catalog)

    @step
    @job_step
    def load_catalog(self):
        """Import the results into the catalog in one transaction."""
        from lib.catalog import CatalogJob, import_results
        from lib.cataloging.rows import catalog_tables
        from lib.importjobs.runs import fence
        from lib.storage import folder

        config, rows = settings.settings_of(self.chosen), self.joined.rows
        self.catalog = import_results(
            folder(self.plan.output_uri),
            url=config.catalog_url,
            job=CatalogJob(
                self.plan.job_id,
                fingerprint=rows.sha256,
                customer=self.plan.customer,
                submitted_at=self.plan.submitted_at,
                whole_file=not self.joined.unprocessed,
            ),
            tables=lambda: catalog_tables(rows, folder(self.plan.job_uri)),
            across_customers=config.review.across_customers,
            before_commit=fence(self.attempt, config=self.config),
        )
        self.next(self.end)

    @card(type="blank")
    @step
    @job_step
    def end(self):
        """Write the report, show it as a card, and say where the results are."""
        from lib.cards import report_card
        from lib.importjobs.runs import succeeded
        from lib.reporting import build_report, finish_job, summary

        config = settings.settings_of(self.chosen)
        self.report = build_report(
            self.plan,
            self.results,
            self.joined,
            catalog=self.catalog,
            settings=config,
            started=self.started,
            failed=self.failed,
        )
        current.card.extend(report_card(self.report))
        finish_job(self.plan, self.report, keep_shards=config.keep_shards)
        succeeded(self.attempt, self.report, config=self.config)
        print(summary(self.report))


if __name__ == "__main__":
    entry.main(CategorizeFlow)
