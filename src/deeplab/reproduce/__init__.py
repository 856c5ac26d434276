"""From a folder of labelled photos to the paper's tables: train, score, search, evaluate, report; see `pipeline`."""
