"""What training reads, checked, and the names of it that its checkpoints depend on."""

import importlib.metadata
from collections.abc import Sequence
from typing import Any, NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.files import read_json, sha256_file
from evalsuite.core.identity import read_manifest
from evalsuite.core.imports import sources_sha256
from tasks.objectives.conversation import end_tokens
from tasks.objectives.documents import Example
from tasks.objectives.find import blamed, prepared_objective, sources
from tasks.objectives.objective import Objective
from tasks.objectives.sft import Sft
from tasks.training.epoch_eval import DevRunner
from tasks.training.job import Job
from tasks.training.rows.examples import read_examples
from tasks.training.state.checkpoints import FINGERPRINT, digest

TRAINING_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "deepspeed")


class Inputs(NamedTuple):
    """Everything that can be wrong before the first step."""

    tokenizer: Any
    train: list[Example]
    dev: list[Example]
    dev_runner: DevRunner
    objective: Objective = Sft()


def read_inputs(job: Job) -> Inputs:
    """Read and check tokenizer, rows and golden dev set.

    Raises:
        UsageError: A row or the golden set is not as it must be.
        MissingArtifactError: An earlier stage's output is absent.
    """
    from transformers import AutoConfig, AutoTokenizer

    base, settings = job.base, job.params
    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    config: Any = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    check_special_tokens(tokenizer)
    ends = end_tokens(base, tokenizer)
    objective = prepared_objective(job.paths.prepared)
    with blamed(objective):
        train, dev = (
            read_examples(
                job.paths.prepared / f"{split}.jsonl",
                tokenizer,
                settings.max_length_tokens,
                settings.long_rows,
                ends,
                job.paths.token_cache,
                settings.answers,
                objective,
            )
            for split in ("train", "dev")
        )
    check_vocabulary([*train, *dev], tokenizer, int(config.get_text_config().vocab_size))
    runner = DevRunner(job.sections.evaluation, settings.select_metric, base, job.method.params, tokenizer)
    return Inputs(tokenizer, train, dev, runner, objective)


def check_special_tokens(tokenizer: Any) -> None:
    """Refuse a tokenizer that ends every text with a token of its own: a prompt would end before its answer begins.

    Raises:
        UsageError: Names the token.
    """
    plain, whole = (tokenizer("a", add_special_tokens=special)["input_ids"] for special in (False, True))
    if whole[-1:] != plain[-1:]:
        raise UsageError(
            f"the tokenizer adds {tokenizer.convert_ids_to_tokens(whole[-1])!r} after every text, prompts included, so "
            "that answers would follow an end; set add_eos_token to false in the base model's tokenizer_config.json"
        )


def check_vocabulary(examples: Sequence[Example], tokenizer: Any, size: int) -> None:
    """Refuse a tokenizer with tokens that the model has no embedding for.

    Raises:
        UsageError: Names the largest such token and both sizes.
    """
    largest = max(max(example.input_ids) for example in examples)
    if largest >= size:
        raise UsageError(
            f"the tokenizer gives token {largest} ({tokenizer.convert_ids_to_tokens(largest)!r}), the model's "
            f"vocabulary has {size}; tokenizer and weights do not belong together: check model.id, or resize the "
            "embedding first"
        )


def fingerprint(job: Job) -> dict[str, str]:
    """What the checkpoints depend on."""
    objective = prepared_objective(job.paths.prepared)
    return {
        "objective": f"{objective.name} {digest([sha256_file(path) for path in sources(objective)])}",
        "method": digest(job.method.params.model_dump(mode="json")),
        "train": digest(job.params.model_dump(mode="json", exclude={"report_to"})),
        "evaluation": digest(job.sections.evaluation.golden.model_dump(mode="json")),
        "plan": digest(job.plan.model_dump(mode="json")),
        "train rows": sha256_file(job.paths.prepared / "train.jsonl"),
        "dev rows": sha256_file(job.paths.prepared / "dev.jsonl"),
        "base model": read_manifest(job.base, "ratchet stage fetch").identity,
        "code": sources_sha256("tasks.training.worker"),
        "libraries": ", ".join(f"{library} {importlib.metadata.version(library)}" for library in TRAINING_LIBRARIES),
    }


def check_same_inputs(job: Job) -> None:
    """Refuse a process whose rows, model, code or libraries differ from those of the stage that it belongs to.

    Raises:
        UsageError: Names what differs on this machine.
    """
    stage = read_json(job.root / FINGERPRINT, f"ratchet stage train@{job.name}")
    own = fingerprint(job)
    different = sorted(key for key in {*stage, *own} if stage.get(key) != own.get(key))
    if different:
        raise UsageError(
            f"{', '.join(different)} of this machine differ from the stage's on node 0; all nodes must see the same "
            "project folder and have the same packages (requirements.lock)"
        )
