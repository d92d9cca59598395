"""Which champion this run is judged against.

It is the present champion, unless that one came from these very inputs: then it is the one before it. So a promotion
does not make its own run look out of date, and whoever runs the same inputs later gets the same decision again.
"""

from pathlib import Path

from evalsuite.core.files import sha256_file, sha256_json, write_json
from tasks.config.params import DECIDING, Params
from tasks.installed.code import PACKAGES, watched_stages
from tasks.paths import CODE_FOLDER, ArtifactPaths
from tasks.pin import read_pin
from tasks.registry.champion import Champion, derive, read_champion
from tasks.registry.ledger import Event, ledger_path, read_ledger

DATA = ("data/raw", "data/suites", "golden_sets")
CODE_SUFFIXES = (".py", ".jinja", ".css")


def run(params: Params, paths: ArtifactPaths) -> None:
    """Write plans/baseline.json.

    Raises:
        UsageError: The registry is damaged.
    """
    inputs = inputs_sha256(params, paths.root)
    champion = read_champion(paths)
    if champion is not None and champion.inputs_sha256 == inputs:
        champion = _predecessor(champion, paths)
    pin = {
        "schema_version": 1,
        "inputs_sha256": inputs,
        "champion": champion.model_dump(mode="json", exclude={"ledger_sequence"}) if champion else None,
        "params": params.deciding(),
    }
    write_json(paths.baseline_pin, pin)


def inputs_sha256(params: Params, root: Path) -> str:
    """Hash of what the run's outputs depend on: params sections, data, golden sets, code, inputs from outside."""
    sections = params.model_dump(mode="json", include=set(DECIDING))
    data = {path: sha256_file(root / path) for folder in DATA for path in _files(root, folder, None)}
    is_watched = bool(watched_stages(ArtifactPaths(root)))  # then a `tasks` of this folder is not ours
    folders, suffixes = ((CODE_FOLDER,), None) if is_watched else (PACKAGES, CODE_SUFFIXES)
    code = {path: sha256_file(root / path) for folder in folders for path in _files(root, folder, suffixes)}
    outside = {path: sha256_file(root / path) for path in _files(root, "plans/inputs", None)}
    return sha256_json({"params": sections, "data": data, "code": code, "outside": outside})


def _files(root: Path, folder: str, suffixes: tuple[str, ...] | None) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix()
        for path in (root / folder).rglob("*")
        if path.is_file() and (suffixes is None or path.suffix in suffixes)
    )


def _predecessor(champion: Champion, paths: ArtifactPaths) -> Champion | None:
    """The champion that was there when this one was promoted."""
    entries = read_ledger(ledger_path(paths))
    promoted = next(e for e in reversed(entries) if e.event is Event.PROMOTE and e.identity == champion.identity)
    return derive(entries, before_sequence=promoted.sequence)


def describe(paths: ArtifactPaths) -> str:
    """Whom the run is judged against, and why it is not the present champion where it is not."""
    pinned, champion = read_pin(paths).champion, read_champion(paths)
    if champion is None:
        return "judged against the base model alone: there is no champion"
    if pinned is None:
        return (
            f"judged against the base model alone: the champion {champion.identity[:16]} came from these very inputs, "
            "and there was none before it"
        )
    if pinned.identity != champion.identity:
        return (
            f"judged against champion {pinned.identity[:16]}: the present one, {champion.identity[:16]}, came from "
            "these very inputs"
        )
    return f"judged against champion {pinned.identity[:16]}"


Sections = Params


def stage(params: Params, paths: ArtifactPaths) -> str:
    """Do the work; returns its summary."""
    run(params, paths)
    return describe(paths)
