"""Evidence from running a model: accuracy, losslessness, fidelity, ranges, agreement with targets."""
