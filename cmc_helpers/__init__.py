"""Helpers for the notebook series on audio synthesis with LSTM and mixture density networks.

Data flows one way: `audio` → `features` → `corpora` → `training` → `runs` → `generation` →
`features` again → `inversion` → `audio`. Import the module you need; TensorFlow is loaded only by
the functions that build, train or run a network.
"""
