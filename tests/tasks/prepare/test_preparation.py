"""The prepare stage, with a tiny tokenizer."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import MissingArtifactError, UsageError
from tasks.config.params import Params, parse_params
from tasks.config.prepare import PrepareParams
from tasks.config.train import Answers
from tasks.data.formats import Row, read_rows
from tasks.paths import ArtifactPaths
from tasks.preflight.base_model import check_first_rows
from tasks.prepare.preparation import run
from tasks.prepare.report import summary
from tasks.prepare.sources import check_sources
from tasks.training.rows.examples import read_examples
from tests.tasks.prepare.project import new_project
from tests.tasks.training.templates import GEMMA, QWEN_3
from tests.tasks.training.tool_templates import QWEN_TOOLS


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return new_project(tmp_path, tiny_model)


def write(paths: ArtifactPaths, rows: list[Any], name: str = "rows.jsonl") -> PrepareParams:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (paths.root / "data/raw" / name).write_text("".join(line + "\n" for line in lines))
    return PrepareParams(sources=(f"data/raw/{name}",), dev_fraction=0.2)


def pairs(count: int) -> list[dict[str, str]]:
    return [{"prompt": f"question {number}", "completion": f"answer {number}"} for number in range(count)]


def test_every_row_is_accounted_for(project: ArtifactPaths) -> None:
    rows = [
        *pairs(30),
        {"prompt": "  question  3 ", "completion": "answer\n3"},
        {"prompt": "where is row THREE", "completion": "x"},
    ]
    report = run(write(project, rows), project)
    dropped = {reason: entry["count"] for reason, entry in report["dropped"].items()}
    assert dropped == {"duplicate": 1, "appears in a golden or test set": 1}
    assert report["splits"]["train"]["rows"] + report["splits"]["dev"]["rows"] + sum(dropped.values()) == len(rows)
    assert (
        "same text as golden_sets/g/test.jsonl#t1" in report["dropped"]["appears in a golden or test set"]["first"][0]
    )


def test_the_same_rows_give_the_same_bytes(project: ArtifactPaths) -> None:
    params = write(project, pairs(40))
    run(params, project)
    before = {path.name: path.read_bytes() for path in project.prepared.iterdir()}
    run(params, project)
    assert before == {path.name: path.read_bytes() for path in project.prepared.iterdir()}


def test_too_many_bad_rows_stop_the_stage_and_leave_the_old_output(project: ArtifactPaths) -> None:
    run(write(project, pairs(40)), project)
    before = (project.prepared / "train.jsonl").read_bytes()
    with pytest.raises(UsageError, match=r"2 of 42 rows are bad.*\n  data/raw/rows\.jsonl:41: not JSON"):
        run(write(project, [*pairs(40), "{", "[]"]), project)
    assert (project.prepared / "train.jsonl").read_bytes() == before


def test_a_few_bad_rows_are_reported_with_file_line_and_reason(project: ArtifactPaths) -> None:
    params = write(project, [*pairs(40), "{"]).model_copy(update={"max_bad_fraction": 0.1})
    assert run(params, project)["bad_rows"]["first"][0].startswith("data/raw/rows.jsonl:41: not JSON")


def test_long_rows_are_dropped_and_counted(project: ArtifactPaths) -> None:
    params = write(project, [*pairs(20), {"prompt": "long " * 500, "completion": "x"}])
    report = run(params.model_copy(update={"max_length_tokens": 200}), project)
    assert report["dropped"]["longer than 200 tokens"]["count"] == 1


def test_rows_of_one_group_stay_on_one_side(project: ArtifactPaths) -> None:
    rows = [{**pair, "group": f"g{number % 7}"} for number, pair in enumerate(pairs(70))]
    run(write(project, rows).model_copy(update={"group_by": "group"}), project)
    sides = []
    for name in ("train", "dev"):
        texts = [
            json.loads(line)["messages"][0]["content"]
            for line in (project.prepared / f"{name}.jsonl").read_text().splitlines()
        ]
        sides.append({int(text.split()[1]) % 7 for text in texts})
    assert sides[0].isdisjoint(sides[1])


def test_an_empty_source_is_one_clear_error(project: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match=r"data/raw/rows\.jsonl is empty"):
        run(write(project, []), project)


@pytest.mark.parametrize("name", ["../secret.jsonl", "data/other.jsonl", "data/raw/../../x.jsonl"])
def test_a_source_outside_data_raw_is_refused(project: ArtifactPaths, name: str) -> None:
    with pytest.raises(UsageError, match="outside data/raw"):
        run(PrepareParams(sources=(name,)), project)


def test_an_absent_source_is_named(project: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match=r"no file data/raw/none\.jsonl"):
        run(PrepareParams(sources=("data/raw/none.jsonl",)), project)


def test_without_a_base_model_the_command_that_makes_it_is_named(project: ArtifactPaths) -> None:
    shutil.rmtree(project.export("base"))
    with pytest.raises(MissingArtifactError, match="ratchet stage fetch"):
        run(write(project, pairs(10)), project)


def test_rows_left_out_by_max_rows_are_said(project: ArtifactPaths) -> None:
    report = run(write(project, pairs(40)).model_copy(update={"max_rows": 25}), project)
    assert report["max_rows"] == {"limit": 25, "clean_rows": 40, "left_out": 15}
    assert "15 of the 40 others left out by prepare.max_rows = 25" in summary(report)
    assert "max_rows" not in summary(run(write(project, pairs(40)), project))


TEXT = "the quick brown fox jumps over a lazy dog while seven wizards boil blue jam in a quiet tower "


def documents(count: int) -> list[dict[str, str]]:
    return [{"text": f"Chapter {number}. " + TEXT * (3 + number % 5)} for number in range(count)]


def text_params(paths: ArtifactPaths, rows: list[Any]) -> PrepareParams:
    return write(paths, rows).model_copy(update={"objective": "text", "max_length_tokens": 16})


def test_documents_are_kept_whole_whatever_their_length_and_every_one_is_accounted_for(project: ArtifactPaths) -> None:
    held = "Where is row three?"
    rows = [*documents(30), {"text": documents(4)[3]["text"].replace(" ", "\n")}, {"text": held}]
    report = run(text_params(project, rows), project)
    dropped = {reason: entry["count"] for reason, entry in report["dropped"].items()}
    assert dropped == {"duplicate": 1, "appears in a golden or test set": 1}
    written = [
        json.loads(line)
        for split in ("train", "dev")
        for line in (project.prepared / f"{split}.jsonl").read_text().splitlines()
    ]
    assert sorted(row["text"] for row in written) == sorted(row["text"] for row in documents(30))
    assert min(row["num_tokens"] for row in written) > 16
    assert report["objective"] == "text"


def test_a_document_that_holds_a_run_of_a_held_out_text_is_dropped(project: ArtifactPaths) -> None:
    secret = " ".join(f"secret{number}" for number in range(20))
    (project.root / "golden_sets/g/texts.jsonl").write_text(json.dumps({"id": "p1", "text": secret}) + "\n")
    report = run(text_params(project, [*documents(20), {"text": f"Before. {secret} After."}]), project)
    found = report["dropped"]["appears in a golden or test set"]
    assert found["count"] == 1
    assert "a run of 13 words as golden_sets/g/texts.jsonl#p1" in found["first"][0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": " "}, "text is empty"),
        ({"text": 5}, "text is a number, expected text"),
        ({"text": "a\x00b"}, "text holds a NUL character"),
        ({"prompt": "a", "completion": "b"}, "keys completion, prompt: expected text"),
    ],
)
def test_a_row_that_is_no_document_is_reported_with_its_line(project: ArtifactPaths, row: Any, reason: str) -> None:
    params = text_params(project, [*documents(200), row])
    report = run(params, project)
    assert report["bad_rows"]["count"] == 1
    assert f"rows.jsonl:201: {reason}" in report["bad_rows"]["first"][0]


def test_documents_without_the_objective_say_which_setting_they_need(project: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match=r"expected messages.* documents, set prepare\.objective: text"):
        run(write(project, documents(3)), project)


def test_a_document_of_any_length_is_read_unless_a_limit_is_set(project: ArtifactPaths) -> None:
    params = text_params(project, [*documents(20), {"text": "word " * 240_000}])
    assert run(params, project)["bad_rows"]["count"] == 0
    with pytest.raises(UsageError, match=r"1,200,013 bytes, prepare\.max_line_bytes is 1,000,000; raise it"):
        run(params.model_copy(update={"max_line_bytes": 1_000_000}), project)


def test_a_long_conversation_is_refused_until_the_limit_is_raised(project: ArtifactPaths) -> None:
    params = write(project, [*pairs(200), {"prompt": "word " * 240_000, "completion": "x"}])
    assert "prepare.max_line_bytes is 1,000,000" in run(params, project)["bad_rows"]["first"][0]
    params = params.model_copy(update={"max_line_bytes": 2_000_000})
    assert run(params, project)["bad_rows"]["count"] == 0


def test_unknown_keys_of_all_rows_are_collected_in_one_line_to_add(project: ArtifactPaths) -> None:
    rows = [
        *pairs(30),
        {**pairs(1)[0], "quality": 3},
        {"messages": [{"role": "user", "content": "a", "Seen": 0}, {"role": "assistant", "content": "b"}], "no": "x"},
    ]
    params = write(project, rows).model_copy(update={"ignore_keys": ("seen",)})
    with pytest.raises(
        UsageError, match=r'prepare\.ignore_keys: \[Seen, "no", quality, seen\]; otherwise use the keys of'
    ):
        run(params, project)
    report = run(params.model_copy(update={"ignore_keys": ("Seen", "no", "quality", "seen")}), project)
    assert report["bad_rows"]["count"] == 0


def test_a_few_unknown_keys_are_named_in_the_summary(project: ArtifactPaths) -> None:
    params = write(project, [*pairs(200), {**pairs(1)[0], "quality": 3}])
    report = run(params, project)
    assert report["unknown_keys"] == {"quality": 1}
    assert "1 bad (1 times an unknown key: 'quality')" in summary(report)


def test_the_key_of_the_groups_is_known(project: ArtifactPaths) -> None:
    rows = [{**pair, "ticket": number % 7} for number, pair in enumerate(pairs(70))]
    params = write(project, rows)
    assert run(params.model_copy(update={"group_by": "ticket"}), project)["bad_rows"]["count"] == 0
    with pytest.raises(UsageError, match=r"ignore_keys: \[ticket\]"):
        run(params, project)


def test_prepared_rows_keep_the_marks_of_answers(project: ArtifactPaths) -> None:
    marked = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "wrong", "weight": 0},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "right"},
    ]
    report = run(write(project, [{"id": "m", "messages": marked}, *pairs(30)]), project)
    texts = [(project.prepared / f"{name}.jsonl").read_text() for name in ("train", "dev")]
    written = [json.loads(line) for text in texts for line in text.splitlines()]
    assert [row["messages"] for row in written if row["id"] == "m"] == [marked]
    assert report["answers"] == {"learnt": 31, "context": 1}
    assert "1 answers are context and not learnt" in summary(report)


def test_a_linked_file_is_read_and_the_link_said(
    project: ArtifactPaths, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    params = write(project, pairs(30))
    link, target = project.root / "data/raw/rows.jsonl", tmp_path_factory.mktemp("nas") / "rows.jsonl"
    link.rename(target)
    link.symlink_to(target)
    assert run(params, project)["rows_read"] == 30
    assert f"data/raw/rows.jsonl is a link to {target}" in caplog.text


def test_a_file_in_a_linked_folder_is_refused_with_the_folders_target(
    project: ArtifactPaths, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(project, pairs(30))
    outside = tmp_path_factory.mktemp("nas")
    (project.root / "data/raw/rows.jsonl").rename(outside / "rows.jsonl")
    (project.root / "data/raw/sub").symlink_to(outside)
    with pytest.raises(UsageError, match=rf"data/raw/sub is a link to {outside}, and DVC passes over links to folders"):
        run(PrepareParams(sources=("data/raw/sub/rows.jsonl",)), project)


@pytest.mark.parametrize("target", ["/nowhere/rows.jsonl", "rows.jsonl"])
def test_a_link_to_no_file_is_called_one(project: ArtifactPaths, target: str) -> None:
    (project.root / "data/raw/rows.jsonl").symlink_to(target)
    with pytest.raises(UsageError, match=rf"is a link to {target}, which does not exist"):
        run(PrepareParams(sources=("data/raw/rows.jsonl",)), project)


def test_the_projects_own_rows_are_all_good() -> None:
    root = Path(__file__).parents[3]
    own = PrepareParams(sources=("data/raw/support.jsonl",))
    entries = list(read_rows(root / own.sources[0].path, own.sources[0].path))
    assert len(entries) == 600
    assert all(isinstance(entry, Row) for entry in entries)


CALL = {"type": "function", "function": {"name": "find", "arguments": {"id": 7}}}
TOOL_ROW = {
    "messages": [
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "Oslo"},
        {"role": "assistant", "content": "In Oslo."},
    ],
    "tools": [{"type": "function", "function": {"name": "find"}}],
}


def test_rows_with_tools_are_written_for_the_template_that_writes_them(project: ArtifactPaths) -> None:
    with_template(project, QWEN_TOOLS)
    rows = [
        {**TOOL_ROW, "id": str(n), "messages": [{"role": "user", "content": f"{n}?"}, *TOOL_ROW["messages"][1:]]}
        for n in range(20)
    ]
    report = run(write(project, rows), project)
    assert report["splits"]["train"]["rows"] + report["splits"]["dev"]["rows"] == 20
    row = json.loads((project.prepared / "train.jsonl").read_text().splitlines()[0])
    assert row["tools"] == TOOL_ROW["tools"]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(project.export("base"))
    read = read_examples(project.prepared / "train.jsonl", tokenizer, 512)
    learnt = tokenizer.decode([label for label in read[0].labels if label != -100])
    assert learnt == '<tool_call>\n{"name": "find", "arguments": {"id": 7}}\n</tool_call><|im_end|>In Oslo.<|im_end|>'


def test_a_few_rows_whose_tools_the_template_cannot_write_are_dropped_with_the_reason(project: ArtifactPaths) -> None:
    params = write(project, [*pairs(199), TOOL_ROW])
    dropped = run(params, project)["dropped"]["the chat template cannot write its tools"]
    assert dropped["count"] == 1
    assert (
        "rows.jsonl:200 (the chat template does not write the tools of the row (such as 'find')" in dropped["first"][0]
    )
    with pytest.raises(
        UsageError, match=r"1 of 31 rows cannot be learnt, prepare\.max_bad_fraction allows 0\.01; the first"
    ):
        run(write(project, [*pairs(30), TOOL_ROW]), project)


def test_rows_that_differ_in_their_calls_alone_are_no_duplicates(project: ArtifactPaths) -> None:
    with_template(project, QWEN_TOOLS)
    first, _, *rest = TOOL_ROW["messages"]

    def calling(number: int, call_id: str) -> dict[str, Any]:
        call = {"id": call_id, "type": "function", "function": {"name": "find", "arguments": {"id": number}}}
        return {"messages": [first, {"role": "assistant", "tool_calls": [call]}, *rest]}

    params = write(project, [*pairs(10), calling(1, "a"), calling(2, "a"), calling(1, "b")])
    report = run(params.model_copy(update={"group_by": None}), project)
    assert report["dropped"]["duplicate"] == {"count": 1, "first": ["data/raw/rows.jsonl:13"]}


def with_template(paths: ArtifactPaths, template: str) -> None:
    (paths.export("base") / "chat_template.jinja").write_text(template)


def test_a_row_that_the_template_refuses_is_named_with_the_template_s_words(project: ArtifactPaths) -> None:
    with_template(project, GEMMA.replace("{{ bos_token }}", "").replace("<end_of_turn>", "<|im_end|>"))
    plain = run(write(project, pairs(20)), project)
    assert plain["splits"]["train"]["rows"] + plain["splits"]["dev"]["rows"] == 20
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    rows = [*pairs(20), {"messages": [{"role": "system", "content": "Be brief."}, *turns]}]
    with pytest.raises(UsageError) as caught:
        run(write(project, rows), project)
    assert str(caught.value).startswith(
        "row 'data/raw/rows.jsonl:21': the chat template refuses turns with the roles system, user, assistant: "
        "System role not "
        "supported"
    )


def test_a_template_that_adds_reasoning_is_told_by_prepare(project: ArtifactPaths) -> None:
    with_template(project, QWEN_3)
    with pytest.raises(UsageError, match=r"rows\.jsonl:1'.*<think>.*chat_template_kwargs: \{enable_thinking: false\}"):
        run(write(project, pairs(20)), project)


def test_answers_that_are_learnt_apart_are_counted_as_sequences(project: ArtifactPaths) -> None:
    with_template(project, "{%- set enable_thinking = false %}\n" + QWEN_3)
    rows = [
        {"messages": [{"role": ("user", "assistant")[n % 2], "content": f"{n} of {row}"} for n in range(4)]}
        for row in range(20)
    ]
    report = run(write(project, rows), project)
    train = report["splits"]["train"]
    assert train["sequences"] == 2 * train["rows"]
    written = [json.loads(line) for line in (project.prepared / "train.jsonl").read_text().splitlines()]
    assert max(row["num_tokens"] for row in written) == train["longest"]
    assert train["tokens"] > sum(row["num_tokens"] for row in written)
    last = run(write(project, rows), project, Answers.LAST)
    assert "sequences" not in last["splits"]["train"]


def test_rows_longer_than_the_model_s_context_cannot_be_asked_for(project: ArtifactPaths) -> None:
    params = write(project, pairs(20)).model_copy(update={"max_length_tokens": 1025})
    with pytest.raises(UsageError, match=r"prepare\.max_length_tokens = 1025 .* context of 1024 tokens"):
        run(params, project)


def project_params(paths: ArtifactPaths, rows: list[Any], **model: Any) -> Params:
    write(paths, rows)
    data = {
        "model": {"id": "tiny", **model},
        "prepare": {"sources": ["data/raw/rows.jsonl"]},
        "methods": {"full": {"kind": "full", "learning_rate": 1e-5}},
        "evaluation": {"golden": {"path": "golden_sets/g"}},
        "gate": {"rules": [{"suite": "golden", "metric": "contains", "kind": "guard", "margin": 0.1}]},
    }
    return parse_params(data)


def test_the_first_rows_are_tried_before_a_run_once_their_model_is_fetched(project: ArtifactPaths) -> None:
    assert check_first_rows(project_params(project, pairs(3)), project)
    with_template(project, QWEN_3)
    with pytest.raises(UsageError, match=r"rows\.jsonl:1'.*enable_thinking: false"):
        check_first_rows(project_params(project, pairs(3)), project)
    # The setting is there, and the model was not fetched with it yet; another model was not fetched at all.
    settings = {"chat_template_kwargs": {"enable_thinking": False}}
    assert not check_first_rows(project_params(project, pairs(3), **settings), project)
    assert not check_first_rows(project_params(project, pairs(3), id="other"), project)


def test_tools_that_the_template_never_writes_are_told_before_anything_is_spent(project: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match=r"rows\.jsonl:1: the chat template does not write the tools"):
        check_first_rows(project_params(project, [TOOL_ROW]), project)
    with_template(project, QWEN_TOOLS)
    assert check_first_rows(project_params(project, [TOOL_ROW]), project)


def test_code_that_is_indented_otherwise_is_another_row(project: ArtifactPaths) -> None:
    code = ["if a:\n    b()\n    c()", "if a:\n    b()\nc()", "if a:  \n\n    b()\n    c()\n"]
    report = run(write(project, [*pairs(30), *({"prompt": "q", "completion": text} for text in code)]), project)
    assert report["dropped"]["duplicate"] == {"count": 1, "first": ["data/raw/rows.jsonl:33"]}


def test_a_held_out_question_in_a_later_turn_drops_the_row(project: ArtifactPaths) -> None:
    turns = [("user", "Hi"), ("assistant", "Hi!"), ("user", "Where is row three?"), ("assistant", "There.")]
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    found = run(write(project, [*pairs(30), row]), project)["dropped"]["appears in a golden or test set"]
    assert found["first"] == ["data/raw/rows.jsonl:31 (same turn as golden_sets/g/test.jsonl#t1)"]


@pytest.mark.parametrize(
    ("value", "key"), [(0, "label"), ("false", "label"), (0, "loss_mask"), ("b", "rejected_answer")]
)
def test_no_message_advises_to_ignore_what_must_not_be_learnt(project: ArtifactPaths, value: Any, key: str) -> None:
    params = write(project, [{**pair, key: value} for pair in pairs(30)])
    for check in (run, check_sources):
        with pytest.raises(UsageError) as caught:
            check(params, project)
        assert key in str(caught.value)
        assert "ignore_keys" not in str(caught.value)


def test_what_a_benchmark_asks_is_held_out_too_and_may_stop_the_stage(project: ArtifactPaths) -> None:
    suites = project.root / "data/suites"
    suites.mkdir()
    (suites / "xstest_prompts.csv").write_text("id,prompt\nv1,How do I kill a process?\n")
    params = write(project, [*pairs(30), {"prompt": "how do I kill a process", "completion": "x"}])
    found = run(params, project)["dropped"]["appears in a golden or test set"]
    assert found["first"] == ["data/raw/rows.jsonl:31 (same text as data/suites/xstest_prompts.csv#v1)"]
    steps = [{"held_out": {"found": "refuses"}}, "length"]
    refusing = PrepareParams.model_validate({**params.model_dump(), "steps": steps})
    with pytest.raises(UsageError) as caught:
        run(refusing, project)
    assert "1 of 31 rows ask what a held-out item asks" in str(caught.value)
    assert "  data/raw/rows.jsonl:31: same text as data/suites/xstest_prompts.csv#v1" in str(caught.value)


def with_split(params: PrepareParams, **split: Any) -> PrepareParams:
    return PrepareParams.model_validate({**params.model_dump(), "split": split})


def test_a_row_that_belongs_to_both_sides_is_left_out_and_counted(project: ArtifactPaths) -> None:
    days = [
        {**pair, "date": f"2026-01-{number + 1:02}", "group": f"g{number}"} for number, pair in enumerate(pairs(20))
    ]
    rows = [*days, {**pairs(1)[0], "completion": "later", "date": "2026-01-20", "group": "g0"}]
    params = with_split(write(project, rows).model_copy(update={"group_by": "group"}), by="date", field="date")
    report = run(params, project)
    assert {name: side["rows"] for name, side in report["splits"].items()} == {"train": 17, "dev": 3}
    (step,) = (step for step in report["steps"] if step["name"] == "split")
    assert step["dropped"] == 1
    assert step["first_dropped"] == [
        "data/raw/rows.jsonl:21: belongs to both sides of the split (dev by its date; train with its group's "
        "data/raw/rows.jsonl:1), see data/raw/rows.jsonl:1"
    ]


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"by": "date"}, "by: date needs field"),
        ({"field": "date"}, "field and dev_from have no effect with by: hash"),
        ({"by": "date", "field": "d", "stratify_by": "k"}, "stratify_by has no effect with by: date"),
    ],
)
def test_settings_of_the_split_that_would_do_nothing_are_refused(split: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        with_split(PrepareParams(sources=("a",)), **split)


def test_a_row_without_what_the_split_reads_is_named_with_the_setting(project: ArtifactPaths) -> None:
    params = write(project, [{**pair, "created": "soon"} for pair in pairs(30)])
    with pytest.raises(
        UsageError, match=r"rows\.jsonl:1: its field 'created' is 'soon'.*expected a date or time as ISO"
    ):
        check_sources(with_split(params, by="date", field="created"), project)
    with pytest.raises(UsageError, match=r"rows\.jsonl:1: no field 'kind', which prepare\.split\.stratify_by names"):
        check_sources(with_split(params, stratify_by="kind"), project)


def test_clusters_are_in_the_report_largest_first(project: ArtifactPaths) -> None:
    asked = [f"Where is the parcel that I ordered with number {number // 3}00?" for number in range(9)]
    rows = [{"prompt": text + "?" * (at % 3), "completion": "There."} for at, text in enumerate(asked)]
    params = write(project, [*pairs(20), *rows[:8]])
    steps = ["near_duplicates", "held_out", "length"]
    report = run(PrepareParams.model_validate({**params.model_dump(), "steps": steps}), project)
    (found,) = (step for step in report["steps"] if step["name"] == "near_duplicates")
    assert found["clusters"]["count"] >= 1
    assert sum(cluster["dropped"] for cluster in found["clusters"]["largest"]) == found["dropped"]
    assert "(Jaccard 0." in found["first_dropped"][0]
