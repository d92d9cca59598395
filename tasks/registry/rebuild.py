"""champion.json, damaged or lost, made again from the ledger.

Run:  python -P -m tasks.registry.rebuild     (in the project; no folder `tasks` there hides this one)
"""

import sys
from pathlib import Path

from evalsuite.core.errors import RatchetError
from tasks.paths import ArtifactPaths
from tasks.registry.champion import rebuild, shortened

if __name__ == "__main__":
    try:
        print(f"champion: {shortened(rebuild(ArtifactPaths(Path())))}")
    except RatchetError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(int(error.exit_code)) from None
