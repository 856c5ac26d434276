"""The networks of the paper: a table of variants, the atrous VGG-16 built from it, its weights and its export.

``variants`` needs no PyTorch; the other modules come with the ``train`` extra.
"""
