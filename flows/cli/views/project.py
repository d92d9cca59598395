"""What would run, what it would fetch, and which model is in production."""

from collections.abc import Sequence

from evalsuite.gate.decision import read_decision
from flows.cli.views.console import console, escape, table
from tasks.config.params import Params
from tasks.paths import ArtifactPaths
from tasks.pipeline.runner import Pending


def show_pending(pending: Sequence[Pending]) -> None:
    """Stages that may run, each with its reason: at most these, since those before them may give what they gave."""
    if not pending:
        console().print("everything is up to date: nothing would run")
        return
    found = table("would run, at most", "because")
    for item in pending:
        found.add_row(escape(item.name), escape(item.reason))
    console().print(found)


def show_missing(params: Params, pending: Sequence[Pending]) -> None:
    """What the run would fetch or reach first, from where, and which line of params.yaml asks for it."""
    from tasks.preflight.remote_inputs import needed

    for remote in needed(params, [item.name for item in pending]):
        verb = "would ask" if remote.is_server else "would fetch"
        console().print(f"{verb}: {escape(remote.what)}, for {escape(remote.key)}")


def show_champion(paths: ArtifactPaths) -> None:
    """The model in production, and the last verdict in this folder."""
    from tasks.registry.champion import read_champion

    champion = read_champion(paths)
    text = "none" if champion is None else f"{champion.model} {champion.identity[:16]}"
    console().print(f"champion: {escape(text)}")
    if paths.decision.is_file():
        decision = read_decision(paths.decision)
        console().print(f"last verdict: {escape(decision.headline)}")
    else:
        console().print("last verdict: none yet; make one with `ratchet run`")
