"""The runs of some days on the terminal."""

import json
from collections import Counter
from datetime import datetime

from flows.cli.views.console import console, escape
from tasks.paths import ArtifactPaths
from tasks.registry.digest import Digest, Line, read_digest

MOST_STAGES = 4
"""Names of stages that are shown; of more, their number."""
COLOURS = {"PROMOTE": "green", "REJECT": "red", "INCONCLUSIVE": "yellow", "failed": "red", "unended": "red"}
WORDS = {
    "unchanged": "unchanged: nothing to do",
    "unended": "unended: it still works, or its process was killed",
}


def show_digest(paths: ArtifactPaths, since: datetime | None, as_json: bool) -> None:
    """A headline, then two to four lines for each run and each move of the champion, oldest first."""
    digest = read_digest(paths, since)
    if as_json:
        for line in digest.lines:
            print(json.dumps(line._asdict(), ensure_ascii=False, sort_keys=True))
        return
    out = console()
    if not digest.lines:
        when = "yet" if since is None else f"since {since:%Y-%m-%d %H:%M} UTC"
        out.print(f"no run {when}; `ratchet run` or `ratchet serve` starts one")
        return
    out.print(escape(headline(digest)))
    for line in digest.lines:
        _show(line)


def headline(digest: Digest) -> str:
    """How many of what, and the champion before and after."""
    counts = Counter(line.what for line in digest.lines)
    said = ", ".join(f"{number} {what}" for what, number in counts.items())
    return f"{digest.lines[0].when[:10]} to {digest.lines[-1].when[:10]}: {said}; champion {_move(digest)}"


def _show(line: Line) -> None:
    out = console()
    took = "" if line.seconds is None else f"  {line.seconds:,.0f} s"
    colour = COLOURS.get(line.what, "default")
    out.print(
        f"\n{line.when[:16].replace('T', ' ')}{took}  [bold {colour}]{escape(WORDS.get(line.what, line.what))}[/]"
        f"  {escape(line.by)}"
    )
    if line.changed:
        out.print(f"  changed   {escape('; '.join(line.changed))}")
    if line.ran:
        shown = ", ".join(line.ran) if len(line.ran) <= MOST_STAGES else f"{len(line.ran)} stages"
        out.print(f"  ran       {escape(shown)}")
    out.print(f"  champion  {escape(_move(line))}")
    if line.said:
        out.print(f"  {escape(line.said)}")


def _move(between: Digest | Line) -> str:
    before, after = ((identity or "none")[:16] for identity in (between.before, between.after))
    return f"{before} stays" if before == after else f"{before} -> {after}"
