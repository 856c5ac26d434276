"""Labelled photos: readers for the common layouts, and the paper's training crops. NumPy and Pillow only."""
