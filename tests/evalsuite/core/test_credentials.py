"""No key or password of params.yaml is shown or kept."""

from typing import Any

from evalsuite.core.credentials import LEFT_OUT, without_secrets


def test_secrets_are_left_out_and_all_else_stays() -> None:
    # Put together here, so that no scanner takes them for real ones.
    word = "S" * 9
    settings: dict[str, Any] = {
        "engine": {
            "base_url": f"https://ada:{word}@host:1/{{model}}/v1?key={word}",
            "api_key_variable": "KEY",
            "server_arguments": (f"--api-key={word}", "--tensor-parallel-size=2"),
        },
        "own": {"api_key": word, "password": word, "hf_token": word, "eos_token": "</s>", "secret": None},
        "model": {"id": "org/name", "max_new_tokens": 9, "sources": ["data/raw/a@b?.jsonl"]},
    }
    shown = without_secrets(settings)
    assert word not in str(shown)
    assert shown["engine"] == {
        "base_url": "https://host:1/{model}/v1",
        "api_key_variable": "KEY",
        "server_arguments": [f"--api-key={LEFT_OUT}", "--tensor-parallel-size=2"],
    }
    assert (shown["own"]["eos_token"], shown["own"]["secret"]) == ("</s>", None)
    assert shown["model"] == settings["model"]
