import re
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.files import write_json
from flows.cli.views.plan import plan_rows, show_plans
from tasks.paths import ArtifactPaths


def plan(**fields: Any) -> dict[str, Any]:
    memory = {
        "weights": 2**29, "gradients": 2**29, "optimizer": 2**30, "activations": 2**28,
        "logits": 2**27, "other": 2**29, "total": 4 * 2**30,
    }  # fmt: skip
    return {
        "schema_version": 2, "available_bytes_per_device": 8 * 2**30,
        "method": "full", "strategy": "one device", "parameters": 134_515_008,
        "trained_parameters": 4_884_480, "memory_bytes_per_device": memory,
        "checkpoint_bytes": 2**20, "disk_bytes": 3 * 2**20,
        "numerics": "fp32", "steps": 66, "tokens_per_epoch": 6315, "tokens": 18945, "tokens_per_second": 71.4,
        "bound_by": "computing", "seconds": 265.5, "cost": 0.00737, "currency": "USD",
        "warnings": ["86 examples: few"],
    } | fields  # fmt: skip


def test_every_quantity_has_its_unit() -> None:
    rows = {name.strip(): cells for name, cells in plan_rows([plan()])}
    assert rows["Memory needed at the worst moment"] == ["4.00 GiB"]
    assert rows["logits"] == ["0.12 GiB"]
    assert rows["optimizer states"] == ["1.00 GiB"]
    assert rows["Parameters trained"] == ["4,884,480 (3.6%)"]
    assert rows["Training time"] == ["4 min"]
    assert rows["Cost"] == ["0.00737 USD"]


def test_a_component_without_a_name_of_ours_is_shown_all_the_same() -> None:
    first = plan()
    first["memory_bytes_per_device"]["all_gather"] = 2**30
    rows = {name.strip(): cells for name, cells in plan_rows([first, plan()])}
    assert rows["all gather"] == ["1.00 GiB", "\N{EN DASH}"]


def test_the_table_shows_no_raw_field_name_and_every_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = ArtifactPaths(tmp_path)
    for name in ("full", "qlora"):
        write_json(paths.plan(name), plan(method=name))
    show_plans(paths, ["full", "qlora"])
    printed = capsys.readouterr().out
    assert not re.search(r"[a-z]_[a-z]", printed)
    assert "schema" not in printed
    assert printed.count("86 examples: few") == 2
