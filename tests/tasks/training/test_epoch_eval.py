"""The golden dev run judges the checkpoint, adapter included."""

from pathlib import Path

from evalsuite.suites.golden_set.settings import GoldenParams
from tasks.config.evaluation import EvaluationParams
from tasks.config.methods import MethodParams
from tasks.training.epoch_eval import DevRunner
from tests.e2e.project import write_golden


def test_an_adapter_s_checkpoint_gets_the_scores_of_its_merged_weights(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(3)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), config)
    adapted.save_pretrained(tmp_path / "checkpoint-1")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    merged = tmp_path / "merged"
    adapted.merge_and_unload().save_pretrained(merged)
    tokenizer.save_pretrained(merged)
    write_golden(tmp_path / "golden", merged)  # right answers are those of the merged weights

    params = EvaluationParams(golden=GoldenParams(path=str(tmp_path / "golden"), max_new_tokens=6))
    method = MethodParams(kind="lora", learning_rate=1e-4, epochs=1)
    runner = DevRunner(params, "exact_match", tiny_model, method, tokenizer)
    scores = {metric.metric: metric.mean for metric in runner.run(tmp_path / "checkpoint-1").metrics}
    assert scores["exact_match"] == 1.0
