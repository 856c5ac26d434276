"""``deeplab serve``: a page in the browser, and an HTTP service."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from deeplab.cli.options import ModelOption, extra
from deeplab.errors import InputError


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 lets other machines in: give --token-file, too.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    model: ModelOption = None,
    project: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Work in this project, or make one: photos, marks and classes stay in it. "
            "Else each page makes a temporary one.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Holds what clients must send as Authorization: Bearer …; or DEEPLAB_TOKEN."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Also answer to this name, say a proxy's; may be repeated.")
    ] = None,
    max_upload_mb: Annotated[float, typer.Option(help="The largest request, in MiB.")] = 32,
    max_megapixels: Annotated[float, typer.Option(help="The largest photo.")] = 25,
    timeout_s: Annotated[float, typer.Option(help="How long a request may wait and compute.")] = 60,
    upload_timeout_s: Annotated[float, typer.Option(help="How long headers, and a body, may take to arrive.")] = 30,
    connections: Annotated[int, typer.Option(help="How many may be open before silent ones are closed.")] = 256,
    queue: Annotated[int, typer.Option(help="How many requests may wait; more are told to come back.")] = 16,
    workers: Annotated[int, typer.Option(help="Processes that compute; they share the cores.")] = 1,
    label_studio: Annotated[
        bool, typer.Option("--label-studio", help="Also be an ML backend for Label Studio, at …/label-studio.")
    ] = False,
    label_studio_url: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where Label Studio is, to fetch its uploads from.")
    ] = None,
    label_studio_token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Holds the access token that Label Studio gave; or LABEL_STUDIO_API_KEY."),
    ] = None,
    local_files: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder of Label Studio's local files, read in its place.")
    ] = None,
    photos_from: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Also fetch tasks' photos from https://HOST; may be repeated."),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Serve a page that segments photos and refines them by sliders, and an HTTP API that does the same.

    Only this machine reaches it unless --host says otherwise. Ctrl-C ends it when what runs is finished. Logs go to
    stderr, one JSON object a line. docs/http-api.md describes the API.

    Examples:
        deeplab serve
        deeplab serve --host 0.0.0.0 --token-file token --no-open
    """
    import asyncio

    with extra("serve"):
        from deeplab.server.serving import serve as serve_until_stopped
        from deeplab.server.settings import Settings, token_in
        from deeplab.server.task_photos import TaskPhotos

    if not label_studio and (label_studio_url or label_studio_token_file or local_files or photos_from):
        raise InputError("where tasks' photos come from matters to Label Studio alone; give --label-studio, too")
    photos = TaskPhotos(
        address=label_studio_url,
        token=token_in(label_studio_token_file)
        if label_studio_token_file
        else (label_studio_url and os.environ.get("LABEL_STUDIO_API_KEY")) or None,
        local_files=local_files,
        others=tuple(photos_from or ()),
    )
    settings = Settings(
        host=host,
        port=port,
        model=model,
        project=project,
        token=token_in(token_file) if token_file else os.environ.get("DEEPLAB_TOKEN") or None,
        allowed_hosts=tuple(allow_host or ()),
        max_upload_bytes=round(max_upload_mb * (1 << 20)),
        max_pixels=round(max_megapixels * 1e6),
        timeout_s=timeout_s,
        upload_timeout_s=upload_timeout_s,
        connections=connections,
        queue=queue,
        workers=workers,
        label_studio=photos if label_studio else None,
    )

    def opened(address: str) -> None:
        print(f"deeplab answers at {address} (Ctrl-C ends it)", flush=True)
        if open_page and sys.stdout.isatty():
            import webbrowser

            webbrowser.open(address)

    with suppress(KeyboardInterrupt):
        asyncio.run(serve_until_stopped(settings, opened))
