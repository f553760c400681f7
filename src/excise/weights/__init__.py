"""Finding and removing redundancy in weights: pure functions on tensors."""
