"""A golden set looked at before it is trusted: made, checked and described without any model."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_file, write_json, write_jsonl, write_text
from evalsuite.core.text import as_written, whole_form
from evalsuite.suites.golden_set.items import (
    FileEntry,
    GoldenItem,
    GoldenManifest,
    allowed_values,
    num_lines,
    read_golden_items,
    read_manifest_file,
    read_set_manifest,
)
from evalsuite.suites.golden_set.metrics import TEXT_METRICS, MetricContext, UnscoredError, score_text
from evalsuite.suites.lm_eval.benchmark_root import is_benchmark_root, read_rows, root_entries

SPLITS = ("dev", "test")
SHINGLE_CHARACTERS = 5
NEAR_DUPLICATE = 0.8
"""Jaccard similarity of character 5-grams from which two prompts count as near-duplicates (fraction 0..1)."""
MAX_PAIRS = 50
READ_AS = {"numeric": "one number", "choice": "one of the options"}
"""What a metric reads a reference as; one that it cannot read never counts."""


class Problem(NamedTuple):
    """Something about a set."""

    serious: bool
    """False for what is odd but can be meant."""
    text: str


def check_set(folder: Path) -> list[Problem]:
    """Everything that is wrong or odd about a set.

    Raises:
        UsageError: No such folder, or it holds neither split, nor tasks of lm-eval.
    """
    if is_benchmark_root(folder):
        return _check_root(folder)
    files = _files(folder)
    problems: list[Problem] = []
    try:
        manifest = read_set_manifest(folder)
    except UsageError as error:
        problems.append(Problem(True, str(error)))
    else:
        problems += [
            Problem(True, f"{path} is not named in {folder / 'manifest.json'}; write it with `--new-version`")
            for path in files.values()
            if path.name not in manifest.files
        ]
    items: dict[str, tuple[GoldenItem, ...]] = {}
    for split, path in files.items():
        try:
            items[split] = read_golden_items(path)
        except UsageError as error:
            problems.append(Problem(True, str(error)))
    for split, found in items.items():
        problems += _duplicates(split, found)
        problems += _unreachable(split, found)
    if len(items) == len(SPLITS):
        problems += _across(items["dev"], items["test"])
    return problems


def _check_root(folder: Path) -> list[Problem]:
    """What is wrong with local files of lm-eval's tasks; their fields are the tasks' to know."""
    try:
        entries = root_entries(folder)
        manifest = read_set_manifest(folder)
    except UsageError as error:
        return [Problem(True, str(error))]
    where = folder / "manifest.json"
    unnamed = sorted(set(entries) - set(manifest.files))
    return [
        Problem(True, f"{folder / name} is not named in {where}; write it with `--new-version`") for name in unnamed
    ]


def _files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UsageError(f"no golden set at {folder}; make one with `ratchet golden new {folder}`")
    files = {split: folder / f"{split}.jsonl" for split in SPLITS if (folder / f"{split}.jsonl").is_file()}
    if not files:
        raise UsageError(f"{folder} holds neither dev.jsonl nor test.jsonl; make a set with `ratchet golden new`")
    return files


def _duplicates(split: str, items: Sequence[GoldenItem]) -> Iterator[Problem]:
    """Two items of a split that ask the same: one item, counted twice."""
    first: dict[str, str] = {}
    for item in items:
        key = as_written("\n".join(turn["content"] for turn in item.turns()))
        if key in first:
            yield Problem(True, f"{split}: {item.id!r} asks the same as {first[key]!r}")
        else:
            first[key] = item.id


def _unreachable(split: str, items: tuple[GoldenItem, ...]) -> Iterator[Problem]:
    """Metrics that no reference passes, and metrics that an empty answer passes."""
    context = MetricContext(allowed_values(items))
    for item in items:
        for metric, params in item.params.items():
            if metric not in TEXT_METRICS:
                continue
            try:
                best = max(score_text(metric, text, item.references, context, params) for text in item.references)
                empty = score_text(metric, "", item.references, context, params)
            except UnscoredError as error:
                yield Problem(True, f"{split}: {item.id!r}: {error}")
                continue
            if not math.isclose(best, 1.0, abs_tol=1e-6):
                yield Problem(
                    True, f"{split}: {item.id!r}: even its own reference scores {best:.3f} on {metric!r}: unreachable"
                )
            elif metric in READ_AS:
                unread = [text for text in item.references if score_text(metric, text, [text], context, params) != 1.0]
                for text in unread:
                    yield Problem(
                        False,
                        f"{split}: {item.id!r}: {metric!r} cannot read the reference {text!r} as {READ_AS[metric]}",
                    )
            if math.isclose(empty, 1.0, abs_tol=1e-6):
                yield Problem(False, f"{split}: {item.id!r}: an empty answer passes {metric!r}")


def _across(dev: Sequence[GoldenItem], test: Sequence[GoldenItem]) -> Iterator[Problem]:
    """Items of test that are all but items of dev, on which epochs are chosen; also ids in both."""
    ids = {item.id for item in dev}
    yield from (Problem(True, f"id {item.id!r} is in dev and in test") for item in test if item.id in ids)
    pairs = near_duplicates([item.prompt for item in test], [item.prompt for item in dev])
    for pair in pairs[:MAX_PAIRS]:
        one, other = test[pair.first].id, dev[pair.second].id
        yield Problem(True, f"test {one!r} and dev {other!r} ask nearly the same (Jaccard {pair.similarity:.2f})")
    if len(pairs) > MAX_PAIRS:
        yield Problem(True, f"and {len(pairs) - MAX_PAIRS} more near-duplicates across dev and test")


class Pair(NamedTuple):
    """Two texts, by position in their lists."""

    first: int
    second: int
    similarity: float


def near_duplicates(firsts: Sequence[str], seconds: Sequence[str], least: float = NEAR_DUPLICATE) -> list[Pair]:
    """Pairs at or above a Jaccard similarity of character 5-grams; exact, most alike first.

    A golden set is small enough for the exact measure, which MinHash would only estimate.
    """
    index: dict[str, list[int]] = {}
    sizes = []
    for number, text in enumerate(seconds):
        shingles = _shingles(text)
        sizes.append(len(shingles))
        for shingle in shingles:
            index.setdefault(shingle, []).append(number)
    pairs = []
    for number, text in enumerate(firsts):
        shingles = _shingles(text)
        shared = Counter(other for shingle in shingles for other in index.get(shingle, ()))
        for other, count in shared.items():
            similarity = count / (len(shingles) + sizes[other] - count)
            if similarity >= least:
                pairs.append(Pair(number, other, similarity))
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def _shingles(text: str) -> set[str]:
    bare = whole_form(text)
    last = max(1, len(bare) - SHINGLE_CHARACTERS + 1)
    return {bare[start : start + SHINGLE_CHARACTERS] for start in range(last)}


def describe_set(folder: Path) -> dict[str, Any]:
    """Counts by split: items, clusters, slices, metrics, must-pass items, turns, lengths in words.

    Raises:
        UsageError: The set cannot be read.
    """
    if is_benchmark_root(folder):
        rows = {name: read_rows(folder / name) for name in root_entries(folder)}
        found = {name: {"items": len(each), "fields": ", ".join(sorted(each[0]))} for name, each in rows.items()}
        return {"schema_version": 1, "set": folder.name, **found}
    return {"schema_version": 1, "set": folder.name} | {
        split: _describe(read_golden_items(path)) for split, path in _files(folder).items()
    }


def _describe(items: Sequence[GoldenItem]) -> dict[str, Any]:
    slices: dict[str, Counter[str]] = {}
    for item in items:
        for key, value in item.slices.items():
            slices.setdefault(key, Counter())[value] += 1
    return {
        "items": len(items),
        "clusters": len({item.cluster or item.id for item in items}),
        "weight": math.fsum(item.weight for item in items),
        "metrics": dict(sorted(Counter(metric for item in items for metric in item.all_metrics).items())),
        "must_pass": dict(sorted(Counter(metric for item in items for metric in item.required).items())),
        "slices": {key: dict(counts.most_common()) for key, counts in sorted(slices.items())},
        "turns": dict(sorted(Counter(str(len(item.messages)) for item in items).items())),
        "with_tools": sum(bool(item.tools) for item in items),
        "references": _lengths([len(item.references) for item in items]),
        "prompt_words": _lengths([len(item.prompt.split()) for item in items]),
        "reference_words": _lengths([len(text.split()) for item in items for text in item.references]),
    }


def _lengths(counts: Sequence[int]) -> dict[str, int]:
    ordered = sorted(counts)
    return {"least": ordered[0], "median": ordered[len(ordered) // 2], "most": ordered[-1]}


def write_manifest_version(folder: Path, version: str) -> GoldenManifest:
    """Write the present files' sha256 and n into manifest.json, under a new version.

    Raises:
        UsageError: The version is the one that is there, or an item is malformed.
    """
    entries = root_entries(folder) if is_benchmark_root(folder) else _entries(folder)
    old = read_manifest_file(folder)
    if version == old.version:
        raise UsageError(f"{folder / 'manifest.json'} already has version {version}; name a new one")
    manifest = old.model_copy(update={"version": version, "files": entries})
    write_json(folder / "manifest.json", manifest)
    return manifest


def _entries(folder: Path) -> dict[str, FileEntry]:
    """What the manifest says of each split, once its items were read."""
    files = _files(folder).values()
    for path in files:
        read_golden_items(path)
    return {path.name: FileEntry(sha256=sha256_file(path), n=num_lines(path)) for path in files}


def new_set(folder: Path) -> list[str]:
    """Make a set; the manifest and the card alone where items of one's own, or TASK/test.jsonl, lie there already.

    A folder without items gets one of each of four kinds a split, to be replaced by the domain's own.

    Returns:
        Names of the files that were written.

    Raises:
        UsageError: The folder has a manifest, or files that are no items, or an item is malformed.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a new folder")
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    own = {f"{split}.jsonl" for split in SPLITS} & present
    tasks = folder.is_dir() and is_benchmark_root(folder)
    if "manifest.json" in present or (present and not own and not tasks):
        raise UsageError(f"{folder} is there already; name a new folder, or look at it with `ratchet golden check`")
    written = ["manifest.json"]
    folder.mkdir(parents=True, exist_ok=True)
    if not present:
        write_jsonl(folder / "dev.jsonl", [dict(row, id=f"dev-{n:03}") for n, row in enumerate(DEV_ROWS, 1)])
        write_jsonl(folder / "test.jsonl", [dict(row, id=f"test-{n:03}") for n, row in enumerate(TEST_ROWS, 1)])
        written = ["dev.jsonl", "test.jsonl", *written]
    entries = root_entries(folder) if tasks else _entries(folder)
    about = {"name": folder.resolve().name, "version": "0.1.0", "licence": "CHANGE-ME", "source": "CHANGE-ME"}
    write_json(folder / "manifest.json", GoldenManifest.model_validate({**about, "files": entries}))
    if "card.md" not in present and not tasks:
        write_text(folder / "card.md", CARD.format(name=folder))
        written.append("card.md")
    return written


def _row(question: str, references: list[str], metrics: list[Any], task: str, **more: Any) -> dict[str, Any]:
    turn = {"role": "user", "content": question}
    return {"messages": [turn], "references": references, "metrics": metrics, "slices": {"task": task}, **more}


def _numeric(tolerance: float) -> dict[str, Any]:
    return {"name": "numeric", "params": {"tolerance": tolerance}}


DEV_ROWS = [
    _row("What is the capital of Italy?", ["Rome"], ["contains"], "fact"),
    _row("How many metres are 2.5 kilometres?", ["2500"], [_numeric(0.5)], "number"),
    _row("Say in one sentence why leaves are green.", ["Because of chlorophyll."], ["rouge_l", "chrf"], "text"),
    _row('Answer with {"colour": ...}: grass', ['{"colour": "green"}'], ["json_exact"], "record"),
]
TEST_ROWS = [
    _row("Which city is the capital of Austria?", ["Vienna"], ["contains"], "fact"),
    _row("How many grams are in 1.2 kilograms of flour?", ["1200"], [_numeric(0.5)], "number"),
    _row("Explain shortly why the sea is salty.", ["Rivers carry salt into it."], ["rouge_l", "chrf"], "text"),
    _row(
        'Give the colour of snow as {"colour": ...}',
        ['{"colour": "white"}'],
        ["json_exact"],
        "record",
        must_pass=["json_schema"],
    ),
]
CARD = """# {name}

What the items ask, who wrote them and when, what they must not be used for, and how a wrong item is reported.

`dev.jsonl` selects epochs; `test.jsonl` is for the gate alone. After a change:
`ratchet golden check {name} --new-version VERSION`.
"""
