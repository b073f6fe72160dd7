"""Instruction mixtures of real rows, from a folder or the hub, without what is evaluated on.

The mixture of the micro world is in `mergescale.tasks.micro_world.mixture`.
"""
