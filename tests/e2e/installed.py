"""The package as its users have it: a wheel, built from this checkout and unpacked over the same dependencies."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAYS_SO = "raise SystemExit('a folder of the user was imported in place of the package')\n"
"""For packages of the user that have the names of ours."""

SCRIPT = """#!{python}
import sys
from {module} import main
if __name__ == "__main__":
    sys.exit(main())
"""
"""What pip writes for a command."""


def build_wheel(folder: Path) -> Path:
    """`pip wheel`, which calls the same back end as `python -m build --wheel` does."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(command, cwd=folder, check=True)
    (wheel,) = folder.glob("ratchet_ft-*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """An environment with nothing but the wheel, over the packages that it depends on; its folder of commands."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "dependencies.pth").write_text(f"{dependencies()}\n")
    commands = folder / "bin"
    for name, module in (("ratchet", "flows.cli.__main__"), ("dvc", "dvc.cli")):
        script = commands / name
        script.write_text(SCRIPT.format(python=commands / "python", module=module))
        script.chmod(0o755)
    return commands


def dependencies() -> Path:
    """The site-packages that hold what the package depends on."""
    import pydantic

    return Path(pydantic.__file__).parents[1]


def environment(commands: Path) -> dict[str, str]:
    """What a user's shell has after `source bin/activate`: nothing of this checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DVC_", "PREFECT_"))}
    return {**kept, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "GIT_CONFIG_GLOBAL": os.devnull}
