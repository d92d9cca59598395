"""Names of files and ids of rows."""

import logging

import pytest

from evalsuite.core.errors import UsageError
from tasks.prepare.personal import names
from tasks.prepare.personal.names import check_file_names, masked


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("data/raw/jane.doe@example.com.jsonl", "data/raw/<EMAIL_ADDRESS>"),
        ("data/raw/call +442079460958.jsonl", "data/raw/call <PHONE_NUMBER>.jsonl"),
        ("data/raw/4242424242424242_rows.jsonl", "data/raw/<CREDIT_CARD>_rows.jsonl"),
        ("data/raw/219-09-9998.jsonl", "data/raw/<US_SSN>.jsonl"),
        ("hf_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3h", "<HF_TOKEN>"),
    ],
)
def test_what_is_personal_in_a_name_is_told_by_its_shape(name: str, shape: str) -> None:
    assert masked(name) == shape
    with pytest.raises(UsageError) as error:
        check_file_names(["data/raw/rows.jsonl", name])
    assert "entry 2" in str(error.value)
    assert shape in str(error.value)
    assert name not in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        *("data/raw/queues.jsonl", "data/raw/2026-11-03_batch_0001.jsonl.gz", "data/raw/rows.jsonl:1234567"),
        *("550e8400-e29b-41d4-a716-446655440000", "train-00000-of-00012", "20261103113435", "conversation_12345678"),
    ],
)
def test_an_ordinary_name_is_left(name: str) -> None:
    assert masked(name) == name


def test_what_presidio_loads_to_look_at_a_name_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    names._by_form.cache_clear()
    assert masked("jane.doe@example.com") == "<EMAIL_ADDRESS>"
    assert not caplog.records
