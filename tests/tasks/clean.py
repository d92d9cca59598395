"""A contamination report that finds nothing, for projects that are made by hand."""

from evalsuite.contamination.overlap import ContaminationReport, SuiteFinding
from evalsuite.core.files import write_json
from tasks.paths import ArtifactPaths


def write_clean(paths: ArtifactPaths, *suites: str) -> None:
    """Write reports/contamination.json with no contaminated item."""
    found = tuple(
        SuiteFinding(suite=suite, run_words=13, num_items=1, num_contaminated=0, items=()) for suite in suites
    )
    report = ContaminationReport(train_sha256="0" * 64, num_rows=1, max_fraction=0.1, suites=found)
    write_json(paths.contamination, report)
