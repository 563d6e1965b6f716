"""A scrape is one text, whatever the model server sends."""

import pytest
from prometheus_client import CollectorRegistry, Counter

from bots.fronts import Health
from bots.metrics import CacheLookups, Scrape
from core.inference.batching.metrics import Metrics
from core.stages.cache import AnswerCache

FOREIGN = b"""# HELP vllm:num_requests_running Number of requests.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="m"} 2.0
# HELP parley_model_up Somebody else's.
# TYPE parley_model_up gauge
parley_model_up 7.0
"""


def scrape(model: bytes | None) -> list[str]:
    made = Scrape(
        now=0.0,
        monotonic=9.0,
        counted=CollectorRegistry(),
        platforms={
            "slack": Health(connected=False, heard_at=4.0),
            "telegram": Health(connected=True, heard_at=None, standing_by=True),
        },
        stored=None,
        model=model,
    )
    return made.text().decode().splitlines()


def test_the_metrics_of_another_server_stand_beside_ours() -> None:
    """A name that is ours is left out of them."""
    found = scrape(FOREIGN)
    assert 'vllm:num_requests_running{model_name="m"} 2.0' in found
    assert [line for line in found if line.startswith("parley_model_up")] == ["parley_model_up 1.0"]


@pytest.mark.parametrize("text", [b"<html>no metrics</html>", b"a 1\nb {{{ 2", b"\xff\xfe", b'x{y="1} 2', b"a b c d"])
def test_what_is_no_metrics_is_left_out(text: bytes) -> None:
    """Nothing of it is in the scrape, which would be refused as a whole."""
    assert scrape(text) == scrape(b"")


def test_the_metrics_of_our_own_server_come_through_as_they_are() -> None:
    """Counters, histograms and gauges keep their names, labels and values."""
    sent = Metrics()
    sent.read.inc(3)
    sent.rows.observe(2)
    lines = sent.text().decode().splitlines()
    kept = [line for line in lines if not line.startswith("#") and "process_" not in line]
    assert [line for line in kept if line not in scrape(sent.text())] == []


def test_a_part_that_does_not_work_is_named() -> None:
    """The scrape goes on without it."""
    found = scrape(None)
    assert {"parley_store_up 0.0", "parley_model_up 0.0"} <= set(found)
    assert 'parley_platform_connected{platform="slack"} 0.0' in found
    assert 'parley_platform_silent_seconds{platform="slack"} 5.0' in found
    assert 'parley_platform_standing_by{platform="slack"} 0.0' in found
    assert 'parley_platform_standing_by{platform="telegram"} 1.0' in found
    assert 'parley_platform_connected{platform="telegram"} 1.0' in found
    assert 'parley_platform_silent_seconds{platform="telegram"}' not in "".join(found)


def test_lookups_of_the_cache_are_counted() -> None:
    """Hits and misses, as the cache counts them."""
    answers = AnswerCache(size=1, ttl=1, timer=lambda: 0.0)
    answers.hits, answers.misses = 2, 3
    registry = CollectorRegistry()
    Counter("other", "Another one", registry=registry)
    registry.register(CacheLookups(answers))
    assert registry.get_sample_value("parley_answer_cache_lookups_total", {"result": "hit"}) == 2
    assert registry.get_sample_value("parley_answer_cache_lookups_total", {"result": "miss"}) == 3
