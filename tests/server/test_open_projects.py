"""The open projects: how many, how long, and which stays."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from deeplab.server.errors import ApiError
from deeplab.server.projects import STAYING, OpenProject, Projects, projects_of
from deeplab.server.settings import Settings
from deeplab.teach import Project


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def is_open(projects: Projects, made: OpenProject) -> bool:
    with suppress(ApiError):
        return projects.find(made.id) is made
    return False


def test_the_least_recently_used_goes_first_and_its_folder_with_it(tmp_path: Path) -> None:
    projects = Projects(Settings(projects=2), tmp_path)
    stays = projects.let_stay(Project.open(tmp_path / "stays"))
    first, second = projects.make(Project.open), projects.make(Project.open)
    projects.find(first.id)
    third = projects.make(Project.open)
    assert [is_open(projects, one) for one in (stays, first, second, third)] == [True, True, False, True]
    assert not second.project.folder.exists()
    assert first.project.folder.exists()
    assert len(projects) == 3
    assert len(first.id) >= 22  # 128 bits in base 64
    assert first.id not in str(first.project.folder)


def test_they_expire_unless_used_but_not_the_one_that_stays(tmp_path: Path) -> None:
    clock = Clock()
    projects = Projects(Settings(photo_s=100), tmp_path, clock)
    stays = projects.let_stay(Project.open(tmp_path / "stays"))
    used, unused = projects.make(Project.open), projects.make(Project.open)
    clock.now = 60
    projects.find(used.id)
    clock.now = 110
    assert [is_open(projects, one) for one in (used, unused, stays)] == [True, False, True]
    clock.now = 10_000
    assert len(projects) == 1
    assert not used.project.folder.exists()
    assert stays.project.folder.exists()
    with pytest.raises(ApiError, match="this project stays where it is"):
        projects.forget(STAYING)


def test_a_project_takes_so_many_bytes(tmp_path: Path) -> None:
    projects = Projects(Settings(project_bytes=5000), tmp_path)
    small, stays = projects.make(Project.open), projects.let_stay(Project.open(tmp_path / "stays"))
    projects.check_room(small, 3000)
    projects.check_room(stays, 1 << 40)
    (small.project.folder / "cache" / "a.npy").write_bytes(bytes(3000))
    with pytest.raises(ApiError, match="with all that is kept of them") as refused:
        projects.check_room(small, 3000)
    assert (refused.value.status, refused.value.code) == (413, "project_full")


def test_temporary_ones_go_with_the_server(tmp_path: Path) -> None:
    with projects_of(Settings(project=tmp_path / "stays"), "tiny", ["tiny"]) as projects:
        made = projects.make(Project.open)
        assert made.project.folder.exists()
        staying = projects.staying()
        assert staying is not None
        assert staying.project.state.model == "tiny"
    assert not made.project.folder.parent.exists()
    assert (tmp_path / "stays" / "project.json").exists()
