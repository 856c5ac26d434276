"""``deeplab refine-volume``: a CT or MR and a model's scores or labels in, sharper labels out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deeplab.cli.options import ThreadsOption, percent
from deeplab.errors import InputError
from deeplab.progress import reporter


def refine_volume(
    volume: Annotated[
        list[Path], typer.Argument(metavar="VOLUME…", help="A NIfTI volume (.nii, .nii.gz), or several modalities.")
    ],
    scores: Annotated[
        Path, typer.Option(metavar="FILE", help="Probabilities (floats) or labels (integers): NIfTI, .npy or .npz.")
    ],
    value_std: Annotated[
        str, typer.Option(metavar="STD[,STD…]", help="How alike values must be, in the volume's units: 50 HU of a CT.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The labels, .nii.gz or .nii.")],
    bilateral_weight: Annotated[float, typer.Option(help="w1: pull between voxels alike in value.")] = 5.0,
    bilateral_std_mm: Annotated[float, typer.Option(help="σα: how far it reaches, in mm.")] = 5.0,
    spatial_weight: Annotated[float, typer.Option(help="w2: pull between close voxels of any value.")] = 3.0,
    spatial_std_mm: Annotated[float, typer.Option(help="σγ: how far it reaches, in mm.")] = 2.0,
    iterations: Annotated[int, typer.Option(help="Mean field updates.")] = 10,
    normalization: Annotated[str, typer.Option(metavar="MODE", help="after, symmetric, before or none.")] = "after",
    confidence: Annotated[float, typer.Option(help="How likely a label map is right at a voxel.")] = 0.7,
    void: Annotated[int | None, typer.Option(help="The value in a label map that means no opinion.")] = None,
    save_probabilities: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the refined probabilities, the labels last.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing results.")] = False,
    threads: ThreadsOption = None,
) -> None:
    """Sharpen a model's scores or labels of a CT or MR along its edges, by the fully connected CRF in three dimensions.

    Distances are in mm, whatever the voxels' shape. The result has the volume's affine. Nothing that was given is
    replaced, an earlier result with --force only.

    Examples:
        deeplab refine-volume ct.nii.gz --scores s.nii.gz --value-std 50 -o out.nii.gz
        deeplab refine-volume t1.nii --scores p.nii --value-std 60,30 -o out.nii
    """
    import numpy as np

    from deeplab.crf import refine_volume as refine
    from deeplab.files import atomic_files, check_output
    from deeplab.refinement.volumes import (
        check_nifti_name,
        label_probabilities,
        put_volume,
        read_volume,
        read_volume_scores,
    )

    outputs = [output, *([save_probabilities] if save_probabilities else [])]
    given = {path.resolve() for path in (*volume, scores)}
    for path in outputs:
        check_nifti_name(path)
        if path.resolve() in given:
            raise InputError(f"{path} would replace what was given; choose another name (-o)")
        check_output(path, overwrite=force)
    stds = _numbers(value_std)
    scan = read_volume(volume)
    said = read_volume_scores(scores, scan)
    names = None
    if said.dtype.kind in "iub":
        said, names = label_probabilities(said, confidence, void)
    with reporter() as out:
        try:
            refined = refine(
                scan.values, said, spacing_mm=scan.spacing_mm, value_std=stds if len(stds) > 1 else stds[0],
                bilateral_weight=bilateral_weight, bilateral_std_mm=bilateral_std_mm,
                spatial_weight=spatial_weight, spatial_std_mm=spatial_std_mm, iterations=iterations,
                normalization=normalization, threads=threads,
                progress=lambda done, of: out.show("refining", done, of, "slabs"),
            )  # fmt: skip
        except MemoryError as error:
            raise InputError(f"{volume[0]} with {scores} does not fit in memory: {error}") from None
        names = np.arange(len(refined)) if names is None else names
        labels = names[refined.argmax(0)].astype(np.int16 if names[0] < 0 else np.min_scalar_type(int(names[-1])))
        with atomic_files(*outputs, overwrite=force) as files:
            put_volume(files[0], output, labels, scan)
            if save_probabilities is not None:
                put_volume(files[1], save_probabilities, np.moveaxis(refined, 0, 3), scan)
        before = said > 0.5 if said.ndim == 3 else said.argmax(0)
        changed = float((refined.argmax(0) != before).mean())
        shares = ", ".join(
            f"{name} {percent(float((labels == name).mean()))}" for name in names if (labels == name).any()
        )
        out.result(f"{volume[0]} → {', '.join(map(str, outputs))}: {percent(changed)} of the voxels changed; {shares}")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--value-std is {text!r}; expected a number, or one for each modality: 50,20") from None
