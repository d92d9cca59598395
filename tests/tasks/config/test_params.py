"""params.yaml: what is accepted, and what a mistake reads like."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.core.errors import MissingArtifactError, UsageError
from tasks.config.params import Params, load_params, parse_params

ROOT = Path(__file__).parents[3]


@pytest.fixture
def data() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    return loaded


def test_params_round_trip_through_json(data: dict[str, Any]) -> None:
    params = parse_params(data)
    assert Params.model_validate_json(params.model_dump_json(exclude_unset=True)) == params


def test_a_misspelt_key_names_its_path_and_the_nearest_right_one(data: dict[str, Any]) -> None:
    data["methods"]["full"]["learning_rat"] = 1e-5
    with pytest.raises(UsageError, match=r"methods\.full\.learning_rat; did you mean 'learning_rate'"):
        parse_params(data)


def test_a_misspelt_section_names_the_known_ones(data: dict[str, Any]) -> None:
    data["evaluatoin"] = data.pop("evaluation")
    with pytest.raises(UsageError, match="did you mean 'evaluation'"):
        parse_params(data)


def test_an_unknown_method_kind_names_the_accepted_set(data: dict[str, Any]) -> None:
    data["methods"]["full"]["kind"] = "fulll"
    with pytest.raises(UsageError, match=r"methods\.full\.kind = 'fulll': .*'full', 'lora' or 'qlora'"):
        parse_params(data)


@pytest.mark.parametrize("name", ["base", "champion", "../up", "A", "", "a b"])
def test_a_method_name_that_cannot_be_a_folder_is_refused(data: dict[str, Any], name: str) -> None:
    data["methods"][name] = data["methods"]["full"]
    with pytest.raises(UsageError, match="method name"):
        parse_params(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_learning_rate_that_is_no_number_is_refused(data: dict[str, Any], value: float) -> None:
    data["methods"]["full"]["learning_rate"] = value
    with pytest.raises(UsageError, match=r"methods\.full\.learning_rate"):
        parse_params(data)


def test_a_guard_without_a_margin_is_refused(data: dict[str, Any]) -> None:
    data["gate"]["rules"] = [{"suite": "golden", "metric": "json_exact", "kind": "guard"}]
    with pytest.raises(UsageError, match="a guard rule takes margin"):
        parse_params(data)


@pytest.mark.parametrize("margin", [0, -0.1])
def test_a_margin_that_is_not_positive_is_refused(data: dict[str, Any], margin: float) -> None:
    data["gate"]["rules"] = [{"suite": "golden", "metric": "json_exact", "kind": "guard", "margin": margin}]
    with pytest.raises(UsageError, match=r"gate\.rules\.0\.margin"):
        parse_params(data)


def test_remote_code_needs_a_pinned_revision(data: dict[str, Any]) -> None:
    data["model"] = {"id": "someone/model", "trust_remote_code": True}
    with pytest.raises(UsageError, match="trust_remote_code needs revision"):
        parse_params(data)


def test_adapter_settings_on_full_fine_tuning_are_refused(data: dict[str, Any]) -> None:
    data["methods"]["full"]["rank"] = 8
    with pytest.raises(UsageError, match="kind full takes no rank"):
        parse_params(data)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"kind": "qlora", "init_lora_weights": "pissa"}, "which 4-bit weights do not allow; use kind lora"),
        ({"kind": "lora", "init_lora_weights": "pissa", "use_dora": True}, "DoRA's magnitudes cannot become"),
        ({"kind": "lora", "init_lora_weights": "piza"}, "expected default, pissa or pissa_niter_N"),
        ({"kind": "full", "use_rslora": True}, "kind full takes no use_rslora"),
    ],
)
def test_an_adapter_that_cannot_be_trained_or_shipped_is_refused(
    data: dict[str, Any], settings: dict[str, Any], text: str
) -> None:
    data["methods"]["other"] = {"learning_rate": 1e-4, **settings}
    with pytest.raises(UsageError, match=rf"methods\.other.*{text}"):
        parse_params(data)


def test_a_missing_file_says_how_to_get_it_back(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match=r"git checkout params\.yaml"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["a: [", "- 1", "\x00", ""])
def test_a_file_that_is_no_mapping_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"params\.yaml"):
        load_params(path)


def test_a_harness_section_without_tasks_runs_the_public_benchmarks(data: dict[str, Any]) -> None:
    data["evaluation"]["harness"] = {}
    harness = parse_params(data).evaluation.harness
    assert set(harness.tasks) == {"mmlu_pro", "ifeval"}
    assert harness.data_root is None


@pytest.mark.parametrize(
    ("where", "task"), [("rules", "mmlu_pro"), ("rules", "ifeval"), ("compare", "mmlu_pro"), ("sequential", "ifeval")]
)
def test_without_a_harness_section_only_what_is_read_runs(data: dict[str, Any], where: str, task: str) -> None:
    del data["evaluation"]["harness"]
    data["gate"]["rules"] = [rule for rule in data["gate"]["rules"] if rule["suite"] == "golden"]
    assert parse_params(data).evaluation.harness.tasks == {}
    if where == "rules":
        data["gate"]["rules"].append({"suite": task, "metric": "exact_match", "kind": "guard", "margin": 0.1})
    elif where == "compare":
        data["compare"] = {"suite": task, "metric": "exact_match"}
    else:
        data["sequential"] = {"suites": [task]}
    tasks = parse_params(data).evaluation.harness.tasks
    assert list(tasks) == [task]
    assert tasks[task].apply_chat_template is (task == "ifeval")


@pytest.mark.parametrize(("suite", "metric", "other"), [
    ("harmbench", "attack_success", "xstest"), ("xstest", "over_refusal", "harmbench"),
])  # fmt: skip
def test_safety_is_not_gated_without_over_refusal(data: dict[str, Any], suite: str, metric: str, other: str) -> None:
    guard = {"kind": "guard", "margin": 0.05, "direction": "lower"}
    data["gate"]["rules"].append({"suite": suite, "metric": metric, **guard})
    with pytest.raises(UsageError, match=f"a rule on {suite} and none on {other}"):
        parse_params(data)

    data["gate"]["rules"].append({"suite": other, "metric": "m", **guard})
    assert parse_params(data).gate.rules[-1].suite == other


def seeds(**settings: dict[str, Any]) -> dict[str, Any]:
    return {name: {"kind": "lora", "learning_rate": 1e-4, **own} for name, own in settings.items()}


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_the_random_generators_do_not_take_is_refused_before_a_run(data: dict[str, Any], seed: int) -> None:
    data["methods"]["full"]["seed"] = seed
    with pytest.raises(UsageError, match=rf"methods\.full\.seed = {seed}"):
        parse_params(data)
    data["methods"]["full"]["seed"] = 2**32 - 1
    data["train"]["seed"] = seed
    with pytest.raises(UsageError, match=rf"train\.seed = {seed}"):
        parse_params(data)


def test_methods_that_differ_in_the_seed_alone_are_one_candidate(data: dict[str, Any]) -> None:
    data["methods"] |= seeds(l7={"seed": 7}, l8={"seed": 8}, other={"rank": 4, "seed": 7})
    params = parse_params(data)
    assert params.seed_sets == (("l7", "l8"),)
    assert params.num_candidates == len(data["methods"]) - 1
    assert [params.seeded(name).train.seed for name in ("l7", "l8", "full")] == [7, 8, params.train.seed]


def test_the_same_seed_twice_is_refused(data: dict[str, Any]) -> None:
    data["train"]["seed"] = 7
    data["methods"] |= seeds(l7={"seed": 7}, plain={})
    with pytest.raises(UsageError, match="methods l7 and plain have the same settings and the same seed; change one"):
        parse_params(data)


def test_equal_methods_that_name_no_seed_stay_as_they_were(data: dict[str, Any]) -> None:
    data["methods"] = seeds(one={}, two={})
    assert parse_params(data).num_candidates == 2


NUMBERS = [
    ("train", "batch_size"),
    ("prepare", "max_rows"),
    ("prepare", "dev_fraction"),
    ("evaluation", "golden", "max_new_tokens"),
    ("methods", "full", "epochs"),
    ("gate", "max_verdicts_per_set"),
    ("gate", "rules", 0, "min_items"),
    ("hardware", "price_per_hour"),
]


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("path", NUMBERS)
def test_a_truth_is_no_number(data: dict[str, Any], path: tuple[Any, ...], value: bool) -> None:
    inner: Any = data
    for key in path[:-1]:
        inner = inner.setdefault(key, {}) if isinstance(inner, dict) else inner[key]
    inner[path[-1]] = value
    said = re.escape(f"{'.'.join(map(str, path))} = {value}: expected a number, not true or false")
    with pytest.raises(UsageError, match=said):
        parse_params(data)


@pytest.mark.parametrize(
    ("path", "value", "form"),
    [
        (("methods", "full", "learning_rate"), "1,0e-5", "1.0e-5"),
        (("hardware", "price_per_hour"), "2,50", "2.50"),
        (("prepare", "max_rows"), "10,000", "10000"),
        (("gate", "rules", 0, "min_items"), "1,000", "1000"),
    ],
)
def test_a_number_with_a_comma_says_how_to_write_it(
    data: dict[str, Any], path: tuple[Any, ...], value: str, form: str
) -> None:
    inner: Any = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(UsageError, match=f"{path[-1]} = '{value}': .*a decimal point and without .*: {form}$"):
        parse_params(data)


def test_data_sets_are_named_by_their_ids_on_the_hub(data: dict[str, Any]) -> None:
    data["prepare"]["datasets"] = ["owner/rows", "other/rows.v2"]
    assert parse_params(data).prepare.datasets == ("owner/rows", "other/rows.v2")


@pytest.mark.parametrize("name", ["rows.jsonl", "https://hub/owner/rows", "owner/", "a b/c", "o/n\n", "ä/b"])
def test_what_is_no_id_of_a_data_set_is_refused(data: dict[str, Any], name: str) -> None:
    data["prepare"]["datasets"] = [name]
    with pytest.raises(UsageError, match=r"prepare\.datasets.*write OWNER/NAME"):
        parse_params(data)
