"""Batches: which requests are computed together, and that none pays for another."""

import asyncio
import dataclasses
import threading

import numpy as np
import pytest
from tiny_model import interface

from keras_mtl.serving import Limits, Settings
from keras_mtl.serving._batches import Batches
from keras_mtl.serving._contract import make_contract
from keras_mtl.serving._requests._refusal import Refusal
from keras_mtl.serving._requests._request import Request
from keras_mtl.serving._runtimes._runtime import BadRows
from keras_mtl.serving._versions._version import Version


class Doubles:
    """Answers twice the hours; a negative number cannot be read, 1000 makes NaN, 2000 a fault."""

    def __init__(self):
        self.calls = []
        self.may_go = threading.Event()
        self.may_go.set()

    def run(self, columns, outputs):
        self.may_go.wait(5)
        hours = columns["hours"].astype(float)
        self.calls.append((hours.tolist(), tuple(outputs)))
        if (hours < 0).any():
            raise BadRows
        if (hours == 2000).any():
            raise RuntimeError("Secret-7391")
        return {name: np.where(hours == 1000, np.nan, 2 * hours) for name in outputs}


def version(number=1):
    return Version(number, make_contract(interface()), Doubles(), "doubles")


def request(*hours, outputs=("left",), shape=()):
    return Request({"hours": list(hours)}, {"hours": shape}, len(hours), outputs, "left")


def answer_all(pairs, settings=None, limits=None):
    """Asks for some requests while the runtime is busy; returns answers, or refusals."""

    async def run():
        batches = Batches(settings or Settings(), limits or Limits(), lambda *facts: None)
        running = asyncio.create_task(batches.run())
        runtimes = {served.runtime for served, _ in pairs}
        for runtime in runtimes:
            runtime.may_go.clear()
        # This one keeps the runtime busy until all are waiting.
        first = asyncio.create_task(batches.ask(pairs[0][0], request(0.0)))
        await asyncio.sleep(0.02)
        tasks = [asyncio.create_task(batches.ask(*pair)) for pair in pairs]
        await asyncio.sleep(0.02)
        for runtime in runtimes:
            runtime.may_go.set()
        await first
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        running.cancel()
        batches.close()
        assert batches.waiting_rows == 0
        return answers

    return asyncio.run(asyncio.wait_for(run(), 20))


def test_what_waits_is_computed_together_and_split_by_rows():
    served = version()
    sizes = [1, 3, 2, 1]
    requests = [request(*[10.0 * k + i for i in range(size)]) for k, size in enumerate(sizes)]
    answers = answer_all([(served, r) for r in requests])
    assert len(served.runtime.calls) == 2
    for answer, r in zip(answers, requests, strict=True):
        assert answer["left"].tolist() == [2 * value for value in r.values["hours"]]


@pytest.mark.parametrize(
    ("hours", "status", "sentence"),
    [
        (-1.0, 400, "cannot read a value"),
        (1000.0, 500, "'left' is not finite"),
        (2000.0, 500, "the model failed on this request."),
    ],
)
def test_a_request_that_fails_spoils_no_other(hours, status, sentence, caplog):
    served = version()
    requests = [request(float(k)) for k in range(6)]
    requests.insert(3, request(hours))
    answers = answer_all([(served, r) for r in requests])
    failed = answers.pop(3)
    assert isinstance(failed, Refusal)
    assert failed.status == status
    assert sentence in failed.sentence
    assert [answer["left"].tolist() for answer in answers] == [[2.0 * k] for k in range(6)]
    assert "Secret" not in caplog.text


def test_a_fault_of_the_server_itself_leaves_nobody_waiting(monkeypatch):
    compute = Batches._compute

    def fail(batches, batch):
        if len(batch) == 2:
            raise MemoryError
        return compute(batches, batch)

    monkeypatch.setattr(Batches, "_compute", fail)
    served = version()
    pairs = [(served, request(1.0)), (served, request(2.0)), (version(2), request(3.0))]
    answers = answer_all(pairs)
    assert [answer.status for answer in answers[:2]] == [500, 500]
    assert answers[2]["left"].tolist() == [6.0]


def test_versions_and_shapes_are_computed_apart_and_outputs_once():
    old, new = version(1), version(2)
    pairs = [(old, request(1.0)), (new, request(2.0)), (old, request(3.0, outputs=("income",)))]
    pairs += [(new, request(4.0)), (new, request(5.0))]
    answers = answer_all(pairs)
    assert [*old.runtime.calls[1:]] == [([1.0, 3.0], ("left", "income"))]
    assert new.runtime.calls == [([2.0, 4.0, 5.0], ("left",))]  # in the order of their arrival
    assert [set(answer) for answer in answers[:3]] == [{"left"}, {"left"}, {"income"}]
    assert [answer["left"].item() for answer in answers[3:]] == [8.0, 10.0]
    served = version()
    answer_all([(served, request(1.0)), (served, request(2.0, shape=(1,)))])
    assert len(served.runtime.calls) == 3


def test_a_batch_has_a_largest_size_and_the_order_is_kept():
    served = version()
    answers = answer_all([(served, request(float(k))) for k in range(7)], Settings(batch_rows=3))
    assert [hours for hours, _ in served.runtime.calls[1:]] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [answer["left"].tolist() for answer in answers] == [[2.0 * k] for k in range(7)]
    answer_all([(served, request(*map(float, range(9))))], Settings(batch_rows=3))
    assert served.runtime.calls[-1][0] == [*range(9)]


def test_requests_beyond_the_bound_of_waiting_rows_are_refused_at_once():
    served = version()
    answers = answer_all([(served, request(1.0, 2.0))] * 4, limits=Limits(waiting_rows=6))
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert [refusal.status for refusal in refused] == [503, 503]
    assert [dict(answer)["left"].tolist() for answer in answers[:2]] == [[2.0, 4.0]] * 2


def test_a_contract_is_made_whole_or_refused():
    whole = interface()
    assert make_contract(whole).reads["left"] == ("hours",)
    odd = dataclasses.replace(whole.inputs["hours"], dtype="complex64")
    broken = dataclasses.replace(whole, inputs={**whole.inputs, "hours": odd})
    with pytest.raises(ValueError, match="'hours' has the unknown dtype 'complex64'"):
        make_contract(broken)
