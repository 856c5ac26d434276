"""The search for a network's CRF parameters on stored scores (section 4.2 of the paper).

`search` has the paper's grid and its refinement, `smart` the faster one by Optuna, `trials` the measurements behind
both, `journal` what was measured so far, `files`, `results` and `heat_map` what comes out.
"""
