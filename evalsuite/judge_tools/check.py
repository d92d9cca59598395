"""Judges against people, on a file of labelled completions."""

from collections.abc import Sequence
from pathlib import Path

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_file, write_json
from evalsuite.judge_tools.agreement import Agreement, agreement_with_people
from evalsuite.judge_tools.labelled import LabelledCompletion, read_labelled, read_labelled_refusals
from evalsuite.judges.base import Judge, RefusalJudge
from evalsuite.judges.calibrated import SavedCalibration
from evalsuite.judges.choose import harm_judge
from evalsuite.judges.learned import LearnedRefusalJudge
from evalsuite.judges.settings import JudgeKind, JudgeSettings
from evalsuite.suites.behaviours import FILE_NAME, Behaviour, read_behaviours

RECORDED_SUFFIX = " (recorded)"
RUN_HERE = (JudgeKind.DEFAULT, JudgeKind.STRING_MATCHING)
"""Judges that need neither a GPU nor a server."""


def check_judges(
    labels: Path,
    judge: str | None,
    behaviours: Path | None,
    settings: JudgeSettings | None = None,
    save: Path | None = None,
) -> list[Agreement]:
    """Measure one judge, or all that can judge here and all whose verdicts the file has.

    Args:
        labels: HarmBench's JSON of labelled completions, or one of XSTest's CSV files.
        judge: A kind of ``JudgeKind``, or a judge with recorded verdicts in the file; all when None.
        behaviours: HarmBench's behaviours; looked for beside the labels when None.
        settings: Model, revision and address of a judge that needs them.
        save: Write the one judge's verdicts beside people's there, for ``calibration`` in its settings.

    Raises:
        UsageError: A file is malformed, no such judge, or not one judge to save.
    """
    settings = settings or JudgeSettings()
    if save is not None and (labels.suffix.lower() == ".csv" or judge is None):
        raise UsageError(
            "--save saves the verdicts of one judge of harm: name it with --judge, and give HarmBench's labels"
        )
    if labels.suffix.lower() == ".csv":
        return [_refusal_agreement(labels, judge)]
    rows = read_labelled(labels, _behaviours(labels, behaviours))
    recorded = sorted({name for row in rows for name in row.recorded})
    run = [kind.value for kind in (RUN_HERE if judge is None else JudgeKind) if judge in (None, kind.value)]
    shown = [name for name in recorded if judge in (None, name, f"{name}{RECORDED_SUFFIX}")]
    if judge in recorded and settings.model is None and judge not in {kind.value for kind in RUN_HERE}:
        run = []
    if not run and not shown:
        raise UsageError(
            f"no judge {judge!r}; judges: {', '.join(JudgeKind)}; with recorded verdicts in {labels}: "
            f"{', '.join(recorded) or 'none'}"
        )
    if save is not None and not run:
        raise UsageError(f"--save needs a judge that runs here; {judge!r} has only recorded verdicts: give --model too")
    results = []
    for name in run:
        asked = harm_judge(settings.model_copy(update={"kind": JudgeKind(name)}))
        verdicts = harm_verdicts(rows, asked)
        results.append(_harm_agreement(rows, asked, verdicts))
        if save is not None:
            _save(save, rows, asked, verdicts, labels)
    people = [_harm(row.harmful) for row in rows]
    groups, categories = [row.group for row in rows], [row.category for row in rows]
    for name in shown:
        said = [None if (value := row.recorded.get(name)) is None else _harm(value) for row in rows]
        results.append(agreement_with_people(f"{name}{RECORDED_SUFFIX}", "recorded", said, people, groups, categories))
    return results


def harm_agreement(rows: Sequence[LabelledCompletion], judge: Judge) -> Agreement:
    """A judge's agreement on HarmBench's labelled completions."""
    return _harm_agreement(rows, judge, harm_verdicts(rows, judge))


def harm_verdicts(rows: Sequence[LabelledCompletion], judge: Judge) -> list[str | None]:
    """A judge's label of each completion; None without a verdict."""
    verdicts = judge.judge([row.case for row in rows], f"{judge.name} judge")
    return [None if verdict.positive is None else _harm(verdict.positive) for verdict in verdicts]


def _save(
    path: Path, rows: Sequence[LabelledCompletion], judge: Judge, verdicts: Sequence[str | None], labels: Path
) -> None:
    pairs = tuple((said, _harm(row.harmful)) for row, said in zip(rows, verdicts, strict=True) if said is not None)
    if not pairs:
        raise UsageError(f"judge {judge.name} gave no verdict that can be read; nothing to save in {path}")
    source = f"{labels.name} {sha256_file(labels)[:12]}, {len(pairs)} of {len(rows)} with a verdict"
    write_json(path, SavedCalibration(judge=judge.name, version=judge.version, source=source, verdicts=pairs))


def _harm_agreement(rows: Sequence[LabelledCompletion], judge: Judge, verdicts: Sequence[str | None]) -> Agreement:
    return agreement_with_people(
        judge.name,
        judge.version,
        verdicts,
        [_harm(row.harmful) for row in rows],
        [row.group for row in rows],
        [row.category for row in rows],
    )


def _refusal_agreement(labels: Path, name: str | None) -> Agreement:
    if name not in (None, "default"):
        raise UsageError(f"no judge of refusals {name!r}; judges: default")
    rows = read_labelled_refusals(labels)
    judge: RefusalJudge = LearnedRefusalJudge()
    kinds = judge.refusals([row.case for row in rows], "refusals")
    return agreement_with_people(
        "refusal default",
        judge.version,
        [None if kind is None else str(kind) for kind in kinds],
        [str(row.refusal) for row in rows],
        [row.group for row in rows],
        [row.category for row in rows],
    )


def _harm(harmful: bool) -> str:
    return "harmful" if harmful else "harmless"


def _behaviours(labels: Path, given: Path | None) -> dict[str, Behaviour]:
    if given is not None:
        return read_behaviours(given)
    for folder in (labels.parent, labels.parent.parent / "harmbench"):
        if (folder / FILE_NAME).is_file():
            return read_behaviours(folder)
    raise UsageError(f"no {FILE_NAME} beside {labels}; name it with --behaviours")
