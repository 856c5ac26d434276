"""Training: recipes, Caffe's solver rules, the loop, and checkpoints that survive a kill. Needs the ``train`` extra."""
