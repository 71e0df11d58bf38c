"""An export that is killed at any moment leaves no version that is not whole."""

import random
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from keras_mtl.export import audit, check_manifest

EXPORT = """
import itertools, sys
import keras
import keras_mtl as mtl
tasks = [mtl.Task.binary(f"t{i}") for i in range(6)]
network = mtl.architectures.hard_sharing(keras.Input((8,), name="x"), tasks, shared=(64, 64))
for version in itertools.count(int(sys.argv[2])):
    mtl.export.saved_model(network, tasks, f"{sys.argv[1]}/{version}")
    print(version, flush=True)
"""


@pytest.mark.slow
def test_no_kill_leaves_half_a_version(tmp_path):
    moments = random.Random(0)
    for turn in range(5):
        command = [sys.executable, "-c", EXPORT, str(tmp_path), str(100 * turn)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                assert process.stdout.readline()  # the first version is there
                time.sleep(moments.uniform(0, 1.5))
            finally:
                process.send_signal(signal.SIGKILL)
    versions = sorted(path for path in tmp_path.iterdir() if path.name.isdecimal())
    left = [path.name for path in tmp_path.iterdir() if not path.name.isdecimal()]
    assert len(versions) >= 5
    assert left and all(name.startswith(".") for name in left)  # some kill met an export
    for version in versions:
        check_manifest(version)
        audit(version).check()
    assert len(tf.saved_model.load(versions[-1]).signatures) == 7
