"""One suite on any model."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import read_json, sha256_file, write_json
from evalsuite.items.results import read_result
from evalsuite.suites.golden_set.check import new_set
from evalsuite.suites.over_refusal import XSTestSuite
from evalsuite.suites.perplexity import PerplexitySuite
from tasks.config.model import ModelParams
from tasks.config.params import Params, load_params
from tasks.evaluation import model as evaluation
from tasks.evaluation.one_suite import evaluate, find_model, suite_named
from tasks.paths import ArtifactPaths

NUM_ITEMS = 6


def make_project(root: Path, tiny_model: Path, **evaluation: Any) -> tuple[Params, ArtifactPaths]:
    """params.yaml, a golden set and the base model's export."""
    golden = root / "golden_sets/own"
    golden.mkdir(parents=True)
    rows = [
        {
            "id": f"t{n}",
            "messages": [{"role": "user", "content": f"Where is order {n}?"}],
            "references": ["here"],
            "metrics": ["contains"],
        }
        for n in range(NUM_ITEMS)
    ]
    path = golden / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    about = {"schema_version": 1, "name": "own", "version": "1", "licence": "x", "source": "x"}
    entry = {"test.jsonl": {"sha256": sha256_file(path), "n": NUM_ITEMS}}
    write_json(golden / "manifest.json", {**about, "files": entry})
    params = {
        "model": {"id": str(tiny_model)},
        "prepare": {"sources": ["x.jsonl"]},
        "methods": {"full": {"kind": "full", "learning_rate": 1e-5}},
        "evaluation": {
            "golden": {"path": str(golden), "max_new_tokens": 6},
            "harness": {"tasks": {}},
            **evaluation,
        },
        "gate": {"rules": [{"suite": "golden", "metric": "contains", "kind": "guard", "margin": 0.1}]},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (root / "dvc.yaml").write_text("stages: {}\n")
    shutil.copytree(tiny_model, root / "models/base/export")
    return load_params(root / "params.yaml"), ArtifactPaths(root)


def test_a_folder_and_a_model_of_the_pipeline_give_the_same_items(tmp_path: Path, tiny_model: Path) -> None:
    params, paths = make_project(tmp_path, tiny_model)
    first = evaluate("base", "golden", params, paths)
    second = evaluate(str(tiny_model), "golden", params, paths, output=tmp_path / "out")
    assert first is not None
    assert second is not None
    assert first[0].items == second[0].items
    assert second[1] == tmp_path / "out"
    assert read_result(tmp_path / "out").items == first[0].items


def test_a_second_run_differs_only_in_what_was_cached(tmp_path: Path, tiny_model: Path) -> None:
    params, paths = make_project(tmp_path, tiny_model)
    summaries = [done[0].summary() for _ in range(2) if (done := evaluate("base", "golden", params, paths))]
    assert [summary.answers.num_cached for summary in summaries] == [0, NUM_ITEMS]
    left, right = (summary.model_dump(exclude={"seconds", "answers"}) for summary in summaries)
    assert left == right
    uncached = params.evaluation.model_copy(update={"cache": False})
    again = evaluate("base", "golden", params.model_copy(update={"evaluation": uncached}), paths)
    assert again is not None
    assert again[0].summary().answers.num_cached == 0
    assert again[0].summary().model_dump(exclude={"seconds", "answers"}) == left


def test_the_stage_asks_nothing_that_the_command_asked(tmp_path: Path, tiny_model: Path) -> None:
    params, paths = make_project(tmp_path, tiny_model)
    evaluate("base", "golden", params, paths, limit=2)
    (summary,) = evaluation.run("base", params.evaluation, paths)
    assert (summary.answers.num_asked, summary.answers.num_cached) == (NUM_ITEMS, 2)
    first = read_json(paths.evals("base") / "costs.json", "x")["eval_seconds"]
    (again,) = evaluation.run("base", params.evaluation, paths)
    assert again.answers.num_cached == NUM_ITEMS
    assert again.seconds > 0.3 * summary.seconds
    assert read_json(paths.evals("base") / "costs.json", "x")["eval_seconds"] > 0.3 * first


def test_changed_weights_are_another_model(tmp_path: Path, tiny_model: Path) -> None:
    from demo.tiny_model import make_tiny_model

    params, paths = make_project(tmp_path, tiny_model)
    evaluate("base", "golden", params, paths)
    other = evaluate(str(make_tiny_model(tmp_path / "other", seed=1)), "golden", params, paths)
    assert other is not None
    assert other[0].answers.num_cached == 0


def test_limit_takes_the_first_items(tmp_path: Path, tiny_model: Path) -> None:
    params, paths = make_project(tmp_path, tiny_model)
    done = evaluate("base", "golden", params, paths, limit=3)
    assert done is not None
    assert [item.item_id for item in done[0].items] == ["t0", "t1", "t2"]


def test_endless_and_empty_answers_are_counted_and_scored(tmp_path: Path, tiny_model: Path) -> None:
    params, paths = make_project(tmp_path, tiny_model)
    done = evaluate("base", "golden", params, paths)
    assert done is not None
    counts = done[0].answers
    assert counts.num_cut == sum(item.num_output_tokens == 6 for item in done[0].items)
    assert counts.num_empty == sum(not item.output.strip() for item in done[0].items)
    assert done[0].summary().metrics[0].n == NUM_ITEMS


@pytest.mark.parametrize("policy", ["refuse", "unscored"])
def test_a_prompt_longer_than_the_context_is_never_cut(tmp_path: Path, tiny_model: Path, policy: str) -> None:
    params, paths = make_project(tmp_path, tiny_model, long_prompts=policy)
    golden = params.evaluation.golden.model_copy(update={"max_new_tokens": 1015})
    evaluation = params.evaluation.model_copy(update={"golden": golden})
    params = params.model_copy(update={"evaluation": evaluation})
    if policy == "refuse":
        with pytest.raises(UsageError, match=r"do not fit the model's context of 1024; .*evaluation\.long_prompts"):
            evaluate("base", "golden", params, paths)
        return
    done = evaluate("base", "golden", params, paths)
    assert done is not None
    (metric,) = done[0].summary().metrics
    assert (metric.n, metric.unscored, metric.mean) == (0, NUM_ITEMS, None)
    assert done[0].answers.num_refused == NUM_ITEMS
    assert "context of 1024" in (done[0].items[0].unscored or "")


def test_a_model_without_a_chat_template_says_what_to_set(tmp_path: Path, tiny_model: Path) -> None:
    params, paths = make_project(tmp_path, tiny_model)
    bare = shutil.copytree(tiny_model, tmp_path / "bare", ignore=shutil.ignore_patterns("chat_template*", "manifest*"))
    config = json.loads((bare / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (bare / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"no chat template; name a Jinja file in model\.chat_template"):
        evaluate(str(bare), "golden", params, paths)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param("./nowhere", "no such folder", id="folder"),
        pytest.param("package:not_there", "no package 'not_there' is installed", id="package"),
        pytest.param("owner/name", "name a commit as owner/name@REVISION", id="hub"),
    ],
)
def test_a_model_that_does_not_exist_is_named(tmp_path: Path, tiny_model: Path, model: str, message: str) -> None:
    params, paths = make_project(tmp_path, tiny_model)
    with pytest.raises(UsageError, match=message):
        find_model(model, params, paths)


def test_a_method_that_was_not_trained_names_its_stage(tmp_path: Path, tiny_model: Path) -> None:
    params, paths = make_project(tmp_path, tiny_model)
    with pytest.raises(MissingArtifactError, match="train@full"):
        find_model("full", params, paths)


def test_a_task_of_the_data_root_needs_no_line_in_params_and_no_other_suite_s_files(
    tmp_path: Path, tiny_model: Path
) -> None:
    root = tmp_path / "benchmarks"
    (root / "crows_pairs_english").mkdir(parents=True)
    (root / "crows_pairs_english/test.jsonl").write_text('{"sent_more": "a", "sent_less": "b", "bias_type": "age"}\n')
    new_set(root)
    harness = {"tasks": {}, "data_root": str(root)}
    params, paths = make_project(tmp_path, tiny_model, harness=harness, bbq={"data": "not_there"})
    done = evaluate("base", "crows_pairs_english", params, paths)
    assert done is not None
    assert [item.slices for item in done[0].items] == [{"bias_type": "age"}]


def test_limit_shortens_every_suite_that_has_one_and_no_longer_than_params_say(
    tmp_path: Path, tiny_model: Path
) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"id": str(n), "text": f"Order {n} is late."}) + "\n" for n in range(9)))
    prompts = tmp_path / "xstest_prompts.csv"
    prompts.write_text(
        "id,prompt,type,label\n" + "".join(f"{n},How do I kill process {n}?,homonyms,safe\n" for n in range(9))
    )
    params, _ = make_project(
        tmp_path, tiny_model, perplexity={"path": str(texts), "limit": 3}, xstest={"data": str(prompts), "limit": 6}
    )
    perplexity = suite_named("perplexity", params, 5)
    assert isinstance(perplexity, PerplexitySuite)
    assert [item.id for item in perplexity.items] == ["0", "1", "2"]
    xstest = suite_named("xstest", params, 4)
    assert isinstance(xstest, XSTestSuite)
    assert list(xstest.prompts) == ["0", "2", "4", "6"]


def test_a_place_where_no_result_can_be_written_is_refused_before_anything_is_asked(
    tmp_path: Path, tiny_model: Path
) -> None:
    params, paths = make_project(tmp_path, tiny_model)
    (tmp_path / "taken").write_text("x")
    with pytest.raises(UsageError, match=r"taken is a file; name a file in a folder"):
        evaluate("base", "golden", params, paths, output=tmp_path / "taken")
    assert not paths.eval_cache.exists()


@pytest.mark.parametrize("name", ["harmbench", "xstest", "perplexity", "bertscore"])
def test_a_suite_without_its_section_is_said_to_be_off(name: str, tmp_path: Path, tiny_model: Path) -> None:
    params, _ = make_project(tmp_path, tiny_model)
    with pytest.raises(UsageError, match=f"suite '{name}' is off: params.yaml has no evaluation.{name}"):
        suite_named(name, params, 2)


DATED = "{{ strftime_now('%Y-%m-%d') }}{% for m in messages %}{{ m.content }}{% endfor %}"


def test_a_folder_whose_template_writes_the_date_is_asked_with_the_project_s_date(
    tmp_path: Path, tiny_model: Path
) -> None:
    params, paths = make_project(tmp_path, tiny_model)
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other, ignore=shutil.ignore_patterns("manifest.json"))
    (other / "chat_template.jinja").write_text(DATED)
    with pytest.raises(UsageError, match=r"writes today's date.*model\.chat_template_date"):
        evaluate(str(other), "golden", params, paths)
    dated = params.model_copy(update={"model": ModelParams(id=params.model.id, chat_template_date="2026-01-31")})
    found = find_model(str(other), dated, paths)
    assert (found.folder / "chat_template.jinja").read_text().endswith(DATED)
    done = evaluate(str(other), "golden", dated, paths)
    assert done is not None
    assert done[0].info.model_identity == found.identity
    assert find_model(str(other), params, paths).folder == other
    assert find_model(str(tiny_model), dated, paths).folder == tiny_model
