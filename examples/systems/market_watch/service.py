"""The watch: reads texts one by one, scores them, and tells shifts as they are noticed."""

import collections
import dataclasses
import json
import pathlib

import numpy as np
import tensorflow as tf

from .alarms import PageHinkley
from .page import render

RECENT = 50  # texts of a topic, whose mean is shown


def save_tests(folder, tests, run_length):
    """Writes the test of each topic beside the versions of the model."""
    content = {name: dataclasses.asdict(test) for name, test in tests.items()}
    text = json.dumps({"run_length": run_length, "topics": content}, indent=1)
    pathlib.Path(folder, "watch.json").write_text(text)


@dataclasses.dataclass
class _Running:
    """Holds what the test of one topic remembers: it is that of `PageHinkley`, score by score."""

    count: int = 0
    total: float = 0.0
    above: float = 0.0
    below: float = 0.0

    def add(self, test, score):
        """Takes one score and returns S+ and S-."""
        self.count, self.total = self.count + 1, self.total + score
        centered = 0.0 if self.count <= test.quiet else score - self.total / self.count
        z = centered / test.deviation
        self.above = max(self.above + z - test.k, 0.0)
        self.below = max(self.below - z - test.k, 0.0)
        return self.above, self.below


class Watch:
    """Holds a served network and one running test per topic.

    `read` takes texts and returns a sentence for each alarm. After an alarm the test of this topic
    begins anew: it is quiet for a while, and the new level is the one that it compares with.
    """

    def __init__(self, folder):
        content = json.loads(pathlib.Path(folder, "watch.json").read_text())
        self.run_length = content["run_length"]
        self.tests = {name: PageHinkley(**test) for name, test in content["topics"].items()}
        self.names = list(self.tests)
        versions = [path for path in pathlib.Path(folder).iterdir() if path.name.isdecimal()]
        newest = max(versions, key=lambda path: int(path.name))
        self.model = tf.saved_model.load(newest)
        self.states = {name: _Running() for name in self.names}
        self.recent = {name: collections.deque(maxlen=RECENT) for name in self.names}
        self.series = {
            name: {"share": [], "alarms": [], "expected": test.mean}
            for name, test in self.tests.items()
        }

    def read(self, texts):
        """Scores texts, updates the tests in their order, and returns the alarms as sentences."""
        answers = self.model.signatures["serving_default"](text=tf.constant(texts))
        topics = answers["topic"].numpy().argmax(-1)
        scores = answers["positive"].numpy()[:, 0]
        sentences = (
            self._add(self.names[k], float(s)) for k, s in zip(topics, scores, strict=True)
        )
        return [sentence for sentence in sentences if sentence]

    def _add(self, name, score):
        test, series = self.tests[name], self.series[name]
        sums = self.states[name].add(test, score)
        self.recent[name].append(score)
        series["share"].append(float(np.mean(self.recent[name])))
        if max(sums) <= test.threshold:
            return None
        self.states[name] = _Running()
        direction = "better" if sums[0] > sums[1] else "worse"
        place = len(series["share"]) - 1
        sentence = f"{name}: sentiment has become {direction} (text {place + 1} of this topic)"
        series["alarms"].append((place, sentence))
        return sentence

    def page(self):
        """Returns the page of all that was read so far."""
        return render(self.series, self.run_length)
