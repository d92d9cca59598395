"""``ratchet data synthesize``: rows that a served model writes from rows that people wrote."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.project import project_root

if TYPE_CHECKING:
    from collections import Counter

    from tasks.synthesis.synthesis import Plan, Result

SHOWN_PROMPTS = 2
SHOWN_CHARACTERS = 1500
KINDS = ("rewrite-answer", "rewrite-question", "new")
STOPPED = "stopped; the answers so far are kept: the same command goes on"


def data_synthesize(
    kind: Annotated[
        str, typer.Option("--kind", help=f"What is asked for: {', '.join(KINDS)}.", metavar="|".join(KINDS))
    ],
    model: Annotated[str, typer.Option("--model", help="The model's name on the server.")],
    base_url: Annotated[str, typer.Option("--base-url", help="The server, such as http://127.0.0.1:8000/v1.")],
    rows: Annotated[
        int, typer.Option("--rows", min=1, help="Rows that are asked for; the checks leave some out.")
    ] = 100,
    source: Annotated[
        str | None, typer.Option("--from", help="Rows to start from, as in prepare.sources; all of these by default.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="File that is written; data/raw/synthetic_KIND.jsonl by default.")
    ] = None,
    api_key_variable: Annotated[
        str, typer.Option("--api-key-variable", help="Environment variable with the key; none is sent where unset.")
    ] = "OPENAI_API_KEY",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed shows other rows and samples anew.")] = 0,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, max=2.0, help="Of the sampling.")] = 0.7,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Longest reply; a cut one is left out.")] = (
        1024
    ),
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=256, help="Requests in flight.")] = 8,
    max_share: Annotated[
        float | None,
        typer.Option(
            "--max-share",
            min=0.0,
            max=1.0,
            help="Refuse more rows than this share of all (fraction 0..1); prepare.max_synthetic_share by default.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write the file anew where it is there.")] = False,
    send_rows: Annotated[
        bool, typer.Option("--send-rows", help="Rows may be sent to a server on another machine.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how much would be asked, and two prompts; send and write nothing.")
    ] = False,
) -> None:
    """Let a served model write rows from yours: better answers, other wordings, or new questions with answers.

    What comes back is checked before it is written, and each row says which model wrote it, when, and from which rows.
    Answers are kept at once: after a failure the same command asks for the rest alone.
    """
    from pydantic import ValidationError

    from evalsuite.core.errors import UsageError
    from evalsuite.core.wrong_values import explain
    from flows.lifecycle import signals
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths
    from tasks.prepare.inputs.source_files import files_there
    from tasks.served.server import ChatServer
    from tasks.synthesis.kinds import Kind
    from tasks.synthesis.synthesis import Wanted, plan, synthesize

    if kind not in KINDS:
        raise UsageError(f"--kind {kind!r}: expected {', '.join(KINDS)}")
    signals.say(STOPPED)
    settings = {
        "base_url": base_url,
        "model": model,
        "api_key_variable": api_key_variable,
        "seed": seed,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "concurrency": concurrency,
    }
    try:
        server = ChatServer.model_validate(settings)
    except ValidationError as error:
        raise UsageError(explain(error, ChatServer, "")) from None
    paths = ArtifactPaths(project_root())
    prepare = load_params(paths.params).prepare
    wanted = Wanted(Kind(kind), rows, server, source, max_share, seed, to, replace, send_rows)
    planned = plan(wanted, prepare, paths)
    if dry_run:
        show_plan(planned)
        return
    result = synthesize(planned, paths)
    named = result.path.as_posix() in [file.name for file in files_there(prepare, paths.root)]
    show_result(result, planned.seeds.left_out, named)


def show_plan(planned: "Plan") -> None:
    """Print what would be asked; no text of a row where a step looks for personal data."""
    from flows.cli.views.console import console, escape

    page, wanted, seeds = console(), planned.wanted, planned.seeds
    server = wanted.server
    page.print(
        f"{len(planned.requests):,} requests to {escape(server.shown_url)} for model {escape(server.model)}, about "
        f"{planned.tokens:,} tokens in (4 characters each) and at most {len(planned.requests) * server.max_tokens:,} "
        f"out; {len(seeds.rows):,} rows can be shown. Nothing was sent, and nothing written."
    )
    _show_left_out(seeds.left_out)
    for number, request in enumerate(planned.requests[:SHOWN_PROMPTS], 1):
        page.print(f"\nrequest {number}, from {escape(', '.join(row.source for row in request.seeds))}")
        for turn in request.messages:
            text = turn["content"]
            if seeds.private and turn["role"] != "system":
                text = f"(withheld, since prepare.steps looks for personal data: {len(text):,} characters)"
            more = f" ... ({len(text):,} characters)" if len(text) > SHOWN_CHARACTERS else ""
            page.print(f"  {turn['role']}: {escape(text[:SHOWN_CHARACTERS])}{more}")


def show_result(result: "Result", left_out: "Counter[str]", named: bool) -> None:
    """Print how many replies became rows, and why the others did not; nothing of their texts."""
    from flows.cli.views.console import console, escape, table

    page = console()
    _show_left_out(left_out)
    replies = table("replies", "number", right={"number"})
    replies.add_row("written", f"{result.written:,}")
    for reason, count in sorted(result.refused.items(), key=lambda each: (-each[1], each[0])):
        replies.add_row(f"left out: {escape(reason)}", f"{count:,}")
    replies.add_row("asked for", f"{result.asked:,}")
    page.print(replies)
    then = "`ratchet run` trains on it" if named else "read some of its rows, then name it in prepare.sources"
    page.print(f"\n{escape(result.path.as_posix())}: {then}")


def _show_left_out(left_out: "Counter[str]") -> None:
    from flows.cli.views.console import console, escape

    if left_out:
        listed = ", ".join(f"{count:,} {escape(reason)}" for reason, count in left_out.most_common())
        console().print(f"rows that are not shown to the model: {listed}")
