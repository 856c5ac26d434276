"""Evaluation and CRF search from stored scores: the VOC protocol and what stands beside it. Never runs the network."""
