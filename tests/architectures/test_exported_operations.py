"""Every architecture's export passes the audit of operations."""

import pytest
from all_cases import build, setting

from keras_mtl import architectures, export


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures.__all__)
def test_an_export_of_every_architecture_passes_the_audit(name, tmp_path):
    tasks = setting(name).tasks(setting(name).counts[-1])
    folder = export.saved_model(build(name, tasks), tasks, tmp_path / "1")
    export.audit(folder).check()
