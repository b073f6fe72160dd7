"""Training: one loop for pre-training, instruction tuning, experts and multitask models."""
