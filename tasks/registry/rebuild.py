"""champion.json, damaged or lost, made again from the ledger.

Run:  python -m tasks.registry.rebuild
"""

from tasks.registry.champion import rebuild, shortened
from tasks.stage import ended

if __name__ == "__main__":
    raise SystemExit(ended(lambda paths: f"champion: {shortened(rebuild(paths))}"))
