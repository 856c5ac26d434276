from __future__ import annotations

import os
import platform

import numpy as np

from deeplab.reproduce.environment import describe_machine, describe_versions


def test_the_machine_is_described() -> None:
    machine = describe_machine()
    assert machine["processor"]
    assert 1 <= int(machine["cores"]) <= (os.cpu_count() or 1)
    assert platform.machine() in str(machine["system"])


def test_versions_are_those_imported() -> None:
    versions = describe_versions()
    assert versions["numpy"] == np.__version__
    assert versions["python"] == platform.python_version()
