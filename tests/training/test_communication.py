"""What replicas send each other: counted in a traced step, and its time by the formulas."""

import json
import pathlib
import subprocess
import sys

import keras
import pytest
import small_problem as problem

import keras_mtl as mtl
from keras_mtl.training import Communication, Link
from keras_mtl.training._communication._link import LINKS

SCRIPT = pathlib.Path(__file__).with_name("communication_run.py")
K, P, Q = 8, 10_000_000, 1_000_000
# Messages of these sizes, beside which the others take no time.
MESSAGES = {"losses": (2 * K, P + Q), "parameters": (2 * K, K * P, P + Q)}


@pytest.mark.slow
def test_the_messages_are_those_of_a_traced_step():
    done = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    modes = json.loads(done.stdout)
    of_layers = {f"losses of layers, {kind}" for kind in ("activity", "penalized", "calibrated")}
    of_modes = {"losses", "representation", "parameters", "clipped", "merged", "sketched"}
    of_modes |= {"modulated losses", "modulated parameters"}
    assert {*modes} == of_layers | of_modes
    for mode, sizes in modes.items():
        assert sizes["counted"] == sizes["stated"], mode


def test_what_is_clipped_is_sent_twice():
    sent = []
    for limit in ({}, {"global_clipnorm": 1.0}):
        model = mtl.BalancedModel(problem.network(), problem.tasks(), mtl.balancers.MGDA())
        model.compile(keras.optimizers.SGD(0.1, **limit))
        sent.append(mtl.training.communication(model, 2).messages)
    for mode, messages in sent[0].items():
        assert sent[1][mode] == (*messages, messages[-1])


@pytest.mark.parametrize(
    ("link", "mode", "work", "expected"),
    [
        # milliseconds and efficiency at 2, 8, 64, 256 and 1,000 replicas
        ("25GbE", "losses", 0.06, [(14, 81), (25, 70), (29, 68), (29, 67), (29, 67)]),
        ("25GbE", "parameters", 0.192, [(117, 62), (205, 48), (234, 45), (234, 45), (235, 45)]),
        ("100GbE", "losses", 0.06, [(4, 94), (6, 90), (7, 89), (7, 89), (7, 89)]),
        ("100GbE", "parameters", 0.192, [(29, 87), (51, 79), (58, 76), (59, 76), (59, 76)]),
        ("NVLink + 400G", "parameters", 0.192, [(1, 99), (2, 99), (4, 98), (5, 97), (8, 96)]),
    ],
)
def test_times_and_efficiencies_to_a_thousand_replicas(link, mode, work, expected):
    for replicas, (milliseconds, percent) in zip((2, 8, 64, 256, 1000), expected, strict=True):
        sent = Communication(replicas, LINKS[link], MESSAGES)
        assert abs(1e3 * sent.seconds(mode) - milliseconds) < 1
        assert abs(100 * sent.efficiency(mode, work) - percent) < 1
    assert Communication(1, LINKS[link], MESSAGES).seconds(mode) == 0
    assert sent.bytes("losses") == 4 * (2 * K + P + Q)


def test_two_levels_are_two_rings():
    link = Link(1.0, 10.0, group=4, inner_latency=0.5, inner_bandwidth=100.0)
    inner = 2 * 3 * 0.5 + 2 * 3 / 4 * 80 / 100
    outer = 2 * 1 * 1.0 + 2 * 1 / 2 * (80 / 4) / 10
    assert link.seconds(80, replicas=8) == pytest.approx(inner + outer)
    assert link.seconds(80, replicas=3) == pytest.approx(2 * 2 * 0.5 + 2 * 2 / 3 * 80 / 100)


def test_wrong_arguments_are_refused():
    model = mtl.BalancedModel(problem.network(), problem.tasks(), mtl.balancers.MGDA())
    model.compile("sgd")
    with pytest.raises(ValueError, match="link is 'wifi'; expected one of"):
        mtl.training.communication(model, 2, "wifi")
    with pytest.raises(ValueError, match="replicas is 0"):
        mtl.training.communication(model, 0)
    with pytest.raises(ValueError, match="bandwidth 0"):
        Link(0.0, 0.0)


def test_a_plain_network_is_refused():
    with pytest.raises(TypeError, match="model is a Functional; expected a BalancedModel"):
        mtl.training.communication(problem.network(), 2)
