"""What ``ratchet data forget`` and ``ratchet data forgotten`` print; no text of a row is among it."""

import json
from collections.abc import Mapping
from pathlib import Path

from flows.cli.views.console import broken, console, escape, proven, table
from tasks.lineage.forget import PREPARE, Found
from tasks.lineage.proof import Proof, SeenVersion

SHOWN = 20


def show_forgotten(proof: Proof, found: Found, path: Path | None, as_json: bool) -> None:
    """Print which rows are forgotten, and what saw them."""
    if as_json:
        written = {"proof": path.as_posix() if path else None, "alike": list(found.alike)}
        print(json.dumps(written | proof.model_dump(mode="json"), indent=2, ensure_ascii=False))
        return
    page = console()
    rows = _rows(len(proof.contents))
    if len(proof.sources) > len(proof.contents):
        rows += f" (of {_rows(len(proof.sources))} in the sources that say the same)"
    page.print(f"{rows} would be forgotten; nothing was written" if path is None else f"{rows} forgotten")
    for content in proof.contents[:SHOWN]:
        page.print(f"  content {content}")
    if len(proof.contents) > SHOWN:
        page.print(f"  and {len(proof.contents) - SHOWN:,} more")
    _show_versions(proof)
    _show_models(proof)
    for line in proof.unknown:
        page.print(f"not looked at: {escape(line)}")
    if found.alike:
        page.print(
            f"\n{len(found.alike):,} other rows were dropped as like one of these, and one of them may take its place: "
            f"{escape(', '.join(found.alike[:3]))}{' ...' if len(found.alike) > 3 else ''}; --alike forgets them too"
        )
    if proof.sources:
        listed = ", ".join(proof.sources[:5]) + (
            f" and {len(proof.sources) - 5:,} more" if len(proof.sources) > 5 else ""
        )
        page.print(
            f"\nstill in the sources: {escape(listed)}. Removing it there, from DVC's cache and remote and from git's "
            f"history is yours to do; the list {'would keep' if path is None else 'keeps'} it out of the data meanwhile"
        )
    if path is not None:
        page.print(f"\nproof: {escape(path.as_posix())}")
        page.print(
            f"next: `{PREPARE}`, then `ratchet data forgotten`, which completes the proof; `ratchet run` trains "
            "without it; commit data/forgotten.jsonl and registry/forgotten"
        )


def _show_versions(proof: Proof) -> None:
    page = console()
    if not proof.versions:
        page.print("\nno version of the data that could be looked at has it")
        return
    page.print()
    versions = table(
        "version of the data", "trained on", "dev", "left out", "methods", right={"trained on", "dev", "left out"}
    )
    for each in proof.versions:
        numbers = (each.num_trained, each.num_dev, each.num_left_out)
        versions.add_row(_version(each), *(f"{number:,}" for number in numbers), escape(", ".join(each.methods)))
    page.print(versions)


def _version(version: SeenVersion) -> str:
    commits = ", ".join(sha[:12] for sha in version.commits[:3])
    more = f" and {len(version.commits) - 3} more commits" if len(version.commits) > 3 else ""
    names = [*(["present"] if version.is_present else []), *([f"{commits}{more}"] if commits else [])]
    return "; ".join(names) or f"history {version.trail_md5[:12]}"


def _show_models(proof: Proof) -> None:
    page = console()
    if not proof.models:
        page.print("\nno model that the gate judged was trained on it")
        return
    page.print()
    models = table("model that saw it", "identity", "verdict", "when", "now")
    for each in proof.models:
        now = "the champion" if each.is_champion else "was promoted" if each.was_promoted else "never promoted"
        models.add_row(escape(each.method), each.identity[:16], escape(each.verdict), escape(each.recorded_at), now)
    page.print(models)


def show_proofs(proofs: Mapping[Path, Proof], as_json: bool) -> None:
    """Print every proof, and whether the present data is rid of its rows."""
    if as_json:
        print(
            json.dumps(
                [{"proof": path.as_posix()} | proof.model_dump(mode="json") for path, proof in proofs.items()],
                indent=2,
                ensure_ascii=False,
            )
        )
        return
    page = console()
    if not proofs:
        page.print("nothing was forgotten; `ratchet data forget ROW --reason TEXT` does it")
        return
    listed = table("when", "by", "why", "rows", "models that saw it", "gone from the data", right={"rows"})
    for proof in proofs.values():
        champions = [model.identity[:16] for model in proof.models if model.is_champion]
        models = f"{len(proof.models)}" + (f", champion {', '.join(champions)}" if champions else "")
        gone = f"{proven()} since {proof.gone.when}" if proof.gone else f"{broken()} not yet"
        listed.add_row(
            escape(proof.when), escape(proof.by), escape(proof.why), f"{len(proof.contents):,}", models, gone
        )
    page.print(listed)
    if any(proof.gone is None for proof in proofs.values()):
        page.print(f"\nthe present data still has rows of some; `{PREPARE}` leaves them out, then look again")


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
