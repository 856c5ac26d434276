"""Run Triton's sums over the arrays of one .npz into another; a process of its own, as Triton reads its mode on import.

python triton_sums.py INPUTS.npz OUTPUTS.npz
"""

import sys

import numpy as np
import torch

from deeplab.crf.torch.triton_sum import TritonSum

given = np.load(sys.argv[1])
device = "cuda" if torch.cuda.is_available() else "cpu"
arrays = {name: torch.from_numpy(given[name]).to(device) for name in given.files}
sums = {
    name: TritonSum(arrays[f"features {name}"])(arrays[f"values {name}"]).cpu().numpy()
    for name in {key.split(" ")[1] for key in given.files}
}
np.savez(sys.argv[2], **sums)
