"""Augmentation: texts, images and token tensors changed a little, so that a model learns what does not matter."""
