import math
import random
from contextlib import suppress

import pytest

from orchestrator.divergence import NOT_FINITE, Divergence, DivergenceRule
from orchestrator.events import Explosion
from orchestrator.worker.monitor import ExplodedError, Monitor

RULE = DivergenceRule()


def fed(losses: list[float], steps_per_epoch: int = 54) -> Explosion | None:
    series = Divergence.of_steps(RULE)
    for step, loss in enumerate(losses, start=1):
        if explosion := series.update(step, loss, 1 + (step - 1) // steps_per_epoch):
            return explosion
    return None


def healthy(steps: int, start: float = 1000.0, end: float = 40.0, noise: float = 0.1) -> list[float]:
    rng = random.Random(0)
    return [(end + (start - end) * math.exp(-step / 20)) * (1 + noise * rng.gauss(0, 1)) for step in range(steps)]


def test_a_healthy_curve_is_none() -> None:
    assert fed(healthy(2000)) is None


def test_large_first_steps_are_none() -> None:
    assert fed([490.0, 1750.0, 1400.0, 900.0, *healthy(200, 600.0, 140.0)]) is None


def test_a_jump_of_a_single_step_that_heals_is_none() -> None:
    curve = healthy(400)
    curve[1] = 517_376.0
    curve[200] = 1e6
    assert fed(curve) is None


def test_a_rise_that_heals_within_patience_is_none_and_one_that_stays_is_an_explosion() -> None:
    assert fed([*healthy(200), *[5000.0] * (RULE.patience - 1), *healthy(400)[200:]]) is None
    explosion = fed([*healthy(200), *[5000.0] * RULE.patience])
    assert explosion is not None
    assert (explosion.epoch, explosion.step) == (4, 201)
    assert explosion.last_finite_loss == 5000.0
    assert "loss rose from" in explosion.reason
    assert "(epoch 3)" in explosion.reason or "(epoch 4)" in explosion.reason
    assert "epoch 4, step 201" in explosion.reason


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_stays_not_finite_is_an_explosion_from_its_first_such_step_on(bad: float) -> None:
    steps = [50.0, 51.2, *[bad] * NOT_FINITE]
    assert watched(steps[:-1]).explosion is None
    assert watched(steps).explosion == Explosion(f"loss became {bad} after 51.2 at epoch 1, step 3", 1, 3, 51.2)
    first = watched([bad] * NOT_FINITE).explosion
    assert first is not None
    assert first.last_finite_loss is None


def test_a_batch_that_is_not_finite_and_is_skipped_is_none() -> None:
    curve = healthy(400)
    for step in (100, 101, 200, 399 - NOT_FINITE):
        curve[step] = math.nan
    monitor = watched(curve)
    monitor.run_ended({})
    assert monitor.explosion is None
    assert monitor.margin == watched(healthy(400)).margin


def test_a_loss_that_is_not_finite_at_the_end_or_before_an_exception_is_an_explosion() -> None:
    for end in (lambda monitor: monitor.run_ended({}), Monitor.raised):
        monitor = watched([50.0, math.nan])
        end(monitor)
        assert monitor.explosion == Explosion("loss became nan after 50 at epoch 1, step 2", 1, 2, 50.0)
        assert monitor.margin == 3


def test_an_exception_after_healthy_steps_is_no_explosion() -> None:
    monitor = watched(healthy(100))
    monitor.raised()
    assert monitor.explosion is None


def test_a_model_that_explodes_from_its_first_step_on_is_seen() -> None:
    assert fed([500.0, *[1e5] * 60]) is not None


def ended(losses: list[float]) -> Monitor:
    monitor = watched(losses)
    monitor.run_ended({})
    return monitor


def test_a_run_that_never_came_back_to_its_first_loss_has_exploded_when_it_ends() -> None:
    """As classifiers at a learning rate that is a thousand times too high: up at once, then down to a steady level."""
    diverged = [2.3, 20.0, 60.0, *(5 + 30 * math.exp(-step / 40) for step in range(200))]
    assert watched(diverged).explosion is None
    monitor = ended(diverged)
    assert monitor.explosion == Explosion(
        "loss rose from 2.3 to 60 at epoch 1, step 3, and never came back", 1, 3, diverged[-1]
    )
    assert monitor.margin == pytest.approx(math.log10(60 / 2.3))
    assert ended([2.3, 20.0, 60.0, *(1 + 30 * math.exp(-step / 40) for step in range(200))]).explosion is None
    assert ended(diverged[: RULE.patience]).explosion is None


def test_losses_that_drift_up_slowly_as_those_of_values_of_states_are_no_explosion() -> None:
    assert ended([0.6 * 20 ** (step / 800) for step in range(800)]).explosion is None


def test_a_gain_that_does_not_stand_out_of_the_noise_is_none_that_could_be_lost() -> None:
    """The first loss is high by chance; all that was learned is two deviations of the losses."""
    rng = random.Random(3)
    noise = [rng.gauss(0, 1) for _ in range(600)]
    assert ended([1.0, *(0.6 * x - 0.1 for x in noise[:300]), *(0.6 * x + 1.5 for x in noise[300:])]).explosion is None
    assert ended([1.0, *(0.01 * x - 0.1 for x in noise[:300]), *(0.01 * x + 1.5 for x in noise[300:])]).explosion


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_the_verdict_does_not_depend_on_the_scale_of_losses(scale: float) -> None:
    assert fed([scale * loss for loss in healthy(500)]) is None
    assert fed([scale * loss for loss in [*healthy(500), *[1000.0] * 60]]) is not None


def test_a_loss_below_zero_is_judged_by_what_it_had_gained() -> None:
    assert fed([loss - 500 for loss in healthy(1000, 1000.0, 400.0, noise=0.02)]) is None
    assert fed([*[loss - 41 for loss in healthy(500, noise=0.01)], *[1300.0] * 60]) is not None


def test_noise_of_tiny_losses_is_no_explosion() -> None:
    rng = random.Random(1)
    assert fed([1.0, *[abs(rng.gauss(0, 0.02)) for _ in range(3000)]]) is None


def test_watch_raises_with_what_may_explain_it() -> None:
    monitor = Monitor(RULE)
    monitor.step(1, 50.0, 3.0, log_variance=2.0)
    for step in range(2, 1 + NOT_FINITE):
        monitor.step(step, math.nan, 3.0, log_variance=41.0)
    with pytest.raises(ExplodedError, match="loss became nan after 50 at epoch 1, step 2; log variance reached 61"):
        monitor.step(1 + NOT_FINITE, math.nan, 3.0, log_variance=61.0)


def test_what_explains_an_explosion_is_what_it_was_while_it_was_finite() -> None:
    monitor = Monitor(RULE)
    monitor.step(1, 50.0, 3.0, log_variance=61.0)
    for step in range(2, 1 + NOT_FINITE):
        monitor.step(step, math.nan, 3.0, log_variance=math.nan)
    with pytest.raises(ExplodedError, match="log variance reached 61"):
        monitor.step(1 + NOT_FINITE, math.nan, 3.0, log_variance=math.nan)


def test_a_gradient_that_stays_not_finite_is_an_explosion() -> None:
    monitor = Monitor(RULE)
    for step in range(1, RULE.patience):
        monitor.step(step, 50.0, math.inf)
    with pytest.raises(ExplodedError, match="gradient norm became inf at a loss of 50 at epoch 1, step 1"):
        monitor.step(RULE.patience, 50.0, math.inf)
    assert monitor.margin == 3


def test_steps_that_mixed_precision_skips_until_its_scale_fits_are_none() -> None:
    monitor = Monitor(RULE)
    for step, loss in enumerate(healthy(300), start=1):
        monitor.step(step, loss, math.inf if step < RULE.patience or step % 10 == 5 else 1.0)
    monitor.run_ended({})
    assert monitor.explosion is None


def test_a_training_mean_that_is_not_finite_is_none_where_the_validation_loss_is_finite() -> None:
    monitor = Monitor(RULE)
    for epoch in range(1, 9):
        monitor.epoch_ended(epoch, {"train_loss": math.nan, "val_loss": 1 / epoch})
    monitor.run_ended({})
    assert monitor.explosion is None
    monitor.epoch_ended(9, {"train_loss": math.nan, "val_loss": math.nan})
    assert monitor.explosion is not None


def test_losses_by_epoch_are_watched_too() -> None:
    monitor = Monitor(RULE)
    for epoch, loss in enumerate([10.0, 5.0, 4.0, 1e5, 1e5, 1e5], start=1):
        assert monitor.explosion is None
        monitor.epoch_ended(epoch, {"val_loss": loss})
    assert monitor.explosion is not None
    assert "val_loss rose from" in monitor.explosion.reason
    assert monitor.explosion.epoch == 4


def test_a_disabled_rule_sees_nothing() -> None:
    monitor = Monitor(DivergenceRule(enabled=False))
    monitor.step(1, math.nan, math.nan)
    monitor.epoch_ended(1, {"train_loss": math.nan})
    monitor.run_ended({"ssim": math.nan})
    assert monitor.explosion is None


def test_a_rise_that_is_still_open_at_the_end_is_an_explosion_too() -> None:
    monitor = Monitor(RULE)
    for step, loss in enumerate([*healthy(100), 5000.0, 5000.0, 5000.0], start=1):
        monitor.step(step, loss, 1.0)
    monitor.epoch_ended(1, {"train_loss": 300.0})
    assert monitor.explosion is None
    monitor.run_ended({})
    assert monitor.explosion is not None
    assert monitor.explosion.step == 101


def test_a_jump_of_the_very_last_step_is_none() -> None:
    monitor = Monitor(RULE)
    for step, loss in enumerate([*healthy(100), 5000.0], start=1):
        monitor.step(step, loss, 1.0)
    monitor.run_ended({"ssim": 0.8})
    assert monitor.explosion is None


def test_a_training_mean_that_a_healed_jump_raised_is_none() -> None:
    monitor = Monitor(RULE)
    monitor.step(1, 50.0, 1.0)
    for epoch, loss in enumerate([50.0, 40.0, 1e6, 1e6, 1e6, 1e6], start=1):
        monitor.epoch_ended(epoch, {"train_loss": loss, "val_loss": 45.0})
    monitor.run_ended({})
    assert monitor.explosion is None


def test_a_final_loss_that_is_not_finite_is_an_explosion_after_the_last_step() -> None:
    monitor = Monitor(RULE)
    monitor.step(7, 50.0, 1.0)
    monitor.epoch_ended(1, {"val_loss": 50.0})
    monitor.run_ended({"ssim": math.nan, "val_loss": math.nan})
    assert monitor.explosion == Explosion("the final val_loss is nan", 1, 7, None)


def test_a_final_metric_that_is_no_loss_explodes_not() -> None:
    monitor = Monitor(RULE)
    monitor.epoch_ended(1, {"val_loss": 50.0})
    monitor.run_ended({"ssim": math.nan})
    assert monitor.explosion is None


@pytest.mark.parametrize(
    ("final", "explodes"), [({"auc": math.nan, "best_acc": -math.inf}, False), ({"test_loss": math.nan}, True)]
)
def test_of_final_metrics_only_a_loss_can_explode(final: dict[str, float], explodes: bool) -> None:
    monitor = Monitor(RULE)
    monitor.epoch_ended(1, {"val_loss": 50.0})
    monitor.run_ended(final)
    assert (monitor.explosion is not None, monitor.is_broken) == (explodes, explodes)


def watched(losses: list[float]) -> Monitor:
    monitor = Monitor(RULE)
    with suppress(ExplodedError):
        for step, loss in enumerate(losses, start=1):
            monitor.step(step, loss, grad_norm=1.0)
    return monitor


def test_the_margin_of_a_run_is_negative_until_it_explodes_and_grows_with_the_rise() -> None:
    calm = watched([*healthy(300), *[60.0] * 40]).margin
    strained = watched([*healthy(300), *[150.0] * 40]).margin
    exploded = watched([*healthy(300), *[1000.0] * 40]).margin
    far_gone = watched([*healthy(300), *[1e6] * 40]).margin
    broken = watched([*healthy(300), *[math.nan] * NOT_FINITE]).margin
    assert None not in (calm, strained, exploded, far_gone, broken)
    assert -3 <= calm < strained <= -0.01 < 0.01 <= exploded < far_gone <= broken == 3  # type: ignore[operator]


def test_a_jump_that_heals_leaves_the_margin_alone() -> None:
    curve = healthy(400)
    jumped = [*curve[:200], 1e6, *curve[200:]]
    assert watched(jumped).margin == watched(curve).margin


def test_the_margin_does_not_depend_on_the_scale_of_losses() -> None:
    curve = [*healthy(300), *[150.0] * 40]
    assert watched([1000 * loss for loss in curve]).margin == pytest.approx(watched(curve).margin)


def test_what_nobody_watches_has_no_margin() -> None:
    assert Monitor(DivergenceRule(enabled=False)).margin is None


def test_a_loss_that_falls_back_to_that_of_chance_is_an_explosion() -> None:
    """Cross entropy of ten classes, which cannot stay far above ln 10."""
    rng = random.Random(2)
    learned = [0.9 + 1.4 * math.exp(-step / 30) + rng.gauss(0, 0.05) for step in range(200)]
    assert fed([*learned, *[2.303 + rng.gauss(0, 0.02) for _ in range(40)]]) is not None
    assert fed([*learned, *[1.6 + rng.gauss(0, 0.05) for _ in range(40)]]) is None


def test_a_negative_loss_that_loses_what_it_had_gained_is_an_explosion() -> None:
    rng = random.Random(3)
    learned = [-800 + 1000 * math.exp(-step / 30) + rng.gauss(0, 5) for step in range(300)]
    assert fed(learned) is None
    assert fed([*learned, *[2300.0] * 40]) is not None
    assert fed([*learned, *[500.0] * 40]) is not None
    assert fed([*learned, *[150.0] * 40]) is None


def test_a_jump_from_which_the_loss_falls_again_is_none() -> None:
    """As where a classifier is given another task: far above its level for hundreds of steps, and learning."""
    first = [0.01 + 2.3 * math.exp(-step / 30) for step in range(400)]
    second = [0.3 + 7.5 * math.exp(-step / 60) for step in range(400)]
    assert fed([*first, *second]) is None
    assert fed([*first, *second, *[8.0] * 40]) is not None


def test_a_loss_that_loses_half_of_what_was_learned_is_none_and_one_that_loses_all_is_an_explosion() -> None:
    """As where a part of the labels turns out to be wrong: thirty times the level, and the model is good."""
    rng = random.Random(5)
    learned = [0.05 + 2.3 * math.exp(-step / 30) + rng.gauss(0, 0.005) for step in range(300)]
    assert fed([*learned, *[1.4 + rng.gauss(0, 0.1) for _ in range(100)]]) is None
    assert fed([*learned, *[2.35 + rng.gauss(0, 0.05) for _ in range(100)]]) is not None


def test_a_loss_that_returns_to_nothing_from_below_is_none() -> None:
    """As that of a policy that is sure of what it does: there is nothing left to be learned from."""
    rng = random.Random(6)
    learning = [-0.1 * (1 - math.exp(-step / 20)) + rng.gauss(0, 0.01) for step in range(200)]
    assert fed([*learning, *[rng.gauss(0, 0.001) for _ in range(200)]]) is None


def test_where_a_run_has_been_and_came_back_from_it_may_go_again() -> None:
    """As the losses of adversaries, which go up and down."""
    wave = [3 * math.sin(step / 40) - 0.01 for step in range(2000)]
    assert fed([-2.9, *wave]) is None
    assert fed([*wave, *[60.0] * 60]) is not None


def test_what_has_gained_little_must_rise_to_a_hundred_times_its_best() -> None:
    rng = random.Random(7)
    plateau = [2.0 + rng.gauss(0, 0.05) for _ in range(200)]
    assert fed([*plateau, *[100.0] * 60]) is None
    assert fed([*plateau, *[300.0] * 60]) is not None


def test_a_single_loss_that_is_near_again_does_not_heal_what_stays_far_away() -> None:
    curve = [*healthy(300), *[1e4] * 60]
    for step in range(305, 360, 4):
        curve[step] = 50.0
    assert fed(curve) is not None


def test_a_jump_that_falls_for_long_is_none_until_it_stops_falling() -> None:
    falling = [1e5 * math.exp(-step / 60) for step in range(250)]
    assert fed([*healthy(300), *falling]) is None
    assert fed([*healthy(300), *falling[:100], *[falling[100]] * 60]) is not None


def test_a_validation_loss_that_rises_by_learning_by_heart_is_none() -> None:
    """It comes above that of the first epoch. Where steps are watched, only `factor` times the best is an explosion."""
    monitor = Monitor(RULE)
    for epoch in range(1, 60):
        monitor.step(epoch, 1 / epoch, 1.0)
        monitor.epoch_ended(epoch, {"val_loss": max(0.7, 1.3 - 0.2 * epoch) + 0.05 * max(0, epoch - 5)})
    monitor.run_ended({})
    assert monitor.explosion is None
    for epoch in (60, 61, 62):
        monitor.epoch_ended(epoch, {"val_loss": 500.0})
    assert monitor.explosion is not None


def test_a_rise_by_and_by_that_loses_little_of_the_gain_is_none() -> None:
    """As where the KL term gets its weight over some epochs: ten times the level, a quarter of what was gained."""
    learned = [3 + 100 * math.exp(-step / 20) for step in range(300)]
    assert (
        fed([*learned, *[3 + 25 * step / 200 for step in range(200)], *[28 - step / 100 for step in range(200)]])
        is None
    )
    assert fed([*learned, *[3 + 200 * step / 200 for step in range(200)]]) is not None


def test_a_loss_that_is_said_to_mean_something_else_is_compared_with_what_comes() -> None:
    monitor = Monitor(RULE)
    for step, loss in enumerate([*healthy(300), *[5000.0] * 100], start=1):
        monitor.step(step, loss, 1.0, restart=step == 301)
    monitor.run_ended({})
    assert monitor.explosion is None
    for step in range(401, 400 + RULE.patience):
        monitor.step(step, 1e6, 1.0)
    with pytest.raises(ExplodedError, match="rose from 5000"):
        monitor.step(400 + RULE.patience, 1e6, 1.0)


LEARNED_THEN_RAMPED = [
    *(3 + 100 * 0.97**step for step in range(300)),
    *(3 + step for step in range(25)),
    *(28 - step / 100 for step in range(200)),
]


def by_tens(rule: DivergenceRule, losses: list[float], restart: int | None = None) -> Monitor:
    """Ten steps an epoch, to the end."""
    monitor = Monitor(rule)
    with suppress(ExplodedError):
        for step, loss in enumerate(losses, start=1):
            monitor.step(step, loss, 1.0, restart=step == restart)
            if step % 10 == 0:
                monitor.epoch_ended(step // 10, {})
        monitor.run_ended({})
    return monitor


def test_a_weight_that_grows_from_where_it_is_told_of_is_no_start_that_diverges() -> None:
    """The first loss after that is not the untrained model's: the run need not come back to it."""
    assert by_tens(RULE, LEARNED_THEN_RAMPED).explosion is None
    assert by_tens(RULE, LEARNED_THEN_RAMPED, restart=301).explosion is None
    assert by_tens(DivergenceRule(quiet_until=30), LEARNED_THEN_RAMPED).explosion is None


def test_after_a_restart_a_gain_must_still_stand_out_of_the_noise() -> None:
    rng = random.Random(3)
    noise = [rng.gauss(0, 1) for _ in range(600)]
    curve = [1.0, *(0.6 * x - 0.1 for x in noise[:300]), *(0.6 * x + 1.5 for x in noise[300:])]
    assert by_tens(RULE, [*healthy(100), *curve], restart=101).explosion is None


def test_adversaries_that_start_far_below_their_balance_need_one_quiet_epoch() -> None:
    rng = random.Random(1)
    steps = [0.69, *(0.8 + 3.4 * step / 29 for step in range(30)), *(2.5 + rng.uniform(-0.4, 0.4) for _ in range(500))]
    explosion = by_tens(RULE, steps).explosion
    assert explosion is not None
    assert "never came back" in explosion.reason
    assert by_tens(DivergenceRule(quiet_until=1), steps).explosion is None


LEARNED_BY_HEART = [1.30, 0.95, 0.80, 0.74, 0.70, 0.72, 0.78, 0.86, 0.95, 1.05, 1.15, 1.25, 1.33, 1.40, 1.46, 1.5, 1.6]


def by_epoch(training: list[float], validation: list[float]) -> Explosion | None:
    monitor = Monitor(RULE)
    for epoch, (train_loss, val_loss) in enumerate(zip(training, validation, strict=True), start=1):
        monitor.epoch_ended(epoch, {"train_loss": train_loss, "eval_loss": val_loss})
        if monitor.explosion:
            break
    monitor.run_ended({})
    return monitor.explosion


def test_a_validation_loss_above_its_first_is_none_while_the_training_loss_falls_by_epoch() -> None:
    epochs = len(LEARNED_BY_HEART)
    assert by_epoch([0.8**epoch for epoch in range(epochs)], LEARNED_BY_HEART) is None
    gone = by_epoch([0.8**epoch for epoch in range(epochs + 3)], [*LEARNED_BY_HEART, *[500.0] * 3])
    assert gone is not None
    assert (gone.epoch, "eval_loss rose" in gone.reason) == (epochs + 1, True)


def test_a_validation_loss_above_its_first_is_an_explosion_where_the_training_loss_has_risen_too() -> None:
    """The mean of the first epoch is too high to be reached again: the training loss alone does not tell."""
    training = [3.1, 2.2, 1.9, 1.3, 0.8, 0.5, 0.3, *[2.45] * 4]
    explosion = by_epoch(training, [2.3, 2.1, 1.6, 1.0, 0.6, 0.5, 0.4, *[2.5] * 4])
    assert explosion is not None
    assert "eval_loss rose" in explosion.reason
    assert by_epoch(training, [1.0] * len(training)) is None


def test_until_the_quiet_epochs_are_over_a_loss_may_rise_but_not_be_not_finite() -> None:
    rule = DivergenceRule(quiet_until=5)
    monitor = Monitor(rule)
    for epoch, loss in enumerate([10.0, 1.0, 1.0, 1e3, 1e4, 1e4, 9e3, 8e3], start=1):
        monitor.step(epoch, loss, 1.0)
        monitor.epoch_ended(epoch, {"val_loss": loss})
    assert monitor.explosion is None
    for epoch in (9, 10, 11):
        monitor.epoch_ended(epoch, {"val_loss": 1e6})
    assert monitor.explosion is not None
    early = Monitor(rule)
    early.epoch_ended(1, {"val_loss": math.nan})
    assert early.explosion is not None


def test_a_loss_that_begins_at_nothing_has_no_level_yet() -> None:
    """As of values before any reward has been found."""
    rng = random.Random(4)
    assert fed([*[0.0] * 100, *[rng.expovariate(1.0) for _ in range(300)]]) is None
