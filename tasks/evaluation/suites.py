"""The suites that params.yaml turns on, each with what reads it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from evalsuite.judges.choose import harm_judge
from evalsuite.judges.copyright import CopyrightRule
from evalsuite.judges.learned import LearnedRefusalJudge
from evalsuite.suites.base import Suite
from evalsuite.suites.bias import BBQSuite
from evalsuite.suites.harmbench import HarmBenchSuite
from evalsuite.suites.lm_eval.suite import HarnessSuite
from evalsuite.suites.over_refusal import XSTestSuite
from evalsuite.suites.perplexity import PerplexitySuite
from evalsuite.suites.plugins import load_suite
from tasks.config.evaluation import EvaluationParams
from tasks.config.suites import HarmBenchParams, XSTestParams
from tasks.evaluation.golden_suite import bertscore_suite, golden_suite


def suites_of(params: EvaluationParams, kept: Path | None = None) -> list[Suite]:
    """The suites that every model is put through, in order; reading them checks their files."""
    return [make() for make in suite_makers(params, kept).values()]


def suite_makers(params: EvaluationParams, kept: Path | None = None) -> dict[str, Callable[[], Suite]]:
    """What reads each suite that params.yaml turns on, by the suite's name.

    Args:
        params: The suites' settings.
        kept: Folder where embeddings of references stay for the next process; they are not kept when None.
    """
    harness = params.harness
    root = Path(harness.data_root) if harness.data_root else None
    makers: dict[str, Callable[[], Suite]] = {"golden": lambda: golden_suite(params.golden, "test", kept)}
    if (free := params.bertscore) is not None:
        makers["bertscore"] = partial(bertscore_suite, free, params.golden, kept)
    for name, task in harness.tasks.items():
        options = (task.max_new_tokens, task.limit, task.apply_chat_template, harness.revisions)
        makers[name] = partial(HarnessSuite, name, root, *options)
    if (harm := params.harmbench) is not None:
        makers["harmbench"] = partial(_harmbench, harm)
    if (xstest := params.xstest) is not None:
        makers["xstest"] = partial(_xstest, xstest)
    if (bbq := params.bbq) is not None:
        makers["bbq"] = partial(BBQSuite, Path(bbq.data), bbq.categories, bbq.limit)
    if (text := params.perplexity) is not None:
        makers["perplexity"] = partial(
            PerplexitySuite, Path(text.path), text.window_words, text.stride_words, text.limit
        )
    for name, arguments in params.suites.items():
        makers[name] = partial(load_suite, name, arguments)
    return makers


def _harmbench(params: HarmBenchParams) -> HarmBenchSuite:
    rule = CopyrightRule(Path(params.copyright_references)) if params.copyright_references else None
    attack = Path(params.attack) if params.attack else None
    judge, longest = harm_judge(params.judge), params.max_new_tokens
    return HarmBenchSuite(Path(params.data), judge, longest, attack, rule, params.limit, params.max_unreadable_fraction)


def _xstest(params: XSTestParams) -> XSTestSuite:
    judge = LearnedRefusalJudge()
    return XSTestSuite(Path(params.data), judge, params.max_new_tokens, params.limit, params.max_unreadable_fraction)
