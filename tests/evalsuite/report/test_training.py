from collections.abc import Callable

import pytest

from evalsuite.report.build import build_html
from evalsuite.report.data import Continuity, ReportData, StepPoint
from evalsuite.report.forms.card import build_model_card
from evalsuite.report.training import NOT_KNOWN, continuity_sentence, signal_facts

Make = Callable[..., ReportData]


def interrupted(make: Make, *checks: tuple[int, float, float]) -> ReportData:
    data = make()
    run = data.training["qlora"].model_copy(
        update={
            "resumed_from_steps": (7, 9),
            "resume_checks": tuple(Continuity(step=s, saved_loss=a, resumed_loss=b) for s, a, b in checks),
        }
    )
    return make(training={**data.training, "qlora": run})


def test_speed_is_all_tokens_over_all_seconds(make: Make) -> None:
    facts = dict(signal_facts(make().training["full"]))
    # 500 steps of 200 tokens in 2 s and 500 of 100 tokens in 2 s.
    assert facts["tokens a second"] == "75"
    assert facts["gradient norm"] == "median 1, largest 2"
    assert facts["learning rate"] == "at most 9.99e-06, 0 at last"
    assert facts["eval loss above training loss"] == "+0.050 nats in the selected epoch"


def test_what_a_device_or_an_earlier_log_does_not_tell_is_not_known(make: Make) -> None:
    run = make().training["full"]
    assert dict(signal_facts(run))["model-FLOPs utilisation"] == NOT_KNOWN
    bare = run.model_copy(update={"steps": tuple(StepPoint(epoch=p.epoch, loss=p.loss) for p in run.steps)})
    facts = dict(signal_facts(bare))
    assert {facts[name] for name in ("tokens a second", "gradient norm", "learning rate")} == {NOT_KNOWN}
    html = build_html(make(training={"full": bare}))
    assert "Gradient norm of full" not in html


def test_utilisation_is_a_share_of_the_peak(make: Make) -> None:
    run = make().training["full"]
    steps = tuple(point.model_copy(update={"model_flops_utilisation": 0.412}) for point in run.steps)
    facts = dict(signal_facts(run.model_copy(update={"steps": steps})))
    assert facts["model-FLOPs utilisation"] == "41.2% of the peak"


def test_the_report_draws_gradient_norm_learning_rate_and_speed(make: Make) -> None:
    html = build_html(make())
    for title in ("Gradient norm", "Learning rate", "Tokens a second"):
        assert html.count(f"{title} of full by step") == 1
    assert "eval above train" in html


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ((), "its log compares no losses there"),
        (((7, 1.5, 1.5), (9, 1.25, 1.25)), "the weights that were read give the same loss on dev rows as when they"),
        (((7, 1.5, 1.5), (9, 1.25, 1.25001)), "give the same loss to 1e-05 nats on dev rows"),
        (((7, 1.5, 1.5),), "when they were saved, compared 1 of 2 times."),
    ],
)
def test_report_and_model_card_say_how_an_interrupted_training_went_on(
    make: Make, checks: tuple[tuple[int, float, float], ...], said: str
) -> None:
    data = interrupted(make, *checks)
    sentence = continuity_sentence(data.training["qlora"])
    assert sentence is not None
    assert sentence.startswith("qlora was interrupted and went on from steps 7 and 9")
    assert said in sentence
    assert sentence in build_html(data)
    assert sentence in build_model_card(data)


def test_a_training_that_was_never_interrupted_says_nothing(make: Make) -> None:
    assert continuity_sentence(make().training["full"]) is None
    assert "was interrupted" not in build_html(make())
