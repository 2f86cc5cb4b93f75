"""What became of shadows, as metrics."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from stroke.adapters.prometheus.deployment import ShadowMetrics
from stroke.adapters.prometheus.observer import create_registry
from stroke.application.models.shadows import Agreement, Compared
from stroke.domain.risk import RiskCategory

BOUNDS = (0.0001, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
DIFFERENCES = st.one_of(st.floats(-1, 1), st.sampled_from([*BOUNDS, *(-each for each in BOUNDS)]))


@given(st.lists(st.tuples(*[st.sampled_from(RiskCategory)] * 2, DIFFERENCES), max_size=20))
def test_many_agreements_are_counted_as_one_by_one(
    said: list[tuple[RiskCategory, RiskCategory, float]],
) -> None:
    registry, plain = create_registry(), CollectorRegistry()
    one_by_one = Histogram("stroke_shadow_difference", "", registry=plain, buckets=BOUNDS)
    agreements = [Agreement(first, second, gap, "Female") for first, second, gap in said]

    ShadowMetrics(registry).seen(Compared("m-1", agreements))
    for _, _, gap in said:
        one_by_one.observe(abs(gap))

    version = {"model_version": "m-1"}
    for bound in [*map(str, BOUNDS), "+Inf"]:
        name, bucket = "stroke_shadow_difference_bucket", {"le": bound}
        assert registry.get_sample_value(name, version | bucket) == plain.get_sample_value(
            name, bucket
        )
    for first in RiskCategory:
        for second in RiskCategory:
            pair = {"champion": first, "shadow": second, "gender": "Female"}
            found = registry.get_sample_value("stroke_shadow_compared_total", version | pair)
            assert (found or 0) == sum(each[:2] == (first, second) for each in said)
