"""Metaflow cards: the import report, and the figures of a training."""

import re
from typing import Any

from metaflow.cards import Markdown, Table, VegaChart

from lib.catalog import COUNTS as CATALOG_COUNTS

_WIDTH = 760
_CATEGORIES_SHOWN = 25
_BATCHES_SHOWN = 10
_CELL_LENGTH = 60
_COLOURS = {"categorized": "#2f7d4f", "review": "#d99a1c", "rejected": "#b8433a"}


def report_card(report: dict[str, Any]) -> list[Any]:
    """The components of the card, top to bottom, for a report as reporting.build_report makes it."""
    return [
        Markdown(f"# {_name(report['source']['uri'])}"),
        Markdown(_opening(report)),
        VegaChart(_outcomes_chart(report)),
        Markdown(
            "## Confidence\nRows by the confidence of their best category. What is sure enough differs by category."
        ),
        VegaChart(_confidence_chart(report)),
        Markdown(f"## Products per category\n{_categories_note(report)}"),
        VegaChart(_categories_chart(report)),
        Markdown("## Rejected rows"),
        *_rejected(report),
        *_failed(report),
        Markdown("## What was understood"),
        Markdown("\n".join(f"- {_plain(decision)}" for decision in report["source"]["decisions"])),
        Table(_facts(report), headers=["", ""]),
        *_remote(report),
        Markdown("## Slowest batches"),
        Table(_slowest(report), headers=["Batch", "Rows", "Seconds", "Products per second"]),
        Markdown("## Files"),
        Table([[name, uri] for name, uri in report["files"].items()], headers=["File", "Where"]),
    ]


def training_card(model: dict[str, Any], *, compared: list[dict[str, Any]], where: str) -> list[Any]:
    """The components of the card of a training: a model's card.json, and what each candidate came to."""
    metrics, test = model["metrics"], model["metrics"]["test"]
    figures = ("products", "top1", "top3", "macro_f1", "weighted_f1", "parent", "ece", "coverage_at_95", "answered",
               "answered_right")  # fmt: skip
    tested = [[kind, *(figure_of.get(figure, "") for figure in figures)] for kind, figure_of in metrics.items()]
    if "model_in_use" in model:
        in_use = model["model_in_use"]
        tested.append([f"test, model in use {in_use['version']}", *(in_use.get(figure, "") for figure in figures)])
    columns = list(dict.fromkeys(column for one in compared for column in one))
    by_size = sorted(test["labels"].items(), key=lambda item: (-item[1]["products"], item[0]))
    return [
        Markdown(f"# {model['name']} {model['version']}\n`{where}`; seed {model['seed']}"),
        Markdown("\n".join(f"- {split}: {source}" for split, source in model["data"].items())),
        Markdown("## Candidates on validation"),
        Table([[one.get(column, "") for column in columns] for one in compared], headers=columns),
        Markdown("## The best"),
        Table(tested, headers=["", *figures]),
        Markdown("## Confidence against how often it is right, on test"),
        VegaChart(_reliability_chart(test["reliability"])),
        Table([list(row.values()) for row in test["thresholds"]], headers=list(test["thresholds"][0])),
        Markdown("## The most frequent wrong answers"),
        Table([list(row.values()) for row in test["confusions"]], headers=["label", "answer", "products"]),
        Markdown("## Labels"),
        Table([[label, *row.values()] for label, row in by_size], headers=["label", *by_size[0][1]]),
    ]


def _reliability_chart(bins: list[dict[str, Any]]) -> dict[str, Any]:
    """A point for each bin of confidence, as large as it has products; on the diagonal is right."""
    axis = {"type": "quantitative", "scale": {"domain": [0, 1]}}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": 360,
        "height": 360,
        "layer": [
            {
                "data": {"values": [{"at": 0}, {"at": 1}]},
                "mark": {"type": "line", "color": "#bbbbbb"},
                "encoding": {"x": {"field": "at", **axis}, "y": {"field": "at", **axis}},
            },
            {
                "data": {"values": bins},
                "mark": {"type": "point", "filled": True, "color": "#2f7d4f", "tooltip": True},
                "encoding": {
                    "x": {"field": "confidence", "title": "confidence", **axis},
                    "y": {"field": "right", "title": "share right", **axis},
                    "size": {"field": "products", "type": "quantitative", "legend": None},
                },
            },
        ],
    }


def _opening(report: dict[str, Any]) -> str:
    rows = report["rows"]
    parts = [
        f"**{report[outcome]:,}** {words} ({_percent(report[outcome], rows)})"
        for outcome, words in (("categorized", "categorized"), ("review", "to review"), ("rejected", "rejected"))
    ]
    return f"**{rows:,}** rows = {' + '.join(parts)}\n\nImport job `{report['job_id']}`"


def _outcomes_chart(report: dict[str, Any]) -> dict[str, Any]:
    values = [{"outcome": name, "rows": report[name], "order": i} for i, name in enumerate(_COLOURS)]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": _WIDTH,
        "height": 36,
        "data": {"values": values},
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "x": {
                "field": "rows",
                "type": "quantitative",
                "stack": "zero",
                "title": None,
                "axis": {"format": ",d"},
                "scale": {"nice": False},
            },
            "order": {"field": "order"},
            "color": {
                "field": "outcome",
                "type": "nominal",
                "scale": {"domain": list(_COLOURS), "range": list(_COLOURS.values())},
                "legend": {"orient": "top", "title": None},
            },
        },
    }


def _confidence_chart(report: dict[str, Any]) -> dict[str, Any]:
    values = [
        {"from": round(i / len(counts), 4), "to": round((i + 1) / len(counts), 4), "rows": n, "outcome": outcome}
        for outcome, counts in report["confidence_histogram"].items()
        for i, n in enumerate(counts)
    ]
    outcomes = list(report["confidence_histogram"])
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": _WIDTH,
        "height": 200,
        "data": {"values": values},
        "mark": {"type": "bar", "tooltip": True, "binSpacing": 1},
        "encoding": {
            "x": {
                "field": "from",
                "bin": {"binned": True},
                "type": "quantitative",
                "title": "confidence",
                "scale": {"domain": [0, 1]},
            },
            "x2": {"field": "to"},
            "y": {
                "field": "rows",
                "type": "quantitative",
                "stack": "zero",
                "title": "rows",
                "axis": {"tickMinStep": 1},
            },
            "color": {
                "field": "outcome",
                "type": "nominal",
                "scale": {"domain": outcomes, "range": [_COLOURS[outcome] for outcome in outcomes]},
                "legend": {"orient": "top", "title": None},
            },
        },
    }


def _categories_note(report: dict[str, Any]) -> str:
    number = len(report["categories"])
    return f"The {_CATEGORIES_SHOWN} largest of {number}." if number > _CATEGORIES_SHOWN else f"{number} in all."


def _categories_chart(report: dict[str, Any]) -> dict[str, Any]:
    largest = list(report["categories"].items())[:_CATEGORIES_SHOWN]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": _WIDTH - 240,
        "height": {"step": 18},
        "data": {"values": [{"category": name, "products": count} for name, count in largest]},
        "mark": {"type": "bar", "tooltip": True, "color": _COLOURS["categorized"]},
        "encoding": {
            "y": {"field": "category", "type": "nominal", "sort": "-x", "title": None, "axis": {"labelLimit": 230}},
            "x": {"field": "products", "type": "quantitative", "title": "products", "axis": {"tickMinStep": 1}},
        },
    }


def _rejected(report: dict[str, Any]) -> list[Any]:
    if not report["rejected"]:
        return [Markdown("None.")]
    reasons = [[code, f"{n:,}", report["explanations"][code]] for code, n in report["reasons"].items()]
    rows = [
        [row["line"], ", ".join(row["reasons"]), Markdown(_code(" | ".join(_short(cell) for cell in row["cells"])))]
        for row in report["rejected_rows"]
    ]
    note = f"The first {len(rows)} of {report['rejected']:,}; all are in rejected.csv."
    return [
        Table(reasons, headers=["Reason", "Rows", "Meaning"]),
        Markdown(note if report["rejected"] > len(rows) else "All of them, as they stand in the file:"),
        Table(rows, headers=["Line", "Reasons", "Row"]),
    ]


def _failed(report: dict[str, Any]) -> list[Any]:
    if not report["failed_batches"]:
        return []
    rows = [
        [
            one["number"],
            f"{one['rows']:,}",
            f"{one['first_line']} to {one['last_line']}",
            Markdown(_code(one["reason"])),
        ]
        for one in report["failed_batches"]
    ]
    return [
        Markdown(
            "## Batches that failed\nTheir rows are rejected as `batch-failed`; another run of the job redoes them."
        ),
        Table(rows, headers=["Batch", "Rows", "Lines", "Reason"]),
    ]


def _facts(report: dict[str, Any]) -> list[list[Any]]:
    source = report["source"]
    facts = [
        ("Source", source["uri"]),
        ("Blank lines", source["blank_lines"]),
        ("Noted, not rejected", ", ".join(f"{n:,} {code}" for code, n in report["warnings"].items())),
        ("Model", f"{report['model']['name']}, version {report['model']['version']}"),
        ("Sure enough", _sure_enough(report)),
        ("Catalog", report["catalog"]["url"]),
        ("Customer", report["catalog"]["customer"]),
        ("In the catalog", ", ".join(f"{report['catalog'][name]:,} {name}" for name in CATALOG_COUNTS)),
    ]
    return [[name, Markdown(_code(str(value)))] for name, value in facts if value not in (None, "")]


def _sure_enough(report: dict[str, Any]) -> str:
    threshold = report["review_threshold"]
    return f"{report['precision']:.0%} of such answers right (slow model: confidence {threshold})"


def _remote(report: dict[str, Any]) -> list[Any]:
    if not (remote := report.get("remote")):
        return []
    failures = ", ".join(f"{count:,} {reason}" for reason, count in remote["failures"].items())
    facts = [
        ("Model", f"{remote['model']} at {remote['endpoint']}"),
        ("Asked", "what the fast one is unsure of" if remote["only_for_review"] else "all products"),
        ("Names", f"{remote['texts']:,} different ones"),
        ("Answered by the cache", f"{remote['cache_hits']:,}"),
        ("Answered by the model", f"{remote['answered']:,}"),
        ("Without an answer", failures or "0"),
        ("Calls", f"{remote['calls']:,}, of them {remote['retries']:,} retries"),
        ("Tokens", f"{remote['prompt_tokens']:,} asked, {remote['completion_tokens']:,} answered"),
        ("Cost", f"{remote['cost']:,.4f}"),
        ("Waited", f"{remote['seconds_waited']:,.1f} s, over all calls"),
    ]
    return [
        Markdown("## The slow model"),
        Table([[name, Markdown(_code(value))] for name, value in facts], headers=["", ""]),
    ]


def _slowest(report: dict[str, Any]) -> list[list[Any]]:
    timed = zip(report["batches"], report["timing"]["batch_seconds"], strict=True)
    slowest = sorted(timed, key=lambda pair: -pair[1])[:_BATCHES_SHOWN]
    return [
        [batch["number"], f"{batch['rows']:,}", f"{seconds:.2f}", f"{batch['rows'] / seconds:,.0f}" if seconds else ""]
        for batch, seconds in slowest
    ]


def _name(uri: str) -> str:
    return uri.replace("\\", "/").rsplit("/", 1)[-1]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _short(cell: str) -> str:
    return cell if len(cell) <= _CELL_LENGTH else cell[: _CELL_LENGTH - 1] + "…"


def _plain(sentence: str) -> str:
    """A sentence that may quote the customer, with nothing in it taken for Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", sentence)


def _code(text: str) -> str:
    """Text of the customer's as inline code, so that nothing in it is taken for Markdown or HTML."""
    return f"`{' '.join(text.replace('`', 'ˋ').split())}`" if text.strip() else ""
