"""Weak labels: boxes, image labels and strokes in place of masks (Papandreou et al. 2015; Tang et al. 2018)."""
