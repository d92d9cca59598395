"""What ``ratchet data`` prints."""

import json
from collections.abc import Sequence
from typing import Any

from evalsuite.report.text import clip
from flows.cli.views.console import console, escape, table
from tasks.lineage.history import Content, History

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
    page.print()
    steps = table("step", "did", "why")
    for each in history.steps:
        steps.add_row(escape(each.step), each.did, escape(_why(each.event)) if each.event else "")
    page.print(steps)
    _show_text("as it was read", history.before, history.note)
    if row.side:
        same = history.before is not None and history.before == history.after
        _show_text("as it is trained on", None if same else history.after, "the same" if same else "")


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
    }
