"""Per-sample results that ``lm_eval --log_samples`` writes, of every version that logs one line per document."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from evalsuite.items.lm_eval_values import ItemScore, NotApplicable, logged_value
from evalsuite.records.rows import Record, Records, drop, short, unscore, unscore_doubtful

KIND = "lm-eval samples"
OWN_KEYS = frozenset(
    {
        "doc_id",
        "doc",
        "target",
        "arguments",
        "resps",
        "filtered_resps",
        "filter",
        "metrics",
        "doc_hash",
        "prompt_hash",
        "target_hash",
        "task_name",
        "version",
    }
)
MARKS = ("metrics", "filtered_resps", "resps", "arguments", "doc_hash")
Line = tuple[str, dict[str, Any]]


def is_sample(data: Mapping[str, Any]) -> bool:
    """Whether a row is lm-eval's."""
    return "doc_id" in data and any(mark in data for mark in MARKS)


def slim(data: dict[str, Any], where: str) -> dict[str, Any]:
    """What is read of a sample; documents and prompts may be long.

    Raises:
        UsageError: ``metrics`` holds no names.
    """
    names = data.get("metrics")
    if names is None:
        # Before version 0.4.8 the metrics were the keys that are not lm-eval's own.
        names = [key for key, value in data.items() if key not in OWN_KEYS and not isinstance(value, str)]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{where}: metrics is {short(names)}, expected names")
    document = [data.get("doc_hash") or sha256_json(data.get("doc")), data.get("target_hash") or data.get("target")]
    return {
        "doc_id": data["doc_id"],
        "filter": data.get("filter"),
        "document": sha256_json(document),
        "prompt": data.get("prompt_hash") or sha256_json(data.get("arguments")),
        "values": {name: data.get(name) for name in names},
    }


def records_of(lines: Sequence[Line], wanted: Collection[str] | None) -> Records:
    """The items of one task; lm-eval writes a document once a filter.

    A metric is called ``metric,filter`` as in lm-eval's tables; ``metric`` alone stands for it where the file has one
    filter for it.

    Args:
        lines: Where each sample was read, and the sample as ``slim`` leaves it.
        wanted: Metrics that somebody asks for; all when None.

    Raises:
        UsageError: Two documents share an id, or a document appears twice under one filter.
    """
    records = Records(kind=KIND)
    prompts: dict[str, str] = {}
    reasons: dict[str, Counter[str]] = {}
    filters: dict[str, list[str]] = {}
    for where, sample in lines:
        item_id = str(sample["doc_id"])
        row = records.rows.setdefault(item_id, Record(item_id, sample["document"]))
        if row.item_hash != sample["document"]:
            raise UsageError(f"{where}: doc_id {item_id} stands for two documents; give the file of one task")
        prompts[item_id] = sample["prompt"]
        for metric, value in sample["values"].items():
            name = f"{metric},{sample['filter'] or 'none'}"
            if name in row.scores or name in row.not_applicable:
                raise UsageError(f"{where}: doc_id {item_id} appears twice; {_twice(sample)}")
            if name not in filters.setdefault(metric, []):
                filters[metric].append(name)
            found = logged_value(metric, value)
            if isinstance(found, ItemScore):
                row.scores[name] = found.score
                if found.denominator is not None:
                    row.denominators[name] = found.denominator
            elif isinstance(found, NotApplicable):
                row.not_applicable.add(name)
            else:
                row.scores[name] = math.nan
                reasons.setdefault(name, Counter())[found.reason] += 1
    for name, why in reasons.items():
        if not any(math.isfinite(row.scores.get(name, math.nan)) for row in records.rows.values()):
            records.reasons[name] = why.most_common(1)[0][0]
    unscore_doubtful(records)
    _unscore_mixed(records)
    _short_names(records, filters)
    if wanted is not None:
        _keep(records, wanted)
    records.prompt_sha256 = sha256_json(sorted(prompts.items()))
    return records


def _keep(records: Records, wanted: Collection[str]) -> None:
    """Leave out what nobody asks for; all stays where nothing of it is there, so that it can be listed."""
    known = {metric for row in records.rows.values() for metric in (*row.scores, *row.not_applicable)}
    kept = {name for name in known if name in wanted or name.partition(",")[0] in wanted}
    if kept:
        drop(records.rows, known - kept)
        records.scorers = {name: told for name, told in records.scorers.items() if name in kept}
        records.reasons = {name: why for name, why in records.reasons.items() if name in kept}


def _twice(sample: Mapping[str, Any]) -> str:
    if sample["filter"] is None:
        return (
            "its lines name no filter: lm-eval before 0.4.8 wrote one line per filter without its name; keep the "
            "lines of one filter, or evaluate again with lm-eval 0.4.8 or later"
        )
    return "give the file of one run"


def _unscore_mixed(records: Records) -> None:
    """Unscore metrics with lists of checks for some items and numbers for others, which have neither ratio nor mean."""
    for name in sorted({metric for row in records.rows.values() for metric in row.denominators}):
        rows = records.rows.values()
        plain = [r for r in rows if math.isfinite(r.scores.get(name, math.nan)) and name not in r.denominators]
        if plain:
            why = (
                f"{name} is a list of checks for some items and a number for others, such as item {plain[0].item_id!r}"
            )
            unscore(records, name, why)


def _short_names(records: Records, filters: Mapping[str, Sequence[str]]) -> None:
    """A metric that only one filter has goes by its own name too."""
    for metric, names in filters.items():
        if len(names) > 1:
            continue
        (name,) = names
        records.scorers[metric] = f"lm-eval, filter {name.partition(',')[2]}"
        if name in records.reasons:
            records.reasons[metric] = records.reasons[name]
        for row in records.rows.values():
            if name in row.scores:
                row.scores[metric] = row.scores[name]
            if name in row.denominators:
                row.denominators[metric] = row.denominators[name]
            if name in row.not_applicable:
                row.not_applicable.add(metric)
