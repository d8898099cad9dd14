"""Train a categorizer, on the built-in examples or on any labelled file.

    python flows/train.py run                                        the built-in carbon categories, into results/models
    python flows/train.py run --publish lib/models/carbon            the same as the model that ships with Shelfsort
    python flows/train.py run --limit 20000                          a quick try
    python flows/train.py run --data products.csv --text-column title --label-column category --publish my-model
    python flows/train.py run --corrections review.xlsx              the built-in examples, and what people corrected
    python flows/train.py run --corrections catalog                  the same, from the catalog of all customers
    python flows/train.py card view end                              the last run's figures

Candidates are fitted side by side, the best on validation is evaluated once on test and published as a folder, local
or s3://, that the setting `model` names.
"""

import sys
from pathlib import Path

# Beside the flow file only flows/ is on the path; in a pod lib/ lies there, and the parent is the system's root.
ROOT = Path(__file__).resolve().parent.parent
if (ROOT / "lib" / "__init__.py").exists() and str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from metaflow import FlowSpec, Parameter, card, current, package_sources, step  # noqa: E402

from lib.entry import main  # noqa: E402
from lib.refusing import one_line_errors  # noqa: E402


@package_sources(["../lib", "../config"], suffixes=[".py", ".toml", ".csv", ".json", ".npz", ".txt"])
class TrainFlow(FlowSpec):
    """Fit candidate settings side by side, keep the best on validation, publish it as a model folder."""

    data = Parameter("data", default="", help="Labelled file of any format read; left out: the built-in examples.")
    text_column = Parameter("text-column", default="name", help="Column of --data with the products' names.")
    label_column = Parameter("label-column", default="category", help="Column of --data with their labels.")
    other_columns = Parameter(
        "other-columns", default="", help="customer_categories=COLUMN,brands=COLUMN,descriptions=COLUMN of --data."
    )
    validation = Parameter(
        "validation", default="", help="Labelled file to choose and calibrate on, columns as --data."
    )
    test = Parameter("test", default="", help="Labelled file for the figures in the end, columns as --data.")
    corrections = Parameter("corrections", default="", help="Review workbook or corrected review.csv; or `catalog`.")
    publish = Parameter("publish", default="results/models/new", help="Folder or s3:// for the model.")
    # FlowSpec has a `name` of its own.
    called = Parameter("name", default="", help="What the model is called; left out: the folder's name.")
    compare = Parameter("compare", default="lib/models/carbon", help="Model to compare with on the same test.")
    work = Parameter("work", default="results/training", help="Folder or s3:// for the examples and candidates.")
    limit = Parameter("limit", default=0, type=int, help="Learn from only so many examples, for a quick try; 0: all.")
    seed = Parameter("seed", default=0, type=int, help="Of everything that chance decides.")

    @step
    @one_line_errors
    def start(self):
        """Check where results go, and write the examples and their split once."""
        from lib import training
        from lib.learning import trainingdata
        from lib.storage import check_writable, folder

        self.folder = f"{self.work}/{current.run_id}"
        check_writable(folder(self.publish))
        given = trainingdata.TrainingFiles(
            data=self.data,
            text_column=self.text_column,
            label_column=self.label_column,
            other_columns=self.other_columns,
            validation=self.validation,
            test=self.test,
            corrections=self.corrections,
        )
        examples, self.sources = trainingdata.examples_of(given, seed=self.seed)
        self.counts = training.write_examples(examples, self.folder, limit=self.limit)
        self.model_name = self.called or folder(self.publish).uri.rstrip("/").rpartition("/")[2]
        self.candidates, left_out = training.candidates_for(self.folder, of_file=bool(self.data))
        if left_out:
            print(left_out)
        self.next(self.fit, foreach="candidates")

    @step
    @one_line_errors
    def fit(self):
        """Fit and calibrate one candidate."""
        from lib import training

        self.fitted = training.fit_candidate(
            self.input, self.folder, name=self.model_name, seed=self.seed, by_all_columns=bool(self.data)
        )
        self.next(self.choose)

    @step
    @one_line_errors
    def choose(self, inputs):
        """Keep the candidate with the most right answers on validation."""
        from lib import training

        self.all_fitted = [task.fitted for task in inputs]
        self.best = training.best(self.all_fitted)
        print(*[training.summary(one) for one in self.all_fitted], f"best: {self.best.candidate.name}", sep="\n")
        self.merge_artifacts(inputs, include=["folder", "sources", "counts", "model_name"])
        self.next(self.end)

    @card(type="blank")
    @step
    @one_line_errors
    def end(self):
        """Evaluate the best once on test, publish it with its figures, and show them."""
        from lib import training
        from lib.cards import training_card

        compared = [training.summary(one) for one in self.all_fitted]
        facts = {"seed": self.seed, "data": self.sources, "split": self.counts, "candidates": compared}
        self.model = training.publish(
            self.best, self.folder, self.publish, name=self.model_name, compare=self.compare, facts=facts
        )
        current.card.extend(training_card(self.model, compared=compared, where=self.publish))
        print(f"{self.publish}: version {self.model['version']}, top-1 on test {self.model['metrics']['test']['top1']}")


if __name__ == "__main__":
    main(TrainFlow)
