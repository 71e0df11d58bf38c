"""Customer service: the loss of the answers in NumPy, and the whole system, small."""

import pathlib
import re
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parents[2] / "examples" / "systems"))

from customer_service import __main__ as program
from customer_service import measures, network, retrieval, sources, tickets


def test_an_answer_is_compared_with_the_other_answers_of_the_batch():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 2 * retrieval.UNITS)) / 7
    answer = np.array([3, 8, 3, 1, 8])
    expected = []
    for i in range(5):
        message = vectors[i, : retrieval.UNITS]
        similar = np.exp(vectors[:, retrieval.UNITS :] @ message / retrieval.TEMPERATURE)
        candidates = [j for j in range(5) if j == i or answer[j] != answer[i]]
        expected.append(-np.log(similar[i] / similar[candidates].sum()))
    loss = retrieval.in_batch_negatives(tf.constant(answer), tf.constant(vectors))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_messages_without_an_answer_are_no_negatives():
    loss = retrieval.IN_BATCH.make_loss()
    vectors = np.random.default_rng(0).normal(size=(4, 2 * retrieval.UNITS)).astype("float32")
    answer, weight = np.array([1, 0, 2, 0]), np.array([1.0, 0, 1, 0], "float32")
    alone = retrieval.in_batch_negatives(answer[::2], tf.constant(vectors[::2]))
    np.testing.assert_allclose(
        loss(answer[:, None], vectors, sample_weight=weight), np.mean(alone), rtol=1e-6
    )


def test_no_message_of_training_needs_an_answer_that_counts_as_new():
    _, answers, urgency = tickets.make(500, 0, [p for p in tickets.PAIRS if p != tickets.PAIRS[7]])
    assert 7 not in answers and len(np.unique(answers)) == len(tickets.PAIRS) - 1
    assert set(urgency) == {0, 1, 2} and len(set(tickets.ANSWERS)) == len(tickets.ANSWERS)


@pytest.fixture(scope="module")
def trained():
    encoder, train, test = sources.load(rows=64)
    return encoder, network.train(sources.TASKS, train, epochs=1), test


def test_the_served_network_chooses_among_all_answers_as_the_trained_one_does(trained):
    encoder, model, test = trained
    figures = measures.figures(model, encoder, test)
    assert list(figures) == ["mood", "intent", "urgency", "slots", "answer", "new answer"]
    assert figures["intent"] > 0.5 and np.isfinite(list(figures.values())).all()
    texts = tickets.make(40, 3)[0].astype(object)
    x = {"words": np.array(encoder(texts))}
    bank = np.array(network.vectors(model, encoder(np.array(tickets.ANSWERS, object))))
    messages = measures.predict(model, x)["answer"][:, : retrieval.UNITS]
    expected = (messages @ bank.T).argmax(-1)
    served = network.serve(model, encoder, tickets.ANSWERS)
    answer = {name: np.array(value) for name, value in served(tf.constant(texts)).items()}
    np.testing.assert_array_equal(answer["answer"].argmax(-1), expected)
    np.testing.assert_allclose(answer["answer"].sum(-1), 1, atol=1e-5)
    longer = network.serve(model, encoder, [*tickets.ANSWERS, "we will call you back"])
    assert longer(tf.constant(texts))["answer"].shape == (40, len(tickets.ANSWERS) + 1)
    told = program.describe(texts[0], answer)
    assert tickets.ANSWERS[expected[0]] in told and "intent " in told


@pytest.mark.slow
def test_all_tasks_are_measured(capsys):
    rows = program.main(["measure", "--rows", "64", "--epochs", "1", "--seeds", "2"])
    assert list(rows)[2:] == ["one for each task", "one for all", "one for all, UPGrad"]
    assert all(len(cells) == len(program.COLUMNS) for cells in rows.values())


@pytest.mark.slow
def test_a_server_answers_messages_of_a_terminal(tmp_path, capsys):
    model = tmp_path / "service"
    program.main(["train", "--model", str(model), "--rows", "400", "--epochs", "6"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "keras_mtl.serve", str(model), "--tensorflow", "--port", port]
    place = ["--url", f"http://127.0.0.1:{port}", "--model", str(model)]
    with subprocess.Popen(command) as server:
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                        break
                time.sleep(0.5)
            asked = subprocess.run(
                [sys.executable, "-m", "customer_service", "ask", *place],
                input="my printer makes noise right now please\nplay some jazz\n",
                cwd=pathlib.Path(program.__file__).parents[1],
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            )
            program.main(["latency", *place, "--rounds", "20"])
        finally:
            server.terminate()
    assert asked.stdout.count("\n  > ") == 2 and "PlayMusic" in asked.stdout
    assert re.search(r"all tasks: median \d+\.\d ms", capsys.readouterr().out)
