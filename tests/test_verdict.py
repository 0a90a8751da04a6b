"""Published figures against ours, on made cases; intervals of rates against published ones."""

import pytest

from models.declaration import DECLARATION
from orchestrator.comparison.intervals import half_width, wilson
from orchestrator.reports.verdict import OurResult, Verdict, of_figure, of_outcome, rule
from orchestrator.trial import Outcome

REPRODUCED, COMPATIBLE, DIFFERS, NOT_COMPARABLE = Verdict


def seeds(*values: float, exploded: int = 0) -> OurResult:
    return OurResult(values, exploded, len(values) + exploded)


def paired(*values: float) -> OurResult:
    return OurResult(values, 0, len(values), range(len(values)))


@pytest.mark.parametrize(
    ("metric", "published", "ours", "verdict", "reason"),
    [
        # equal, and within the tolerance of the metric
        ("ssim", 0.85, seeds(0.85), REPRODUCED, "within 0.02"),
        ("ssim", 0.85, seeds(0.831), REPRODUCED, "within 0.02"),
        ("val_ssim", 0.85, seeds(0.869), REPRODUCED, "within 0.02"),
        ("mse", 0.02, seeds(0.0229), REPRODUCED, "within 0.003"),
        ("val_loss", 39.4, seeds(41.0), REPRODUCED, "within 2"),
        ("ssim", 0.85, seeds(0.86, 0.861, 0.859), REPRODUCED, "within 0.02"),
        # off
        ("ssim", 0.85, seeds(0.829), DIFFERS, "more than 0.02 apart"),
        ("ssim", 0.242, seeds(0.78, 0.781, 0.779), DIFFERS, "more than 0.02 apart"),
        ("mse", 0.02, seeds(0.0231), DIFFERS, "more than 0.003 apart"),
        ("val_loss", 39.4, seeds(42.0), DIFFERS, "more than 2 apart"),
        ("score", 0.0, seeds(0.1), DIFFERS, "more than 0 apart"),
        # beyond the tolerance, and within the interval of the mean, ±0.0298
        ("ssim", 0.85, seeds(0.813, 0.825, 0.837), REPRODUCED, "within our 95% interval"),
        # as far, but the seeds scatter less: ±0.0050
        ("ssim", 0.85, seeds(0.823, 0.825, 0.827), DIFFERS, "more than 0.02 apart"),
        # within an interval so wide, ±0.66, that anything would be
        ("ssim", 0.85, seeds(0.5, 1.0, 0.6), NOT_COMPARABLE, "our seeds scatter too much: ±0.66"),
        # also where the mean itself is near
        ("ssim", 0.85, seeds(0.5, 1.0, 1.05), NOT_COMPARABLE, "our seeds scatter too much: ±0.76"),
        # and one so wide tells of what lies outside of it that it differs
        ("ssim", 0.10, seeds(0.60, 0.61, 0.80), DIFFERS, "more than 0.02 apart"),
        # exploded here and not there
        ("ssim", 0.85, seeds(exploded=1), DIFFERS, "1 of 1 exploded here; the published run completed"),
        ("ssim", 0.85, seeds(0.85, exploded=1), DIFFERS, "1 of 2 exploded here; the published run completed"),
        ("ssim", 0.85, seeds(0.85, 0.85, exploded=1), REPRODUCED, "within 0.02"),
        # missing figures
        ("ssim", None, seeds(0.85), NOT_COMPARABLE, "nothing published"),
        ("ssim", 0.85, OurResult(), NOT_COMPARABLE, "we have no result"),
        ("ssim", 0.85, OurResult((), 0, 1), NOT_COMPARABLE, "we have no such figure"),
    ],
)
def test_a_published_figure(
    metric: str, published: float | None, ours: OurResult, verdict: Verdict, reason: str
) -> None:
    judged = of_figure(metric, published, ours, DECLARATION)
    assert (judged.verdict, judged.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("published", "ours", "verdict"),
    [
        (Outcome.EXPLODED, seeds(exploded=1), REPRODUCED),
        (Outcome.EXPLODED, seeds(0.8, exploded=1), REPRODUCED),
        (Outcome.EXPLODED, seeds(0.8, 0.8, exploded=1), DIFFERS),
        (Outcome.EXPLODED, seeds(0.8), DIFFERS),
        (Outcome.COMPLETED, seeds(0.8), REPRODUCED),
        (Outcome.COMPLETED, seeds(exploded=2), DIFFERS),
        (Outcome.EXPLODED, OurResult(), NOT_COMPARABLE),
        (Outcome.FAILED, seeds(0.8), NOT_COMPARABLE),
    ],
)
def test_a_published_outcome(published: Outcome, ours: OurResult, verdict: Verdict) -> None:
    assert of_outcome(published, ours).verdict is verdict


@pytest.mark.parametrize(
    ("ours", "others", "verdict", "reason"),
    [
        (seeds(0.85), [seeds(0.829), seeds(0.9)], REPRODUCED, "within 0.02, and the nearest of 3 rows"),
        # another row of ours would have it as well, whether it is nearer or not
        (seeds(0.851), [seeds(0.9), seeds(0.85)], COMPATIBLE, "within 0.02, as row 1"),
        (seeds(0.85), [seeds(0.866), seeds(0.9)], COMPATIBLE, "within 0.02, as row 0"),
        (seeds(0.85), [seeds(0.85)] * 6, COMPATIBLE, "within 0.02, as row 0 and 5 other rows"),
        # whose seeds scatter so much that it has no figure
        (seeds(0.85), [seeds(0.5, 1.0, 0.6)], REPRODUCED, "within 0.02, and the nearest of 2 rows"),
        # as near by the tolerance, and on the same seeds told from it, or not
        (paired(0.85, 0.86, 0.84), [paired(0.858, 0.869, 0.849)], REPRODUCED, "within 0.02, and the nearest of 2 rows"),
        (paired(0.85, 0.86, 0.84), [paired(0.848, 0.869, 0.859)], COMPATIBLE, "within 0.02, as row 0"),
        (seeds(0.85, 0.86, 0.84), [paired(0.858, 0.869, 0.849)], COMPATIBLE, "within 0.02, as row 0"),
        (paired(0.85, 0.852), [OurResult((0.86, 0.862), 0, 2, (2, 3))], COMPATIBLE, "within 0.02, as row 0"),
        # told from each other, and the wrong one is nearer
        (paired(0.858, 0.869, 0.849), [paired(0.85, 0.86, 0.84)], COMPATIBLE, "within 0.02, and not as near as row 0"),
        # ours agrees by its interval alone, and another one is nearer
        (seeds(0.813, 0.825, 0.837), [seeds(0.829)], COMPATIBLE, "within our 95% interval, and not as near as row 0"),
        (seeds(0.813, 0.825, 0.837), [seeds(0.82)], REPRODUCED, "within our 95% interval, and the nearest of 2 rows"),
        # rows that explode, or have nothing, are told apart
        (seeds(0.85), [seeds(0.85, exploded=1), OurResult()], REPRODUCED, "within 0.02, and the nearest of 3 rows"),
        (seeds(0.7), [seeds(0.85)], DIFFERS, "more than 0.02 apart"),
    ],
)
def test_a_figure_that_another_row_of_ours_has_as_well_is_compatible_and_not_reproduced(
    ours: OurResult, others: list[OurResult], verdict: Verdict, reason: str
) -> None:
    named = [(f"row {i}", other) for i, other in enumerate(others)]
    judged = of_figure("ssim", 0.85, ours, DECLARATION, named)
    assert (judged.verdict, judged.reason) == (verdict, reason)


def test_an_outcome_that_all_of_our_rows_have_is_compatible() -> None:
    alike, unlike = [("a", seeds(exploded=2))], [("a", seeds(exploded=2)), ("b", seeds(0.8)), ("c", OurResult())]
    assert of_outcome(Outcome.EXPLODED, seeds(exploded=1), alike).verdict is COMPATIBLE
    assert of_outcome(Outcome.EXPLODED, seeds(exploded=1), unlike).verdict is REPRODUCED
    assert of_outcome(Outcome.EXPLODED, seeds(0.8), alike).verdict is DIFFERS


def test_the_rule_names_its_numbers() -> None:
    words = " ".join(rule([DECLARATION]))
    for number in ("0.02", "15%", "5%", "95%", "2 tolerances", "half of our seeds"):
        assert number in words


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),  # R: binom::binom.confint(count, total, methods = "wilson")
    [(0, 10, 0.0, 0.2775328), (5, 10, 0.2365931, 0.7634069), (1, 3, 0.0614919, 0.7923404), (3, 3, 0.4385030, 1.0)],
)
def test_wilsons_interval_is_the_known_one(count: int, total: int, low: float, high: float) -> None:
    assert wilson(count, total) == pytest.approx((low, high), abs=1e-6)


def test_students_interval_is_the_known_one() -> None:
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(4.302653 / 3**0.5)  # t of two degrees of freedom
    assert half_width([1.0]) is None
