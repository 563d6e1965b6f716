"""The model agrees with what is known of queues."""

from dataclasses import replace
from statistics import mean

import pytest

from benchmarks.simulation.database import ACCEPT, CLAIM, DELIVERED, FINISH
from benchmarks.simulation.run import simulate
from benchmarks.simulation.world import Costs, People, Speed, World

TEN = 10
"""Tokens of every reply."""
QUIET = World(
    gateways=1,
    servers=1,
    people=People(number=1, pause=0.0, replies=(TEN,), question=0, moods=False),
    speed=Speed(step=0.1),
    costs=Costs(),
)


def crowd(number: int, pause: float = 0.0) -> People:
    return replace(QUIET.people, number=number, pause=pause)


def test_one_person_waits_for_the_steps_of_the_reply() -> None:
    """Without a queue, an answer takes its number of tokens times the step."""
    result = simulate(QUIET, 100)
    assert result.whole(0.5) == pytest.approx(TEN * 0.1)
    assert result.seen.first[0] == pytest.approx(0.1)


def test_a_mood_costs_a_step_before_the_reply() -> None:
    """The first token is seen a step later if a mood is read, whose prompt is read too."""
    people = replace(QUIET.people, moods=True, question=5)
    result = simulate(replace(QUIET, people=people, speed=Speed(step=0.1, prompt_token=0.01)), 100)
    assert result.seen.first[0] == pytest.approx(2 * (0.1 + 5 * 0.01))


def test_one_server_with_one_row_is_an_md1_queue() -> None:
    """Many people at half of the capacity wait half a service on average, as Pollaczek and Khinchine say."""
    service = TEN * 0.001
    world = replace(QUIET, people=crowd(200, pause=200 * service / 0.5), speed=Speed(step=0.001, slots=1))
    result = simulate(world, 60, warm_up=1, seed=3)
    assert result.rate * service == pytest.approx(0.5, rel=0.05)
    assert mean(result.seen.whole) == pytest.approx(service + 0.5 * service / (2 * 0.5), rel=0.05)


def test_a_full_batch_answers_as_its_steps_say() -> None:
    """At saturation, eight rows are written in the time of their steps, with the further rows' share."""
    people = replace(crowd(24), replies=(100,))
    result = simulate(replace(QUIET, people=people, speed=Speed(step=0.01, row=0.001), max_batch=16), 34, warm_up=2)
    assert result.rate == pytest.approx(8 / (100 * (0.01 + 7 * 0.001)), rel=0.03)
    assert result.server == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("pause", [0.0, 5.0])
def test_littles_law_holds(pause: float) -> None:
    """The people are as many as the rate times the time of their round: pause and answer."""
    costs = Costs(gateway_message=0.01, gateway_trip=0.001, database_trip=0.001, commit=0.005)
    result = simulate(replace(QUIET, people=crowd(30, pause), costs=costs), 60, warm_up=20)
    assert result.rate * (pause + mean(result.seen.whole)) == pytest.approx(30, rel=0.06)


def test_no_message_is_lost_or_answered_twice() -> None:
    """Of the messages that were acknowledged, all are answered but those under way, at most one of each person."""
    people = replace(crowd(20), programs=3)
    result = simulate(replace(QUIET, gateways=2, servers=2, people=people, costs=Costs(commit=0.01)), 50)
    assert 0 <= len(result.seen.acknowledged) - len(result.seen.whole) <= 20
    assert len(result.seen.first) >= len(result.seen.whole) > 100


def test_twice_the_servers_answer_twice_as_many() -> None:
    """If the model is what people wait for, two servers have twice the rate of one."""
    one, two = (simulate(replace(QUIET, servers=servers, people=crowd(64)), 40, warm_up=4).rate for servers in (1, 2))
    assert two / one == pytest.approx(2, rel=0.05)


def test_twice_the_gateways_answer_twice_as_many() -> None:
    """If the gateway's interpreter is what people wait for, two gateways have twice the rate of one."""
    world = replace(QUIET, servers=4, people=crowd(64), speed=Speed(step=0.001), costs=Costs(gateway_message=0.05))
    one, two = (simulate(replace(world, gateways=gateways), 15, warm_up=2) for gateways in (1, 2))
    assert one.rate == pytest.approx(1 / 0.05, rel=0.03)
    assert one.gateway == pytest.approx(1, rel=0.01)
    assert two.rate / one.rate == pytest.approx(2, rel=0.05)


def test_the_database_is_a_ceiling_for_all_gateways() -> None:
    """More gateways do not help if the cores of the database are busy."""
    costs = Costs(database_trip=0.001)
    world = replace(QUIET, people=crowd(64), servers=4, speed=Speed(step=0.001), costs=costs, database_cores=1)
    two, four = (simulate(replace(world, gateways=gateways), 15, warm_up=2) for gateways in (2, 4))
    assert two.database == pytest.approx(1, rel=0.02)
    assert four.rate <= two.rate * 1.05


def test_messages_of_one_key_are_accepted_one_after_the_other() -> None:
    """The row of a key is locked until the commit, so a program has at most the rate of its admissions."""
    admission = ACCEPT.trips * 0.002
    world = replace(QUIET, gateways=4, people=crowd(64), servers=4, speed=Speed(step=0.001), database_cores=32)
    of_page, of_one = (
        simulate(
            replace(world, people=replace(world.people, programs=programs), costs=Costs(database_trip=0.002)),
            10,
            warm_up=2,
        ).rate
        for programs in (0, 1)
    )
    assert of_one <= 1.05 / admission < of_page


def test_transactions_that_run_alone_hold_up_all_others() -> None:
    """The rate falls if each message has a transaction that runs alone, to one at a time."""
    costs = Costs(commit=0.01)
    world = replace(QUIET, gateways=4, people=crowd(64), servers=4, speed=Speed(step=0.001), costs=costs)
    beside, alone = (
        simulate(replace(world, alone_every=every, alone=0.05), 10, warm_up=2).rate for every in (float("inf"), 1)
    )
    assert alone <= 1 / (0.05 + 0.01) < beside


def test_notices_order_the_commits_of_all_gateways() -> None:
    """A claim and a reply send a notice each, so both have the disk for themselves, however many gateways there are."""
    world = replace(QUIET, gateways=8, people=crowd(64), servers=4, speed=Speed(step=0.001), costs=Costs(commit=0.01))
    assert simulate(world, 10, warm_up=2).rate <= 1 / (2 * 0.01)


def test_a_commit_waits_for_the_disk() -> None:
    """An answer waits for four commits before it is seen, of its admission, its claim and its reply."""
    seen = simulate(replace(QUIET, costs=Costs(commit=0.5)), 100).seen
    writing = [verb for verb in (ACCEPT, CLAIM, FINISH, DELIVERED) if verb.writes]
    assert len(writing) == 4
    assert seen.acknowledged[0] == pytest.approx(0.5)
    assert seen.whole[0] == pytest.approx(3 * 0.5 + TEN * 0.1)


def test_the_same_seed_has_the_same_result() -> None:
    """A run can be repeated, and another seed is another run."""
    world = replace(QUIET, gateways=2, servers=2, people=crowd(20, pause=1.0), costs=Costs(gateway_message=0.01))
    first, again, other = (simulate(world, 30, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.seen.whole != other.seen.whole


def test_pieces_that_are_sent_together_change_little() -> None:
    """It is faster to simulate, and the rate and the first piece are those of single pieces."""
    world = replace(QUIET, people=crowd(6, pause=1.0), costs=Costs(gateway_piece=0.001, client_piece=0.001))
    single, together = (simulate(replace(world, pieces_together=pieces), 60, warm_up=5) for pieces in (1, 5))
    assert together.rate == pytest.approx(single.rate, rel=0.05)
    assert mean(together.seen.first) == pytest.approx(mean(single.seen.first), rel=0.05)


@pytest.mark.parametrize(("cache", "cached"), [(0, 0.0), (200, 0.1), (100_000, 0.9)])
def test_a_history_is_read_again_unless_the_cache_has_it(cache: int, cached: float) -> None:
    """A cache that is smaller than the histories between two messages of a person is of no use."""
    people = replace(crowd(20, pause=10.0), history=100)
    speed = Speed(step=0.01, prompt_token=0.001, cache=cache)
    assert simulate(replace(QUIET, people=people, speed=speed), 100).cached == pytest.approx(cached, abs=0.1)
