"""What a template is told by params.yaml becomes part of the template that ships."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.core.identity import hash_files, identity_of
from evalsuite.engines.chat_template import chat_text, names_read
from evalsuite.engines.encoding import Encoder
from tasks.base_model.export import check_model
from tasks.base_model.template_settings import own_template, settle_other, settle_template
from tasks.config.model import TRUTHS, ModelParams
from tasks.config.reading import read_params
from tasks.config.section import StageSections
from tasks.paths import ArtifactPaths
from tasks.stages.fetch import run
from tests.tasks.training.templates import LLAMA_3, QWEN_3, byte_level

TURNS = [
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "And you?"},
]


class ModelAlone(StageSections):
    model: ModelParams


def tokenizer_with(template: Any) -> Any:
    tokenizer = byte_level("llama_3")
    tokenizer.chat_template = template
    return tokenizer


def settled(template: Any, **model: Any) -> Any:
    tokenizer = tokenizer_with(template)
    settle_template(tokenizer, ModelParams(id="tiny", **model))
    return tokenizer


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
STARTS = st.sampled_from(["", "\n", "\n\n  ", "  {% if true %}x{% endif %}", "{# c #}\n", "{%- if a %}1{% endif %}\n"])
BODY = "{{ a | tojson }}{% for m in messages %}{{ m.content }}{% if b is defined and not b %}!{% endif %}{% endfor %}\n"


def is_plain(value: Any) -> bool:
    """Whether it is not taken for a truth that was written wrong."""
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    return value is not None and not (isinstance(value, str) and value.strip().lower() in TRUTHS)


@given(a=JSON.filter(is_plain), b=JSON.filter(is_plain), start=STARTS)
@settings(max_examples=80, deadline=None)
def test_a_template_with_its_arguments_inside_writes_what_it_writes_when_they_are_given(
    a: Any, b: Any, start: str
) -> None:
    given_to_it = tokenizer_with(start + BODY)
    expected = given_to_it.apply_chat_template(TURNS, tokenize=False, a=a, b=b)
    inside = settled(start + BODY, chat_template_kwargs={"a": a, "b": b})
    assert inside.apply_chat_template(TURNS, tokenize=False) == expected
    assert inside.chat_template.endswith(start + BODY)


def test_thinking_turned_off_is_part_of_the_prompt() -> None:
    assert (
        settled(QWEN_3, chat_template_kwargs={"enable_thinking": False})
        .apply_chat_template(TURNS, tokenize=False, add_generation_prompt=True)
        .endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    )


@pytest.mark.parametrize("text", ["no", "off", "No", '"false"', "'0'", "~", "{deep: off}"])
def test_what_is_meant_as_false_and_is_no_truth_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"model: {{id: tiny, chat_template_kwargs: {{enable_thinking: {text}}}}}\n")
    with pytest.raises(UsageError, match=r"model\.chat_template_kwargs: enable_thinking.* write true or false"):
        read_params(path, ModelAlone)


@pytest.mark.parametrize("value", [0, 1, 0.0, "none", []])
def test_a_template_that_asks_for_true_or_false_gets_no_other_value(value: Any) -> None:
    with pytest.raises(UsageError, match=r"enable_thinking = .*: the chat template asks whether it is true or false"):
        settled(QWEN_3, chat_template_kwargs={"enable_thinking": value})


def test_a_value_that_the_template_compares_stays_what_it_is() -> None:
    template = "{% if depth is true or depth == 'auto' %}!{% endif %}{% if budget > 0 %}{{ budget }}{% endif %}"
    template += "{{ messages[0].content }}"
    assert (
        settled(template, chat_template_kwargs={"depth": "auto", "budget": 0}).apply_chat_template(
            TURNS, tokenize=False
        )
        == "!Hello."
    )


def test_an_argument_that_the_template_never_reads_is_refused_with_those_that_it_reads() -> None:
    with pytest.raises(UsageError, match=r"chat_template_kwargs\.thinking: .* does not read it; it reads enable_think"):
        settled(QWEN_3, chat_template_kwargs={"thinking": False})


@pytest.mark.parametrize("name", ["messages", "tools", "add_generation_prompt", "eos_token", "strftime_now"])
def test_names_that_every_conversation_fills_in_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="filled in with every conversation"):
        ModelParams(id="tiny", chat_template_kwargs={name: 1})


def test_a_template_that_reads_the_clock_needs_a_date() -> None:
    with pytest.raises(UsageError, match=r"model 'tiny': the chat template writes today's date.*chat_template_date"):
        settled(LLAMA_3)
    with pytest.raises(UsageError, match=r"writes today's date.*chat_template_date"):
        Encoder(tokenizer_with(LLAMA_3)).render(TURNS)


def test_a_fixed_date_is_written_and_the_clock_is_not_read() -> None:
    fixed = settled(LLAMA_3, chat_template_date="2026-01-31")
    assert "Today Date: 31 Jan 2026\n" in chat_text(fixed, TURNS, ask=True)
    assert "strftime_now" not in names_read(fixed.chat_template)


@given(day=st.dates(date(1000, 1, 1), date(2999, 12, 31)))
@settings(max_examples=40, deadline=None)
def test_every_format_of_a_template_gets_the_date(day: date) -> None:
    template = (
        "{%- set today = strftime_now('%Y-%m-%d') %}{{ strftime_now('%d %B %Y (%A)') }}|{{ today }}|"
        "{{ strftime_now(\"%d %b %Y\") | upper }}{% macro m() %}{{ strftime_now('%Y') }}{% endmacro %}|{{ m() }}"
    )
    fixed = settled(template, chat_template_date=day.isoformat())
    expected = [f"{day:%d %B %Y (%A)}", day.isoformat(), f"{day:%d %b %Y}".upper(), f"{day:%Y}"]
    assert fixed.apply_chat_template(TURNS, tokenize=False) == "|".join(expected)


def test_a_date_given_as_the_template_s_own_argument_does_too_and_the_clock_is_never_read() -> None:
    fixed = settled(LLAMA_3, chat_template_kwargs={"date_string": "26 Jul 2024"})
    assert "Today Date: 26 Jul 2024\n" in chat_text(fixed, TURNS, ask=True)
    assert "strftime_now" not in names_read(fixed.chat_template)


def test_a_clock_that_is_read_for_some_conversations_only_is_refused_there() -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}{% if messages | length > 20 %}"
    template += "{{ strftime_now('%Y') }}{% endif %}"
    fixed = settled(template)
    assert chat_text(fixed, TURNS, ask=True) == "Hello.Hi.And you?"
    with pytest.raises(UsageError, match=r"writes today's date"):
        chat_text(fixed, TURNS * 7, ask=True)


def test_a_date_of_yaml_is_refused_since_dvc_cannot_read_it() -> None:
    with pytest.raises(ValueError, match='write it in quotes, "2026-01-31"'):
        ModelParams(id="tiny", chat_template_date=date(2026, 1, 31))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="chat_template_date"):
        ModelParams(id="tiny", chat_template_date="31.1.2026")


def test_of_several_named_templates_each_gets_what_it_reads() -> None:
    named = settled(
        {"default": QWEN_3, "rag": "{{ messages[0].content }}"}, chat_template_kwargs={"enable_thinking": False}
    )
    assert named.chat_template["default"].startswith("{%- set enable_thinking = false %}\n")
    assert named.chat_template["rag"] == "{{ messages[0].content }}"
    with pytest.raises(UsageError, match=r"several chat templates \(a, b\) and none of them is the default"):
        settled({"a": "x", "b": "y"})


def test_a_model_of_others_keeps_what_it_does_not_read() -> None:
    other = tokenizer_with("{{ messages[0].content }}")
    settle_other(other, ModelParams(id="tiny", chat_template_kwargs={"enable_thinking": False}))
    assert other.chat_template == "{{ messages[0].content }}"
    other = tokenizer_with(LLAMA_3)
    settle_other(other, ModelParams(id="tiny", chat_template_date="2026-01-31"))
    assert "31 Jan 2026" in chat_text(other, TURNS, ask=True)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% if messages %}\n{{ x }", "has a syntax error in line 2: unexpected '}'"),
        ("a\n\n{% for m in messages %}{{ m.content }}", "has a syntax error in line 3: "),
        ("{{ messages | nosuchfilter }}", "has a syntax error in line 1: No filter named 'nosuchfilter'"),
        ("{{ messages[0].content.a.b }}", "refuses turns with the roles user: UndefinedError: "),
        (
            "{{ raise_exception('never') }}",
            "refuses turns with the roles user: never; it fails on every small conversation",
        ),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_by_fetch_with_line_and_reason(
    tmp_path: Path, tiny_model: Path, template: str, told: str
) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text(template)
    with pytest.raises(UsageError) as caught:
        run(ModelParams(id=str(tiny_model), chat_template=str(file)), ArtifactPaths(tmp_path))
    assert f"mine.jinja': the chat template {told}" in str(caught.value)
    assert not ArtifactPaths(tmp_path).export("base").exists()


def test_a_broken_template_in_the_model_s_folder_is_found_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"not read")
    (tmp_path / "chat_template.jinja").write_text("{% if %}")
    with pytest.raises(UsageError, match="syntax error in line 1"):
        check_model(ModelParams(id=str(tmp_path)))
    (tmp_path / "chat_template.jinja").unlink()
    named = [{"name": "rag", "template": "x"}, {"name": "default", "template": QWEN_3}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert own_template(tmp_path) == QWEN_3
    with pytest.raises(UsageError, match="does not read it; it reads enable_thinking"):
        check_model(ModelParams(id=str(tmp_path), chat_template_kwargs={"nothing": 1}))


def test_settings_change_the_identity_and_the_day_does_not(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "dated.jinja"
    file.write_text(LLAMA_3)
    identities = []
    for day in ("2026-01-31", "2026-01-31", "2026-02-01"):
        params = ModelParams(id=str(tiny_model), chat_template=str(file), chat_template_date=day)
        identities.append(run(params, ArtifactPaths(tmp_path)).identity)
    assert identities[0] == identities[1] != identities[2]
    export = ArtifactPaths(tmp_path).export("base")
    assert identity_of(hash_files(export)) == identities[2]

    from transformers import AutoTokenizer
    from transformers.utils import chat_template_utils

    def asked() -> str:
        return Encoder(AutoTokenizer.from_pretrained(export)).render(TURNS)

    today = asked()
    assert "01 Feb 2026" in today
    now = datetime.now
    later = type("Later", (), {"now": staticmethod(lambda: now() + timedelta(days=40))})
    monkeypatch.setattr(chat_template_utils, "datetime", later)
    assert asked() == today
