"""Evaluation from stored scores: the VOC protocol. NumPy only; never runs the network."""
