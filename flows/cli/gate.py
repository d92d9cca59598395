"""``ratchet gate``: decide, simulate, plan for power and replay."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from evalsuite.core.errors import UsageError
from flows.cli.project import check_own_file, project_root

gate_app = typer.Typer(no_args_is_help=True, help="Decide on existing results.")


@gate_app.command("check")
def gate_check() -> None:
    """Exit with the present decision's verdict: 0 promote, 1 reject, 3 inconclusive; 2 when it is out of date."""
    from flows.cli.views.decision import show_verdict
    from tasks.paths import ArtifactPaths
    from tasks.pipeline.runner import pending_stages

    root = project_root()
    paths = ArtifactPaths(root)
    stale = {item.name: item.reason for item in pending_stages(root)}
    if "gate" in stale and not paths.decision.is_file():
        raise UsageError("there is no decision yet; make one with `ratchet run`")
    if "gate" in stale:
        raise UsageError(
            f"the decision is out of date: its inputs changed ({stale['gate']}); make it again with `ratchet run`"
        )
    raise typer.Exit(show_verdict(paths))


@gate_app.command("compare")
def gate_compare(
    baseline: Annotated[Path, typer.Option(help="items.parquet, CSV, JSONL or lm-eval samples of the present model.")],
    candidate: Annotated[Path, typer.Option(help="The same for the model that would replace it.")],
    policy: Annotated[Path, typer.Option(help="YAML with the rules, as in params.yaml's gate section.")],
    suite: Annotated[Optional[str], typer.Option(help="Name of the suite in a CSV or JSONL file.")] = None,  # noqa: UP045  typer
    noise: Annotated[Optional[Path], typer.Option(help="A file that `gate noise --json` wrote.")] = None,  # noqa: UP045
    json_out: Annotated[Optional[Path], typer.Option("--json", help="Write the decision here.")] = None,  # noqa: UP045
) -> None:
    """Decide between two result files, wherever they were made; exits with the verdict's code."""
    from evalsuite.core.files import check_target, write_json
    from evalsuite.gate_tools.noise import read_noise
    from evalsuite.records.evidence import compare_files, load_policy
    from flows.cli.views.decision import show_decision

    if json_out is not None:
        check_target(json_out)
    rules = load_policy(policy)
    if noise is not None:
        rules = rules.model_copy(update={"noise": read_noise(noise).floors | rules.noise})
    decision = compare_files(baseline, candidate, rules, suite)
    if json_out is not None:
        write_json(json_out, decision)
    show_decision(decision)
    raise typer.Exit(int(decision.verdict.exit_code))


@gate_app.command("noise")
def gate_noise(
    a: Annotated[Path, typer.Option("--a", help="An evals/MODEL folder.")],
    b: Annotated[list[Path], typer.Option("--b", help="Another evaluation of the same model; may be repeated.")],
    json_out: Annotated[Optional[Path], typer.Option("--json", help="Write the floors here.")] = None,  # noqa: UP045
) -> None:
    """Measure how far repeated evaluations of one model lie apart; the decision warns of a smaller margin.

    Make the repeats with another evaluation.batch_tokens and with evaluation.cache: false, since kept answers are
    not computed again, and copy evals/MODEL away in between.
    """
    from evalsuite.core.errors import UsageError
    from evalsuite.core.files import write_json
    from evalsuite.gate_tools.noise import measure_noise
    from evalsuite.records.evidence import load_evidence
    from flows.cli.views.gate import show_noise

    paths = (a, *b)
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError(
            f"{', '.join(str(path) for path in paths)}: the same folder appears twice; give "
            "another evaluation of the model, made with another evaluation.batch_tokens and evaluation.cache: false"
        )
    noise = measure_noise([load_evidence(path, path.name) for path in paths])
    show_noise(noise)
    if json_out is not None:
        write_json(json_out, noise)


@gate_app.command("simulate")
def gate_simulate(
    answers: Annotated[Path, typer.Option(help="CSV: question_id, category, answer, then one column per model.")],
    margin: Annotated[float, typer.Option(min=1e-6, max=0.5, help="Largest loss that is accepted (accuracy).")] = 0.02,
    alpha: Annotated[float, typer.Option(min=1e-6, max=0.499, help="One-sided error.")] = 0.05,
    max_items: Annotated[Optional[int], typer.Option(min=2, help="The most items that a rule may use.")] = None,  # noqa: UP045
    pairs: Annotated[str, typer.Option(help="within:X takes pairs with accuracies at most X apart.")] = "within:0.06",
    repetitions: Annotated[Optional[int], typer.Option(min=1, help="Random orders per pair.")] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random orders.")] = 0,
    json_out: Annotated[Optional[Path], typer.Option("--json", help="Write the table here.")] = None,  # noqa: UP045
) -> None:
    """Measure how often Ratchet and other rules err on recorded answers of real models, and the items they need."""
    from evalsuite.core.files import check_target, write_json
    from evalsuite.gate_tools.simulate import Setting, as_json, read_answers, simulate
    from flows.cli.views.gate import progress, show_simulation

    if json_out is not None:
        check_target(json_out)
    kind, _, width = pairs.partition(":")
    try:
        within = float(width)
    except ValueError:
        within = -1.0
    if kind != "within" or not 0.0 <= within <= 1.0:
        raise UsageError(f"--pairs is {pairs!r}, expected within:X with X from 0 to 1, such as within:0.06")
    setting = Setting(margin, alpha, within, max_items, repetitions, seed)
    with progress() as tell:
        result = simulate(read_answers(answers), setting, tell)
    show_simulation(result)
    if json_out is not None:
        write_json(json_out, as_json(result))


@gate_app.command("power")
def gate_power(
    policy: Annotated[Optional[Path], typer.Option(help="YAML with the rules; by default params.yaml's.")] = None,  # noqa: UP045
    discordance: Annotated[
        Optional[float],  # noqa: UP045  typer
        typer.Option(min=0.0, max=1.0, help="Share of items on which models differ, where no earlier results exist."),
    ] = None,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="Also estimate the sequential test's items from recorded results.")
    ] = False,
    json_out: Annotated[Optional[Path], typer.Option("--json", help="Write the table here.")] = None,  # noqa: UP045
) -> None:
    """Show what each rule can prove on the available items, before a run; loads no model."""
    from tasks.config.params import load_params
    from tasks.paths import ArtifactPaths

    here = Path.cwd()
    paths = ArtifactPaths(project_root())
    params = load_params(paths.params)  # before what takes seconds to import
    from evalsuite.core.files import write_json
    from evalsuite.gate_tools.power import ASSUMED_DISCORDANCE
    from evalsuite.records.evidence import load_policy
    from flows.cli.views.gate import show_power
    from tasks.preflight.power import plan

    rules = params.gate if policy is None else load_policy(here / policy)
    share = ASSUMED_DISCORDANCE if discordance is None else discordance
    found = plan(rules, params, paths, discordance=share, sequential=sequential)
    show_power(found.rules, found.impossible, (*found.waits, *found.cautions))
    if json_out is not None:
        write_json(
            here / json_out,
            {
                "schema_version": 1,
                "rules": [rule.model_dump(mode="json") for rule in found.rules],
                "impossible": list(found.impossible),
                "waits": list(found.waits),
                "cautions": list(found.cautions),
            },
        )
    if found.impossible:
        raise UsageError("this policy can never say PROMOTE: " + "; ".join(found.impossible))


@gate_app.command("replay")
def gate_replay(
    decision: Annotated[str | None, typer.Argument(help="Id or its first characters; the latest by default.")] = None,
    json_out: Annotated[Optional[Path], typer.Option("--json", help="Write the decision here.")] = None,  # noqa: UP045
    verdict: Annotated[
        bool, typer.Option("--verdict", help="Exit with the verdict's code, as `gate check` does.")
    ] = False,
) -> None:
    """Recompute a stored decision from its stored item results; name the field that differs."""
    from evalsuite.core.files import write_json
    from evalsuite.gate.replay import read_record, replay
    from flows.cli.views.decision import show_decision
    from tasks.paths import ArtifactPaths
    from tasks.registry.decisions import SUFFIX, check_last, check_params, find_decision

    if json_out is not None:
        json_out = json_out.absolute()  # before the process moves to the project's root
        check_own_file(json_out)
    paths = ArtifactPaths(project_root())
    path = find_decision(paths, decision)
    record = read_record(path)
    wanted, stored = decision or path.name.removesuffix(SUFFIX), record.decision.decision_id
    if not stored.startswith(wanted):
        raise UsageError(f"{path} holds decision {stored}, not {wanted}; `ratchet history` lists the verdicts")
    if verdict and decision is None:
        check_last(paths, stored)
        check_params(paths, record)
    again = replay(record)
    if json_out is not None:
        write_json(json_out, again)
    show_decision(again, num_reasons=3)
    typer.echo(f"\nreplayed {again.decision_id[:16]}: every field is what the stored items give")
    if verdict:
        raise typer.Exit(int(again.verdict.exit_code))
