"""What ``ratchet data`` prints."""

import json
from collections.abc import Sequence
from typing import Any

from evalsuite.report.text import clip
from flows.cli.views.console import console, escape, table
from tasks.lineage.difference import DataDiff, RowPair, fate
from tasks.lineage.history import Content, History
from tasks.lineage.versions import Version

SHOWN_CHARACTERS = 4000


def show_histories(found: Sequence[History], as_json: bool) -> None:
    """Print what became of each row."""
    if as_json:
        print(json.dumps([_as_json(each) for each in found], indent=2, ensure_ascii=False))
        return
    for number, each in enumerate(found):
        if number:
            console().print()
        _show(each, f"{number + 1} of {len(found)}: " if len(found) > 1 else "")


def _show(history: History, which: str) -> None:
    page, row = console(), history.row
    page.print(f"[bold]{which}{escape(row.row_id)}[/bold]")
    ended = {"train": "trained on (data/prepared/train.jsonl)", "dev": "held for eval loss (data/prepared/dev.jsonl)"}
    page.print(f"source   {escape(row.source)}")
    page.print(f"content  {row.content or 'none, it could not be read'}")
    page.print(f"ended    {ended.get(row.side, 'on neither side')}")
    if history.made is not None:
        made = history.made
        day = f" on {made.date}" if made.date else ""
        seeds = ", ".join(seed.source for seed in made.seeds)
        of = f", from {seeds}" if seeds else ""
        page.print(f"written  {escape(f'by the model {made.model} ({made.kind}){day}{of}')}")
    page.print()
    steps = table("step", "did", "why")
    for each in history.steps:
        steps.add_row(escape(each.step), each.did, escape(_why(each.event)) if each.event else "")
    page.print(steps)
    _show_text("as it was read", history.before, history.note)
    if row.side:
        same = history.before is not None and history.before == history.after
        _show_text("as it is trained on", None if same else history.after, "the same" if same else "")
    if history.unused:
        page.print(f"\n{escape(history.unused)}")


def _why(event: Any) -> str:
    detail = f" ({event.detail})" if event.detail else ""
    return f"{event.reason}{detail}" + (f", see {event.other}" if event.other else "")


def _show_text(title: str, content: Content | None, note: str) -> None:
    page = console()
    page.print()
    page.print(f"[bold]{title}[/bold]" + (f": {escape(note)}" if note else ""))
    if content is None:
        return
    for name, value in content.items():
        if name == "messages":
            for turn in value:
                mark = " (context, not learnt)" if turn.get("weight") == 0 else ""
                page.print(f"{escape(turn['role'])}{mark}:")
                page.print(_indented(str(turn.get("content", ""))))
        else:
            page.print(f"{escape(name)}:")
            page.print(_indented(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in escape(clip(text, SHOWN_CHARACTERS)).split("\n"))


def _as_json(history: History) -> dict[str, Any]:
    return {
        "id": history.row.row_id,
        "source": history.row.source,
        "content": history.row.content or None,
        "side": history.row.side or None,
        "steps": [
            {"step": each.step, "did": each.did}
            | ({key: value for key, value in each.event._asdict().items() if key not in ("step", "did") and value})
            if each.event
            else {"step": each.step, "did": each.did}
            for each in history.steps
        ],
        "before": history.before,
        "after": history.after,
        "note": history.note or None,
        **({"synthetic": history.made.model_dump(mode="json", exclude_none=True)} if history.made else {}),
    }


KINDS = ("added", "removed", "changed", "decided")
TITLES = {"decided": "decided otherwise"}


def show_diff(found: DataDiff, shown: int, as_json: bool) -> None:
    """Print what differs between two versions of the data, and the first rows of each kind."""
    if as_json:
        print(json.dumps(_diff_as_json(found, shown), indent=2, ensure_ascii=False))
        return
    page = console()
    page.print(f"before  {_named(found.before)}")
    page.print(f"after   {_named(found.after)}")
    if not any(getattr(found, kind) for kind in KINDS):
        page.print("\nno row differs")
        return
    came, went, other = found.trained
    page.print(
        f"\namong the rows that are trained on: {came:,} new, {went:,} gone, "
        f"{other:,} with other content under the same id\n"
    )
    sources = table("source", "added", "removed", "changed", "decided otherwise", right={*KINDS, *TITLES.values()})
    for each in found.sources:
        numbers = (each.added, each.removed, each.changed, each.decided)
        sources.add_row(escape(each.source), *(f"{number:,}" for number in numbers))
    page.print(sources)
    page.print()
    ends = table("rows ended", "before", "after", "change", right={"before", "after", "change"})
    for name, before, after in found.reasons:
        ends.add_row(escape(name), f"{before:,}", f"{after:,}", f"{after - before:+,}" if after != before else "")
    page.print(ends)
    for kind in KINDS:
        pairs: Sequence[RowPair] = getattr(found, kind)
        if pairs and shown:
            _show_pairs(TITLES.get(kind, kind), pairs, shown)


def _show_pairs(title: str, pairs: Sequence[RowPair], shown: int) -> None:
    page = console()
    more = f", the first {shown} of {len(pairs):,}" if len(pairs) > shown else ""
    page.print(f"\n[bold]{title}[/bold]{more}")
    rows = table("row", "source", "ended")
    for pair in pairs[:shown]:
        row = pair.after or pair.before
        assert row is not None  # noqa: S101  a pair has one side
        rows.add_row(escape(row.row_id), escape(row.source), escape(_ends(pair)))
    page.print(rows)


def _ends(pair: RowPair) -> str:
    ends = [fate(row) for row in (pair.before, pair.after) if row is not None]
    return " -> ".join(dict.fromkeys(ends))


def _named(version: Version) -> str:
    commit = f" ({version.commit[:12]})" if version.commit and not version.commit.startswith(version.name) else ""
    return f"{escape(version.name)}{commit}: {version.trail.table.num_rows:,} rows read"


def _diff_as_json(found: DataDiff, shown: int) -> dict[str, Any]:
    def row(pair: RowPair) -> dict[str, Any]:
        there = pair.after or pair.before
        assert there is not None  # noqa: S101  a pair has one side
        return {
            "id": there.row_id,
            "source": there.source,
            "before": fate(pair.before) if pair.before else None,
            "after": fate(pair.after) if pair.after else None,
        }

    came, went, other = found.trained
    return {
        "before": {"name": found.before.name, "commit": found.before.commit or None},
        "after": {"name": found.after.name, "commit": found.after.commit or None},
        "trained": {"came": came, "went": went, "other": other},
        "sources": {each.source: {kind: getattr(each, kind) for kind in KINDS} for each in found.sources},
        "ended": {name: {"before": before, "after": after} for name, before, after in found.reasons},
        "rows": {
            kind: {"count": len(pairs), "first": [row(pair) for pair in pairs[:shown]]}
            for kind in KINDS
            for pairs in [getattr(found, kind)]
        },
    }
