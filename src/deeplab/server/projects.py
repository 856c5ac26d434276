"""The projects that are open: that of ``--project``, and pages' temporary ones, few and for a while."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deeplab.errors import InputError
from deeplab.files import alone_in, make_folder
from deeplab.server.errors import ApiError
from deeplab.server.settings import Settings
from deeplab.teach import Project

STAYING = "project"
"""The id of the project of ``--project``."""


@dataclass
class OpenProject:
    """A project that is open.

    Attributes:
        id: what it is asked for by.
        project: the project.
        temporary: whether it goes when nobody uses it.
        expires: when that is, on the monotonic clock.
        changing: held by whoever changes it.
        skipped: photos of the folder that cannot be read, and why.
        pending: photos of the folder that are still to be looked at.
    """

    id: str
    project: Project
    temporary: bool
    expires: float = 0.0
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    skipped: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)

    def check_version(self, version: int) -> None:
        """Check that a change was made on what the project says now.

        Raises:
            ApiError: it was made on something older.
        """
        if version != self.project.state.version:
            message = (
                f"the project was changed elsewhere, perhaps in another tab: it is at version "
                f"{self.project.state.version}, this change was made on {version}; get it anew, and change that"
            )
            raise ApiError(409, "changed_elsewhere", message)


class Projects:
    """The open projects by id; of temporary ones the least recently used go first."""

    def __init__(self, settings: Settings, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep temporary projects in a folder."""
        self._settings, self._folder, self._clock = settings, folder, clock
        self._open: OrderedDict[str, OpenProject] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are open."""
        self._forget_expired()
        return len(self._open)

    def let_stay(self, project: Project) -> OpenProject:
        """Open the project that stays."""
        self._open[STAYING] = OpenProject(STAYING, project, temporary=False)
        return self._open[STAYING]

    def staying(self) -> OpenProject | None:
        """Return the project that stays, if there is one."""
        return self._open.get(STAYING)

    def make(self, new: Callable[[Path], Project]) -> OpenProject:
        """Make a temporary project in a folder of its own."""
        self._forget_expired()
        temporary = [key for key, one in self._open.items() if one.temporary]
        for key in temporary[: max(0, len(temporary) + 1 - self._settings.projects)]:
            self._close(key)
        key = secrets.token_urlsafe(16)
        project = new(self._folder / secrets.token_hex(8))
        self._open[key] = OpenProject(key, project, True, self._clock() + self._settings.photo_s)
        return self._open[key]

    def find(self, project_id: str) -> OpenProject:
        """Return a project, whose time then begins anew.

        Raises:
            ApiError: there is none, or not any more.
        """
        self._forget_expired()
        if project_id not in self._open:
            raise ApiError(404, "unknown_project", "there is no such project, or not any more; make one anew")
        found = self._open[project_id]
        found.expires = self._clock() + self._settings.photo_s
        self._open.move_to_end(project_id)
        return found

    def forget(self, project_id: str) -> None:
        """Forget a temporary project and remove its folder.

        Raises:
            ApiError: there is none, or it stays.
        """
        if not self.find(project_id).temporary:
            raise ApiError(403, "kept", "this project stays where it is; take its photos out one by one")
        self._close(project_id)

    def check_room(self, project: OpenProject, size: int) -> None:
        """Check that a temporary project may take in another file of so many bytes.

        Raises:
            ApiError: it may not.
        """
        if not project.temporary:
            return
        folder = project.project.folder
        used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        photos, most = self._settings.project_photos, self._settings.project_bytes
        if len(project.project.state.photos) >= photos or used + size > most:
            message = (
                f"a temporary project takes {photos} photos and {most >> 20} MiB with all that is kept of them; take "
                "some out, or start the server with --project FOLDER"
            )
            raise ApiError(413, "project_full", message)

    def _forget_expired(self) -> None:
        now = self._clock()
        for key in [key for key, one in self._open.items() if one.temporary and one.expires <= now]:
            self._close(key)

    def _close(self, project_id: str) -> None:
        shutil.rmtree(self._open.pop(project_id).project.folder, ignore_errors=True)


@contextmanager
def projects_of(settings: Settings, default_model: str, models: Container[str]) -> Iterator[Projects]:
    """Open the project of the settings, if there is one, for this server alone; at the end remove temporary ones.

    Raises:
        InputError: the folder's project cannot be opened, or works with a model that is not among the `models`.
        OutputError: the folder cannot be written, or another server has it.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="deeplab-projects-", ignore_cleanup_errors=True)
        )
        projects = Projects(settings, Path(folder))
        if settings.project is not None:
            make_folder(settings.project, option="--project")
            stack.enter_context(alone_in(settings.project, option="--project"))
            project = Project.open(settings.project, model=default_model)
            if project.state.model not in models:
                raise InputError(
                    f"{settings.project} works with the model {project.state.model!r}; serve that one: --model"
                )
            projects.let_stay(project).pending = project.found()
        yield projects
